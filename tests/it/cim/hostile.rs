//! Strangers and hostile input, where CIM has no defence.

use im_tests::cim::{CimSocket, Frame, code};
use im_tests::cluster::TestCluster;
use reqwest::Method;
use tokio::time::timeout;

use super::friend::{Friend, attach, placed};
use im_tests::PATIENCE;

/// A frame that names a user is not believed by itself, and displaces nobody.
pub(super) async fn a_login_frame_alone_takes_nobody_over(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = route.account("bob").await;
    let placed = placed(&route, &bob).await;
    let mut socket = CimSocket::log_in(&placed, &bob).await.expect("it accepts");
    assert!(socket.is_alive().await);
    for _ in 0..3 {
        let thief = CimSocket::log_in(&placed, &bob).await.expect("it accepts");
        thief.expect_end().await;
    }
    assert_eq!(alice.send(bob.user_id, "for bob").await, code::SUCCESS);
    assert_eq!(socket.expect().await.text, "for bob");
    // Nor without any login over HTTP, nor a user who never existed.
    let carol = route.account("carol").await;
    let mut nobody = carol.clone();
    nobody.user_id = 4711;
    for stranger in [&carol, &nobody] {
        let stranger = CimSocket::log_in(&placed, stranger)
            .await
            .expect("it accepts");
        stranger.expect_end().await;
    }
}

/// Nobody speaks for a user of our own client, whose account has a password.
pub(super) async fn nobody_speaks_for_a_protected_account(cluster: TestCluster) {
    let route = cluster.cim();
    let native = cluster.user("native").await;
    let native_id = i64::try_from(native.id().number()).expect("53 bits");
    let bob = Friend::join(&route, "bob").await;
    let registered = route.register("native").await.expect("an answer");
    assert_ne!(registered.code, code::SUCCESS);
    assert_eq!(registered.body, None);
    let mut account = bob.account().clone();
    (account.user_id, account.user_name) = (native_id, "native".to_owned());
    let login = route.log_in(&account).await.expect("an answer");
    login.assert_code(code::ACCOUNT_NOT_MATCH);
    let sent = route.send(native_id, bob.id(), "forged").await;
    assert_ne!(sent.expect("an answer").code, code::SUCCESS);
    let said = route.say(native_id, "forged").await;
    assert_ne!(said.expect("an answer").code, code::SUCCESS);
    im_tests::user::accepted(native.client().send(
        im_common::message::Recipient::User(
            im_common::id::UserId::new(bob.id().unsigned_abs()).expect("an id"),
        ),
        "genuine",
    ))
    .await;
    bob.inbox.expect("genuine").await;
    assert_eq!(bob.inbox.texts(), ["genuine"]);
}

/// Names that are keys of CIM's Redis are names here, or none; everything goes on.
pub(super) async fn a_name_is_never_a_key(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    for name in [
        "login-status",
        "cim-route:5",
        "offline:msg:user:1",
        "cim-account:1",
        "im:{u1}:name",
    ] {
        let reply = route.register(name).await.expect("an answer");
        assert!(
            reply.body.is_some() == (reply.code == code::SUCCESS),
            "{reply:?}"
        );
    }
    let bob = Friend::join(&route, "bob").await;
    alice.say("all is well").await;
    bob.hears("all is well", alice.account()).await;
}

/// Nothing is stored for users who do not exist.
pub(super) async fn nothing_waits_for_nobody(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    for nobody in [4711, 0, -1, i64::MAX, i64::MIN] {
        let code = alice.send(nobody, "hello?").await;
        assert!(
            ![code::SUCCESS, code::OFF_LINE].contains(&code.as_str()),
            "{nobody}: {code}"
        );
    }
}

/// Bytes that are no frame cost their own connection at most.
pub(super) async fn hostile_bytes_hurt_nobody_else(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = Friend::join(&route, "bob").await;
    let mallory = route.account("mallory").await;
    let placed = placed(&route, &mallory).await;
    let endless = [0xff; 10];
    let too_large = [0xff, 0xff, 0xff, 0x7f, 0];
    let negative = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let garbage = [4, 0xff, 0xff, 0xff, 0xff];
    let nobody = [0];
    for bytes in [&endless[..], &too_large, &negative, &garbage, &nobody] {
        let mut socket = CimSocket::connect(&placed).await.expect("it accepts");
        // It may have been closed in the middle.
        socket.write(bytes).await.ok();
        socket.write(&[b'x'; 4096]).await.ok();
        socket.expect_end().await;
        let mut socket = attach(&route, &mallory).await;
        assert!(socket.is_alive().await);
        socket.write(bytes).await.ok();
        route.off_line(mallory.user_id).await.expect("an answer");
        socket.expect_end().await;
    }
    // Frames that a client never says change nothing.
    let mut socket = attach(&route, &mallory).await;
    let mut forged = Frame::ping(mallory.user_id);
    forged.command = im_tests::cim::Command::Message;
    forged.text = "over TCP".to_owned();
    socket.say(&forged).await.expect("it is open");
    alice.tell(&bob, "all is well").await;
    bob.hears("all is well", alice.account()).await;
    assert_eq!(bob.inbox.texts(), ["all is well"]);
}

/// A reader who reads nothing holds up nobody.
pub(super) async fn a_reader_who_stalls_holds_up_nobody(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = Friend::join(&route, "bob").await;
    let sleeper = route.account("sleeper").await;
    let _unread = attach(&route, &sleeper).await;
    let long = "x".repeat(60 * 1024);
    for number in 0..100 {
        alice.say(&format!("{number} {long}")).await;
    }
    let all = timeout(PATIENCE, bob.inbox.expect_count(100)).await;
    assert!(all.is_ok(), "the others read on");
}

/// Nobody but the routes pushes: CIM's `sendMsg` is not there.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_pushes_past_the_route() {
    let cluster = TestCluster::embedded_for_cim(1).await;
    let bob = Friend::join(&cluster.cim(), "bob").await;
    let route = cluster.cim();
    let carol = route.account("carol").await;
    let placed = placed(&route, &carol).await;
    let server =
        im_tests::cim::CimRoute::new(&format!("http://{}:{}", placed.ip, placed.http_port));
    let body = serde_json::json!({
        "userId": bob.id(), "cmd": "MESSAGE", "msg": "forged",
        "properties": {"sendUserId": "1", "sendUserName": "x", "receiveUserId": bob.id().to_string()},
    });
    let body = body.to_string().into_bytes();
    let (status, _) = server
        .request(Method::POST, "sendMsg", Some(body))
        .await
        .expect("the server answers");
    assert!(!status.is_success(), "{status}");
    let alice = Friend::join(&route, "alice").await;
    alice.tell(&bob, "genuine").await;
    bob.hears("genuine", alice.account()).await;
    assert_eq!(bob.inbox.texts(), ["genuine"]);
}
