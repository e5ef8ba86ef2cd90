//! Every endpoint and every code, to the letter.

mod answers;
mod logins;
mod messages;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, to_bytes};
use im_common::backend::Backend;
use im_common::backend::directory::Registered;
use im_common::backend::messages::Range;
use im_common::backend::registry::ServerInfo;
use im_common::cim::{PROTOCOL, device};
use im_common::id::{ConnectionId, ConversationId, Sequence, ServerId, SessionEpoch, UserId};
use im_common::message::Session;
use im_common::name::UserName;
use im_common::secret::{ClusterSecret, Secret};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::fixture::{FakeServers, server_info};
use crate::{Parts, Route, RouteConfig};

/// A route without sockets that are used.
struct Bench {
    backend: Backend,
    server: Arc<FakeServers>,
    route: Route,
    router: Router,
}

impl Bench {
    /// With one server, that has an entrance for clients of CIM or has none.
    async fn new(entrance: Option<&str>) -> Self {
        let backend = Backend::embedded(None).unwrap();
        let info = ServerInfo {
            http_address: "127.0.0.1:8081".to_owned(),
            entrances: entrance
                .map(|address| (PROTOCOL.to_owned(), address.to_owned()))
                .into_iter()
                .collect(),
            ..server_info("s1")
        };
        backend.registry.announce(info).await.unwrap();
        let server = FakeServers::new(Vec::new());
        server.may_take.add_permits(1);
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

    /// Registers a user with a password.
    async fn register_native(&self, name: &str) -> UserId {
        let name = UserName::new(name).unwrap();
        let hash = Secret("$argon2id$".to_owned());
        let registered = self.backend.directory.register(&name, hash).await;
        match registered.unwrap() {
            Registered::New(account) => account.user,
            Registered::Taken => panic!("{name} is taken"),
        }
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
