//! Every endpoint and every code, to the letter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use axum::body::{Body, to_bytes};
use im_common::backend::Backend;
use im_common::backend::messages::Range;
use im_common::backend::registry::ServerInfo;
use im_common::cim::{PROTOCOL, device};
use im_common::code::Code;
use im_common::id::{ConnectionId, ConversationId, Sequence, ServerId, SessionEpoch, UserId};
use im_common::message::{Session, TEXT_BYTES_MAX};
use im_common::name::UserName;
use im_common::secret::ClusterSecret;
use im_common::transport::{Downlink, DownlinkError, OnlineQuery, OnlineUser, Push, ServerHealth};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::{Parts, Route, RouteConfig};

/// A server that holds whom the test says.
#[derive(Default)]
struct FakeServer {
    holds: AtomicBool,
    online: Mutex<Vec<OnlineUser>>,
    kicked: Mutex<Vec<Session>>,
}

#[async_trait]
impl Downlink for FakeServer {
    async fn push(&self, _: &ServerInfo, _: Vec<Push>) -> Result<Vec<UserId>, DownlinkError> {
        Ok(Vec::new())
    }

    async fn kick(&self, _: &ServerInfo, session: &Session, _: Code) -> Result<(), DownlinkError> {
        self.kicked.lock().push(session.clone());
        Ok(())
    }

    async fn holds(&self, _: &ServerInfo, _: &Session) -> Result<bool, DownlinkError> {
        Ok(self.holds.load(Ordering::Relaxed))
    }

    async fn online(
        &self,
        _: &ServerInfo,
        query: &OnlineQuery,
    ) -> Result<Vec<OnlineUser>, DownlinkError> {
        let online = self.online.lock().clone();
        let behind = online.into_iter().filter(|user| user.folded > query.after);
        Ok(behind.take(query.limit).collect())
    }

    async fn health(&self, _: &ServerInfo) -> Result<ServerHealth, DownlinkError> {
        Ok(ServerHealth {
            draining: false,
            connections: 0,
        })
    }
}

/// A route without sockets that are used.
struct Bench {
    backend: Backend,
    server: Arc<FakeServer>,
    route: Route,
    router: Router,
}

impl Bench {
    /// With one server, that has an entrance for clients of CIM or has none.
    async fn new(entrance: Option<&str>) -> Self {
        let backend = Backend::embedded(None).unwrap();
        let info = ServerInfo {
            id: ServerId::new("s1").unwrap(),
            client_address: "127.0.0.1:8084".to_owned(),
            http_address: "127.0.0.1:8081".to_owned(),
            draining: false,
            connections: 0,
            entrances: entrance
                .map(|address| (PROTOCOL.to_owned(), address.to_owned()))
                .into_iter()
                .collect(),
        };
        backend.registry.announce(info).await.unwrap();
        let server = Arc::new(FakeServer::default());
        let parts = Parts {
            backend: backend.clone(),
            downlink: server.clone(),
            secret: ClusterSecret::fresh(),
        };
        let route = Route::bind(RouteConfig::for_tests(), parts).await.unwrap();
        let gate = Gate::new(&CimConfig::default()).unwrap();
        let router = router_alone(route.app(), gate);
        Self {
            backend,
            server,
            route,
            router,
        }
    }

    async fn ask(&self, method: &str, path: &str, kind: &str, body: &str) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", kind)
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1024 * 1024).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// Posts as the SDK does; every answer has exactly the four keys.
    async fn post(&self, path: &str, body: Value) -> Value {
        let kind = "application/json; charset=utf-8";
        let (status, answer) = self.ask("POST", path, kind, &body.to_string()).await;
        assert_eq!(status, 200, "{answer}");
        let keys: Vec<&String> = answer.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 4, "{answer}");
        assert_eq!(answer["reqNo"], Value::Null);
        answer
    }

    async fn register(&self, name: &str) -> u64 {
        let answer = self
            .post("/registerAccount", json!({ "userName": name }))
            .await;
        answer["dataBody"]["userId"].as_u64().unwrap()
    }

    async fn log_in(&self, user: u64, name: &str) -> Value {
        let body = json!({ "userId": user, "userName": name });
        self.post("/login", body).await
    }

    /// Attaches as the server's entrance does once a client has connected.
    async fn attach(&self, user: u64) -> Session {
        let (user, device) = (UserId::new(user).unwrap(), device());
        let uplink = self.route.uplink();
        let login = uplink.login(user, &device).await.unwrap();
        let session = Session {
            user,
            device,
            server: ServerId::new("s1").unwrap(),
            connection: ConnectionId(login.epoch),
            epoch: SessionEpoch {
                login: login.epoch,
                attempt: 1,
            },
        };
        uplink.attach(&session, Vec::new()).await.unwrap();
        self.server.holds.store(true, Ordering::Relaxed);
        session
    }

    async fn texts(&self, conversation: &ConversationId) -> Vec<String> {
        let range = Range::After(Sequence(0));
        let page = self.backend.messages.read(conversation, range, 100);
        let messages = page.await.unwrap().messages;
        messages.into_iter().map(|message| message.text).collect()
    }
}

