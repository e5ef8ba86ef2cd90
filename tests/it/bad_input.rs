//! Malformed, oversized, out-of-order, hostile: each gets its code, and nobody else notices.

use std::time::Duration;

use bytes::Bytes;
use im_common::code::Code;
use im_common::frame::{FRAME_BYTES_MAX, PROTOCOL_VERSION, encode};
use im_common::stream::FrameStream;
use im_common::wire::{self, ClientFrame, ServerFrame, server_frame};
use im_tests::PATIENCE;
use im_tests::cluster::TestCluster;
use im_tests::http::Http;
use im_tests::user::PASSWORD;
use prost::Message as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A client that does not follow the protocol.
struct Raw(TcpStream);

impl Raw {
    async fn connect(address: &str) -> Self {
        Self(
            TcpStream::connect(address)
                .await
                .expect("the server accepts"),
        )
    }

    async fn write(&mut self, bytes: &[u8]) {
        // The server may have closed already.
        self.0.write_all(bytes).await.ok();
    }

    /// Reads frames until the server closes, and returns the code it closes with.
    async fn closed_with(self) -> Option<Code> {
        let mut stream = FrameStream::new(self.0);
        let mut code = None;
        let read = async {
            while let Ok(Some(frame)) = stream.next().await {
                let frame = ServerFrame::decode(frame).expect("the server speaks the protocol");
                if let Some(server_frame::Frame::Close(close)) = frame.frame {
                    code = Some(Code::from(close.code));
                }
            }
        };
        timeout(PATIENCE, read).await.expect("the server closes");
        code
    }
}

fn hello(ticket: &Bytes, version: u32) -> Bytes {
    hello_again(ticket, version, 1)
}

/// A client counts its attempts: with an equal one the connection that was there first would stay.
fn hello_again(ticket: &Bytes, version: u32, attempt: u32) -> Bytes {
    let hello = wire::Hello {
        version,
        ticket: ticket.clone(),
        device: "test".into(),
        attempt,
        positions: Vec::new(),
    };
    encode(&ClientFrame::from(hello))
}

async fn ticket(cluster: &TestCluster, name: &str) -> Bytes {
    use base64::Engine as _;
    let http = Http::anonymous(&cluster.urls(0)[0]);
    http.post("/v1/users", json!({"name": name, "password": PASSWORD}))
        .await;
    let (_, login) = http
        .post(
            "/v1/login",
            json!({"name": name, "password": PASSWORD, "device": "test"}),
        )
        .await;
    let ticket = login["ticket"].as_str().expect("a ticket");
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(ticket)
        .expect("base64url")
        .into()
}

/// Frames that break a rule, and the code for each. `hello` is a good one.
fn bad_openings(ticket: &Bytes) -> Vec<(&'static str, Vec<u8>, Code)> {
    let mut forged = ticket.to_vec();
    forged[3] ^= 1;
    let ping = encode(&ClientFrame::from(wire::Ping { nonce: 1 })).to_vec();
    let (version, future) = (PROTOCOL_VERSION, PROTOCOL_VERSION + 1);
    vec![
        ("a frame over the limit", oversized(), Code::FRAME_TOO_LARGE),
        (
            "four gigabytes",
            vec![0xff, 0xff, 0xff, 0xff, 0x0f],
            Code::FRAME_TOO_LARGE,
        ),
        ("an endless length", vec![0x80; 11], Code::MALFORMED),
        (
            "random bytes",
            vec![7, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3],
            Code::MALFORMED,
        ),
        ("an empty frame", vec![0], Code::MALFORMED),
        ("a ping before hello", ping, Code::OUT_OF_ORDER),
        (
            "another version",
            hello(ticket, future).to_vec(),
            Code::VERSION_UNSUPPORTED,
        ),
        (
            "no ticket",
            hello(&Bytes::new(), version).to_vec(),
            Code::TICKET_INVALID,
        ),
        (
            "a forged ticket",
            hello(&forged.into(), version).to_vec(),
            Code::TICKET_INVALID,
        ),
    ]
}

/// Frames that break a rule once the client is attached.
fn bad_frames(ticket: &Bytes) -> Vec<(&'static str, Vec<u8>, Code)> {
    let without_id = wire::Submit {
        id: Bytes::new(),
        to: None,
        text: "x".into(),
        round: 0,
    };
    let without_id = encode(&ClientFrame::from(without_id)).to_vec();
    // A submit whose text is three bytes that no UTF-8 has.
    let not_utf8 = vec![0x09, 0x12, 0x07, 0x12, 0x00, 0x32, 0x03, 0xff, 0xfe, 0xfd];
    vec![
        (
            "a second hello",
            hello(ticket, PROTOCOL_VERSION).to_vec(),
            Code::OUT_OF_ORDER,
        ),
        ("a frame over the limit", oversized(), Code::FRAME_TOO_LARGE),
        ("a submit without id", without_id, Code::MALFORMED),
        ("a text that is not UTF-8", not_utf8, Code::MALFORMED),
    ]
}

