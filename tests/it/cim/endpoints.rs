//! CIM's endpoints to the letter: every code, every status, every shape.

use std::collections::HashSet;

use futures::future::join_all;
use im_tests::cim::{Account, CimRoute, Nothing, Placed, Reply, code};
use im_tests::cluster::TestCluster;
use reqwest::{Method, StatusCode};
use serde_json::json;

use super::friend::{Friend, attach, online, placed};

/// What Spring answers when a request is none.
async fn status(route: &CimRoute, method: Method, path: &str, body: Option<&str>) -> u16 {
    let body = body.map(|body| body.as_bytes().to_vec());
    let answer = route.request(method, path, body).await;
    answer.expect("the route answers").0.as_u16()
}

/// A name gives the same number however often it is registered, also at once; others, others.
pub(super) async fn names_are_registered_once(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = route.account("alice").await;
    assert_eq!(route.account("alice").await, alice);
    let same = join_all((0..8).map(|_| route.account("bob"))).await;
    assert!(same.iter().all(|bob| *bob == same[0]), "{same:?}");
    let names: Vec<String> = (0..8).map(|number| format!("user-{number}")).collect();
    let others = join_all(names.iter().map(|name| route.account(name))).await;
    let ids: HashSet<i64> = others.iter().map(|account| account.user_id).collect();
    assert_eq!(ids.len(), names.len(), "{others:?}");
    assert!(!ids.contains(&alice.user_id) && !ids.contains(&same[0].user_id));
}

/// A login says where to connect; a second one is refused as long as the first is connected.
pub(super) async fn a_second_login_is_refused(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = route.account("alice").await;
    let Placed { ip, .. } = placed(&route, &alice).await;
    ip.parse::<std::net::IpAddr>().expect("an address");
    let mut socket = attach(&route, &alice).await;
    assert!(socket.is_alive().await);
    let second = route.log_in(&alice).await.expect("an answer");
    second.assert_code(code::REPEAT_LOGIN);
    assert_eq!(second.body, None);
    assert!(socket.is_alive().await, "the first stays");
    for _ in 0..2 {
        let gone = route.off_line(alice.user_id).await.expect("an answer");
        gone.assert_code(code::SUCCESS);
    }
    attach(&route, &alice).await;
}

/// Nobody is told by null; everybody by a list.
pub(super) async fn who_is_online_is_listed(cluster: TestCluster) {
    let route = cluster.cim();
    let reply = route.online().await.expect("an answer");
    reply.assert_code(code::SUCCESS);
    // In the standalone the echo bot is always there.
    let names = |reply: Reply<Vec<Account>>| -> Option<Vec<String>> {
        Some(reply.body?.into_iter().map(|user| user.user_name).collect())
    };
    let before = names(reply);
    assert!(
        before.is_none() || before == Some(vec!["echo".to_owned()]),
        "{before:?}"
    );
    let alice = Friend::join(&route, "alice").await;
    assert!(online(&route).await.contains(&"alice".to_owned()));
    alice.client.close().await.expect("offLine is answered");
    assert_eq!(names(route.online().await.expect("an answer")), before);
}

/// Fields that CIM's classes inherit, and any others, change nothing.
pub(super) async fn further_fields_are_ignored(cluster: TestCluster) {
    let route = cluster.cim();
    let body = json!({"userName": "alice", "reqNo": "1", "timeStamp": 1_700_000_000, "x": [1]});
    let reply: Reply<Account> = route
        .post("registerAccount", &body)
        .await
        .expect("an answer");
    let alice = reply.success();
    let body = json!({
        "userId": alice.user_id.to_string(), "userName": "alice",
        "reqNo": "2", "timeStamp": 1_700_000_000,
    });
    let reply: Reply<Placed> = route.post("login", &body).await.expect("an answer");
    reply.success();
    let body = json!({"userId": alice.user_id, "msg": "hello", "batchMsg": ["x"], "timeStamp": 1});
    let reply: Reply<Nothing> = route.post("groupRoute", &body).await.expect("an answer");
    reply.assert_code(code::SUCCESS);
}

/// What is no request of CIM gets the status that Spring gives it.
pub(super) async fn what_is_no_request_has_the_status_of_spring(cluster: TestCluster) {
    let route = cluster.cim();
    let paths = [
        "registerAccount",
        "login",
        "offLine",
        "groupRoute",
        "p2pRoute",
        "fetchOfflineMsgs",
    ];
    for path in paths {
        let get = status(&route, Method::GET, path, None).await;
        assert_eq!(get, 405, "{path}");
        for malformed in [
            "{",
            "[]",
            "",
            "{\"userId\":\"x\",\"receiveUserId\":\"x\",\"userName\":{}}",
        ] {
            let posted = status(&route, Method::POST, path, Some(malformed)).await;
            assert_eq!(posted, 400, "{path} {malformed:?}");
        }
        let text = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let text = text.post(format!("{}/{path}", cluster.cim_url()));
        let text = text.header("content-type", "text/plain").body("{}");
        let answer = text.send().await.expect("an answer");
        assert_eq!(
            answer.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{path}"
        );
    }
    let posted = status(&route, Method::POST, "onlineUser", Some("{}")).await;
    assert_eq!(posted, 405);
    assert_eq!(status(&route, Method::GET, "nothing", None).await, 404);
    let (_, text) = route
        .request(Method::GET, "nothing", None)
        .await
        .expect("an answer");
    let error: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for key in ["timestamp", "status", "error", "path"] {
        assert!(error.get(key).is_some(), "{text}");
    }
}

/// Texts of any kind arrive as they were sent; what cannot be one is refused, and stops nothing.
pub(super) async fn texts_of_any_kind_arrive(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = Friend::join(&route, "bob").await;
    let longest = "界".repeat(64 * 1024 / 3);
    let texts = [
        longest.as_str(),
        "a;;b",
        ":q!",
        " ",
        "\u{0}",
        "line\nline\r\n",
        "\u{1b}[2J\u{202e}",
        "😀 \u{fe0f}\u{200d}",
        "{\"code\":\"9000\"}",
    ];
    for text in texts {
        alice.tell(&bob, text).await;
    }
    for text in ["", &"x".repeat(64 * 1024 + 1)] {
        let refused = alice.send(bob.id(), text).await;
        assert_eq!(refused, "3000", "{} bytes", text.len());
    }
    for batch in [json!([null]), json!(["x", null]), json!(["x", ""])] {
        let body = json!({"userId": alice.id(), "receiveUserId": bob.id(), "batchMsg": batch});
        let reply: Reply<Nothing> = route.post("p2pRoute", &body).await.expect("an answer");
        reply.assert_code("3000");
    }
    alice.tell(&bob, "end").await;
    bob.hears("end", alice.account()).await;
    let expected: Vec<&str> = texts.into_iter().chain(["end"]).collect();
    assert_eq!(bob.inbox.texts(), expected);
}

/// Without a server nobody gets in, and nobody is locked out by having tried.
pub(super) async fn without_a_server_a_login_says_so(mut cluster: TestCluster) {
    let route = cluster.cim();
    let alice = route.account("alice").await;
    cluster.drain_server(0).await;
    for _ in 0..2 {
        let reply = route.log_in(&alice).await.expect("an answer");
        reply.assert_code(code::SERVER_NOT_AVAILABLE);
        assert_eq!(reply.body, None);
    }
    cluster.add_cim_server().await;
    Friend::enter(&route, &alice).await;
}