fn private(one: u64, other: u64) -> ConversationId {
    ConversationId::private(UserId::new(one).unwrap(), UserId::new(other).unwrap())
}

fn code(answer: &Value) -> (&str, &str) {
    let text = |key: &str| answer[key].as_str().unwrap();
    (text("code"), text("message"))
}

const SUCCESS: (&str, &str) = ("9000", "Success");
const UNKNOWN: (&str, &str) = ("9100", "The User information you have used is incorrect!");
const REPEAT: (&str, &str) = ("5000", "Repeat login, log out an account please!");
const OFFLINE: (&str, &str) = (
    "7000",
    "You selected user is offline!, please try again later!",
);

#[tokio::test]
async fn a_name_keeps_its_id_and_answers_are_as_cim_writes_them() {
    let bench = Bench::new(None).await;
    let request = Request::post("/registerAccount")
        .header("content-type", "application/json")
        .body(Body::from(r#"{"userName":"zhangsan","reqNo":"1","x":[]}"#))
        .unwrap();
    let response = bench.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let body = to_bytes(response.into_body(), 1024).await.unwrap();
    let id = bench.register("zhangsan").await;
    let expected = format!(
        r#"{{"code":"9000","message":"Success","reqNo":null,"dataBody":{{"userId":{id},"userName":"zhangsan"}}}}"#
    );
    assert_eq!(body, expected.as_bytes());
    assert_ne!(bench.register("lisi").await, id);
}

#[tokio::test]
async fn names_that_cannot_be_or_belong_to_others_are_refused() {
    let bench = Bench::new(None).await;
    bench.register("Zhang").await;
    let native = UserName::new("alice").unwrap();
    let hash = im_common::secret::Secret("$argon2id$".to_owned());
    bench
        .backend
        .directory
        .register(&native, hash)
        .await
        .unwrap();
    for name in [
        "login-status!",
        "a b",
        "",
        "12345",
        "zhang",
        "alice",
        "Alice",
    ] {
        let answer = bench
            .post("/registerAccount", json!({ "userName": name }))
            .await;
        let (code, message) = code(&answer);
        assert_eq!(code, "3000", "{name}");
        assert!(message.starts_with("invalid argument: "), "{message}");
        assert_eq!(answer["dataBody"], Value::Null);
    }
    let nothing = bench.post("/registerAccount", json!({})).await;
    assert_eq!(code(&nothing).0, "3000");
}

#[tokio::test]
async fn a_login_tells_where_to_connect() {
    let bench = Bench::new(Some("[::1]:11211")).await;
    let user = bench.register("zhangsan").await;
    let answer = bench.log_in(user, "zhangsan").await;
    assert_eq!(code(&answer), SUCCESS);
    let address = json!({ "ip": "::1", "cimServerPort": 11211, "httpPort": 8081 });
    assert_eq!(answer["dataBody"], address);
    let quoted = json!({ "userId": user.to_string(), "userName": "zhangsan" });
    assert_eq!(code(&bench.post("/login", quoted).await), SUCCESS);
}

#[tokio::test]
async fn who_is_not_who_they_say_or_has_a_password_does_not_get_in() {
    let bench = Bench::new(Some("127.0.0.1:11211")).await;
    let user = bench.register("zhangsan").await;
    let native = UserName::new("alice").unwrap();
    let hash = im_common::secret::Secret("$argon2id$".to_owned());
    bench
        .backend
        .directory
        .register(&native, hash)
        .await
        .unwrap();
    let alice = bench
        .backend
        .directory
        .find(&native)
        .await
        .unwrap()
        .unwrap()
        .user;
    // The same device name, but logged in with a password.
    let device = device();
    bench
        .backend
        .directory
        .log_in(alice, &device, [0; 32])
        .await
        .unwrap();
    assert!(bench.route.uplink().login(alice, &device).await.is_err());
    for (user, name) in [
        (user, "lisi"),
        (user, "Zhangsan"),
        (user, "not a name"),
        (user + 1000, "zhangsan"),
        (0, "zhangsan"),
        (u64::MAX >> 1, "zhangsan"),
        (alice.number(), "alice"),
    ] {
        assert_eq!(
            code(&bench.log_in(user, name).await),
            UNKNOWN,
            "{user} {name}"
        );
    }
    for path in ["/groupRoute", "/p2pRoute"] {
        let body = json!({ "userId": alice.number(), "receiveUserId": user, "msg": "hi" });
        assert_eq!(code(&bench.post(path, body).await), UNKNOWN);
    }
    assert_eq!(bench.texts(&ConversationId::Lobby).await, [""; 0]);
}

#[tokio::test]
async fn without_a_server_nobody_is_logged_in() {
    let bench = Bench::new(None).await;
    let user = bench.register("zhangsan").await;
    let none = (
        "7100",
        "cim server is not available, please try again later!",
    );
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), none);
    let device = device();
    let user = UserId::new(user).unwrap();
    assert!(bench.route.uplink().login(user, &device).await.is_err());
}