fn oversized() -> Vec<u8> {
    let mut length = Vec::new();
    prost::encoding::encode_varint(FRAME_BYTES_MAX as u64 + 1, &mut length);
    length
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_frame_gets_its_code_and_nobody_else_notices() {
    let cluster = TestCluster::embedded().await;
    let [alice, bob] = cluster.users(["alice", "bob"]).await;
    let address = cluster.servers()[0].info.client_address.clone();
    let ticket = ticket(&cluster, "mallory").await;
    let mut attempt = 1;
    for (what, bytes, code) in bad_openings(&ticket) {
        let mut raw = Raw::connect(&address).await;
        raw.write(&bytes).await;
        assert_eq!(raw.closed_with().await, Some(code), "{what}");
    }
    for (what, bytes, code) in bad_frames(&ticket) {
        attempt += 1;
        let good = hello_again(&ticket, PROTOCOL_VERSION, attempt);
        let mut raw = Raw::connect(&address).await;
        raw.write(&[&good[..], &bytes].concat()).await;
        assert_eq!(raw.closed_with().await, Some(code), "{what}, later");
    }
    let good = hello_again(&ticket, PROTOCOL_VERSION, attempt + 1);
    let mut truncated = Raw::connect(&address).await;
    truncated.write(&good[..good.len() / 2]).await;
    truncated.0.shutdown().await.ok();
    truncated.closed_with().await;
    alice.send(&bob, "still here").await;
    bob.expect("still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_ticket_is_told_apart_from_a_forged_one() {
    let mut cluster = TestCluster::embedded_with(0, 0).await;
    let short = im_route::RouteConfig {
        ticket_lifetime: Duration::ZERO,
        ..im_route::RouteConfig::for_tests()
    };
    cluster.add_route(short).await;
    cluster
        .add_server(im_server::ServerConfig::for_tests())
        .await;
    // Clocks may differ by a minute, so a ticket of no lifetime is still good; one signed for the
    // past is made by hand.
    let fresh = ticket(&cluster, "late").await;
    let address = cluster.servers()[0].info.client_address.clone();
    let old = cluster.ticket_expired_for(Duration::from_secs(3600), "late");
    for (ticket, code) in [(fresh, None), (old, Some(Code::TICKET_EXPIRED))] {
        let mut raw = Raw::connect(&address).await;
        raw.write(&hello(&ticket, PROTOCOL_VERSION)).await;
        raw.0.shutdown().await.ok();
        assert_eq!(raw.closed_with().await, code);
    }
}

/// A request body, and the status and code that answer it.
type Case = (Value, u16, Code);

/// Posts each body to a path and checks what comes back.
async fn check(http: &Http, path: &str, cases: Vec<Case>) {
    for (body, status, code) in cases {
        let shown: String = body.to_string().chars().take(80).collect();
        let (got, answer) = http.post(path, body).await;
        let expected = (status, Some(code.0.into()));
        assert_eq!(
            (got, answer["code"].as_u64()),
            expected,
            "{path} {shown}: {answer}"
        );
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "{path} {shown} says what to do");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_would_mislead_cannot_be_registered() {
    let cluster = TestCluster::embedded().await;
    let _alice = cluster.user("alice").await;
    let anonymous = Http::anonymous(&cluster.urls(0)[0]);
    let long = "n".repeat(10 * 1024);
    let invalid = [
        "",
        "a\u{1b}[2J",
        "a\nb",
        "a b",
        "a;;b",
        ":q",
        "@bob",
        "lobby",
        "123",
        "p\u{430}ul",
        &long,
    ];
    let taken = ["alice", "ALICE", "a1ice"];
    let body = |name: &&str| json!({"name": name, "password": PASSWORD});
    let mut cases: Vec<Case> = invalid
        .iter()
        .map(|name| (body(name), 400, Code::NAME_INVALID))
        .collect();
    cases.extend(taken.iter().map(|name| (body(name), 409, Code::NAME_TAKEN)));
    cases.extend([
        (
            json!({"name": "bob", "password": "short"}),
            400,
            Code::PASSWORD_INVALID,
        ),
        (
            json!({"name": "bob", "password": "p".repeat(129)}),
            400,
            Code::PASSWORD_INVALID,
        ),
        (
            json!({"name": "bob", "password": PASSWORD, "admin": true}),
            400,
            Code::MALFORMED,
        ),
        (
            json!({"name": 7, "password": PASSWORD}),
            400,
            Code::MALFORMED,
        ),
        (json!({"name": "bob"}), 400, Code::MALFORMED),
    ]);
    check(&anonymous, "/v1/users", cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_fails_does_not_tell_why() {
    let cluster = TestCluster::embedded().await;
    let _alice = cluster.user("alice").await;
    let anonymous = Http::anonymous(&cluster.urls(0)[0]);
    let body =
        |name, password, device| json!({"name": name, "password": password, "device": device});
    let cases = vec![
        (
            body("alice", "wrong password", "d"),
            401,
            Code::WRONG_PASSWORD,
        ),
        (body("nobody", PASSWORD, "d"), 401, Code::WRONG_PASSWORD),
        (body("a\u{1b}[2J", PASSWORD, "d"), 401, Code::WRONG_PASSWORD),
        (body("alice", PASSWORD, "a b"), 400, Code::MALFORMED),
        (body("alice", PASSWORD, ""), 400, Code::MALFORMED),
    ];
    check(&anonymous, "/v1/login", cases).await;
    for token in ["", "x", "1.x.d", "1..", "1.aaaa.test.b"] {
        let request = anonymous
            .request(reqwest::Method::POST, "/v1/ticket")
            .bearer_auth(token);
        assert_eq!(Http::answer(request).await.0, 401, "{token:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_cannot_be_sent_get_a_status_and_a_code() {
    let cluster = TestCluster::embedded().await;
    let _alice = cluster.user("alice").await;
    let url = &cluster.urls(0)[0];
    let (anonymous, alice) = (
        Http::anonymous(url),
        Http::log_in(url, "alice", "web").await,
    );
    let body = |to: &str, text: &str| json!({"to": to, "text": text});
    let (too_long, huge) = ("x".repeat(64 * 1024 + 1), "y".repeat(2 * 1024 * 1024));
    let cases = vec![
        (body("lobby", ""), 400, Code::TEXT_EMPTY),
        (body("lobby", &too_long), 400, Code::TEXT_TOO_LONG),
        (body("lobby", &huge), 413, Code::BODY_TOO_LARGE),
        (body("nobody", "hi"), 404, Code::USER_UNKNOWN),
        (body("999999", "hi"), 404, Code::USER_UNKNOWN),
        (body("a b c", "hi"), 404, Code::USER_UNKNOWN),
        (
            json!({"to": "lobby", "text": "hi", "id": "not-a-uuid"}),
            400,
            Code::MALFORMED,
        ),
        (
            json!({"to": "lobby", "text": "hi", "from": "bob"}),
            400,
            Code::MALFORMED,
        ),
        (json!({"to": "lobby", "text": 7}), 400, Code::MALFORMED),
    ];
    check(&alice, "/v1/messages", cases).await;
    check(
        &anonymous,
        "/v1/messages",
        vec![(body("lobby", "hi"), 401, Code::UNAUTHENTICATED)],
    )
    .await;
    for broken in [&b"{"[..], b"[]", b"\"\xff\"", b""] {
        let (status, answer) = alice.post_raw("/v1/messages", broken.to_vec()).await;
        assert_eq!(
            (status, answer["code"].as_u64()),
            (400, Some(Code::MALFORMED.0.into()))
        );
    }
    assert_eq!(
        alice
            .post("/v1/messages", body("lobby", "still here"))
            .await
            .0,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_are_wrong_or_forbidden_say_so() {
    let cluster = TestCluster::embedded().await;
    let _alice = cluster.user("alice").await;
    let alice = Http::log_in(&cluster.urls(0)[0], "alice", "web").await;
    for (path, status) in [
        ("/v1/conversations/private:998:999/messages", 403),
        ("/v1/conversations/nonsense/messages", 400),
        ("/v1/conversations/lobby/messages?before=1&after=1", 400),
        ("/v1/conversations/lobby/messages?limit=-1", 400),
        ("/v1/conversations/private:998:999/delivered", 403),
        ("/v1/conversations/lobby/delivered", 400),
        ("/v1/conversations/nonsense/delivered", 400),
        ("/v1/users/online?limit=many", 400),
        ("/v1/users/nobody", 404),
        ("/v1/messages", 405),
        ("/v1/nothing", 404),
        ("/v1/openapi.json", 200),
    ] {
        let (got, answer) = alice.get(path).await;
        assert_eq!(got, status, "{path}: {answer}");
    }
    for path in [
        "submit", "attach", "detach", "renew", "heads", "ack", "sync",
    ] {
        let (status, _) = alice.post(&format!("/internal/v1/{path}"), json!({})).await;
        assert_eq!(status, 401, "a user's token is no credential for {path}");
    }
}