#[tokio::test]
async fn a_second_login_is_refused_while_the_first_lives_and_never_for_a_ghost() {
    let bench = Bench::new(Some("127.0.0.1:11211")).await;
    let user = bench.register("zhangsan").await;
    // The client could not connect.
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), SUCCESS);
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), SUCCESS);
    bench.attach(user).await;
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), REPEAT);
    // The server that holds the session knows nothing of it any more.
    bench.server.holds.store(false, Ordering::Relaxed);
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), SUCCESS);
}

#[tokio::test]
async fn who_goes_off_line_can_log_in_at_once_and_a_late_goodbye_ends_nothing_newer() {
    let bench = Bench::new(Some("127.0.0.1:11211")).await;
    let user = bench.register("zhangsan").await;
    bench.log_in(user, "zhangsan").await;
    let old = bench.attach(user).await;
    let bye = json!({ "userId": user, "msg": "offLine" });
    let answer = bench.post("/offLine", bye.clone()).await;
    assert_eq!(code(&answer), SUCCESS);
    assert_eq!(answer["dataBody"], Value::Null);
    assert_eq!(code(&bench.log_in(user, "zhangsan").await), SUCCESS);
    let new = bench.attach(user).await;
    bench.route.uplink().detach(&old).await.unwrap();
    let held = bench.backend.sessions.locate(&[new.user]).await.unwrap();
    assert_eq!(held, [new]);
    for nobody in [json!({ "userId": 4711 }), json!({}), json!({ "userId": 0 })] {
        assert_eq!(code(&bench.post("/offLine", nobody).await), SUCCESS);
    }
}

#[tokio::test]
async fn a_private_message_is_stored_before_the_sender_is_told_that_nobody_is_there() {
    let bench = Bench::new(Some("127.0.0.1:11211")).await;
    let (one, other) = (
        bench.register("zhangsan").await,
        bench.register("lisi").await,
    );
    let message = json!({ "userId": one, "receiveUserId": other, "msg": "hello;;world" });
    assert_eq!(
        code(&bench.post("/p2pRoute", message.clone()).await),
        OFFLINE
    );
    assert_eq!(bench.texts(&private(one, other)).await, ["hello;;world"]);
    bench.log_in(other, "lisi").await;
    bench.attach(other).await;
    assert_eq!(code(&bench.post("/p2pRoute", message).await), SUCCESS);
    let nobody = json!({ "userId": one, "receiveUserId": 4711, "msg": "hello" });
    assert_eq!(code(&bench.post("/p2pRoute", nobody).await), UNKNOWN);
    let fetch = json!({ "receiveUserId": other });
    assert_eq!(code(&bench.post("/fetchOfflineMsgs", fetch).await), SUCCESS);
}

#[tokio::test]
async fn a_batch_keeps_its_order_and_nothing_of_a_bad_one_is_stored() {
    let bench = Bench::new(None).await;
    let (one, other) = (
        bench.register("zhangsan").await,
        bench.register("lisi").await,
    );
    let batch = |texts: Value| {
        let (msg, path) = ("not this", "/p2pRoute");
        let body = json!({ "userId": one, "receiveUserId": other, "msg": msg, "batchMsg": texts });
        bench.post(path, body)
    };
    let many: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    assert_eq!(code(&batch(json!(many)).await), OFFLINE);
    assert_eq!(bench.texts(&private(one, other)).await, many);
    let too_long = "x".repeat(TEXT_BYTES_MAX + 1);
    for bad in [
        json!(["a", null]),
        json!(["a", ""]),
        json!(["a", too_long]),
        json!(vec!["a"; 1001]),
    ] {
        assert_eq!(code(&batch(bad).await).0, "3000");
    }
    assert_eq!(bench.texts(&private(one, other)).await, many);
    assert_eq!(code(&batch(json!([])).await), OFFLINE);
    let texts = bench.texts(&private(one, other)).await;
    assert_eq!(texts.last().unwrap(), "not this");
}

#[tokio::test]
async fn everybody_hears_the_group() {
    let bench = Bench::new(None).await;
    let user = bench.register("zhangsan").await;
    let longest = "张".repeat(TEXT_BYTES_MAX / 3);
    for text in ["hello", longest.as_str()] {
        let answer = bench
            .post("/groupRoute", json!({ "userId": user, "msg": text }))
            .await;
        assert_eq!(code(&answer), SUCCESS);
        assert_eq!(answer["dataBody"], Value::Null);
    }
    assert_eq!(
        bench.texts(&ConversationId::Lobby).await,
        ["hello", &longest]
    );
    let unknown = json!({ "userId": 4711, "msg": "hi" });
    assert_eq!(code(&bench.post("/groupRoute", unknown).await), UNKNOWN);
    for wrong in [
        json!({ "userId": user }),
        json!({ "msg": "hi" }),
        json!({ "userId": user, "msg": "" }),
    ] {
        assert_eq!(code(&bench.post("/groupRoute", wrong).await).0, "3000");
    }
}

#[tokio::test]
async fn who_is_online_comes_in_one_answer_and_nobody_is_null() {
    let bench = Bench::new(None).await;
    let ask = || bench.ask("GET", "/onlineUser", "", "");
    let (status, answer) = ask().await;
    assert_eq!((status, &answer["dataBody"]), (200, &Value::Null));
    let user = |number: u64| {
        let name = UserName::new(&format!("u{number:05}")).unwrap();
        OnlineUser {
            folded: name.folded(),
            user: UserId::new(number).unwrap(),
            name,
        }
    };
    *bench.server.online.lock() = (1..=2500).map(user).collect();
    let (_, answer) = ask().await;
    let users = answer["dataBody"].as_array().unwrap();
    assert_eq!(users.len(), 2500);
    assert_eq!(users[0], json!({ "userId": 1, "userName": "u00001" }));
}

#[tokio::test]
async fn what_is_no_request_of_cim_gets_the_error_of_its_framework() {
    let bench = Bench::new(None).await;
    let json = "application/json";
    for (method, path, kind, body, expected, error) in [
        ("POST", "/login", json, "{", 400, "Bad Request"),
        (
            "POST",
            "/login",
            json,
            r#"{"userId":"x"}"#,
            400,
            "Bad Request",
        ),
        ("POST", "/login", json, "[]", 400, "Bad Request"),
        ("GET", "/login", json, "", 405, "Method Not Allowed"),
        ("POST", "/onlineUser", json, "{}", 405, "Method Not Allowed"),
        (
            "POST",
            "/login",
            "text/plain",
            "{}",
            415,
            "Unsupported Media Type",
        ),
        ("POST", "/nothing", json, "{}", 404, "Not Found"),
    ] {
        let (status, answer) = bench.ask(method, path, kind, body).await;
        assert_eq!(status, expected, "{method} {path} {answer}");
        let fault = answer.as_object().unwrap();
        assert_eq!(fault.len(), 4);
        assert_eq!(
            (&answer["status"], &answer["error"]),
            (&expected.into(), &error.into())
        );
        assert_eq!(answer["path"], path);
        assert!(fault["timestamp"].as_str().unwrap().ends_with("+00:00"));
    }
}
