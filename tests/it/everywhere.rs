//! What must hold in every kind of cluster: over an embedded backend, over real Redis and etcd, and
//! through the standalone binary.

use std::time::Duration;

use futures::future::join_all;
use im_client::{ErrorKind, SendError};
use im_common::code::Code;
use im_common::id::{ConversationId, Sequence};
use im_common::message::{Position, Recipient};
use im_tests::cluster::TestCluster;
use im_tests::http::Http;
use im_tests::user::accepted;
use serde_json::json;
use tokio::time::timeout;

mod logins;

use logins::{
    a_second_login_displaces_the_first, a_token_takes_the_place_of_the_password,
    logging_out_ends_the_connection,
};

macro_rules! everywhere {
    ($($scenario:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario(super::TestCluster::embedded().await).await;
            })*
        }
        mod stores {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario(super::TestCluster::stores_with(1, 1).await).await;
            })*
        }
        mod standalone {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario(super::TestCluster::standalone().await).await;
            })*
        }
    };
}

everywhere! {
    private_messages_arrive_both_ways
    the_lobby_reaches_everybody
    offline_users_find_their_messages
    many_messages_stay_in_order
    a_repeated_id_is_stored_once
    a_second_login_displaces_the_first
    devices_of_one_user_all_get_the_message
    online_users_are_listed_by_name_and_page
    history_is_read_backwards
    sends_that_cannot_succeed_say_why
    what_was_delivered_is_told_to_who_sent_it
    logging_out_ends_the_connection
    a_token_takes_the_place_of_the_password
}

async fn private_messages_arrive_both_ways(cluster: TestCluster) {
    let [alice, bob, carol] = cluster.users(["alice", "bob", "carol"]).await;
    alice.send(&bob, "hi bob").await;
    let message = bob.expect("hi bob").await;
    assert_eq!(message.sender, alice.id());
    assert_eq!(
        message.conversation,
        ConversationId::private(alice.id(), bob.id())
    );
    assert_eq!(message.sequence, Sequence(1));
    accepted(
        bob.client()
            .send(Recipient::User(message.sender), "hi alice"),
    )
    .await;
    assert_eq!(alice.expect("hi alice").await.sequence, Sequence(2));
    // What comes after shows that nothing came before.
    alice.send(&carol, "hi carol").await;
    carol.expect("hi carol").await;
    assert_eq!(
        (carol.seen_count(), bob.seen_count(), alice.seen_count()),
        (1, 1, 1)
    );
}

async fn the_lobby_reaches_everybody(cluster: TestCluster) {
    let [alice, bob, carol] = cluster.users(["alice", "bob", "carol"]).await;
    alice.say("hello all").await;
    for user in [&bob, &carol] {
        let message = user.expect("hello all").await;
        assert_eq!(message.conversation, ConversationId::Lobby);
        assert_eq!(message.sender_name.as_str(), "alice");
    }
    bob.say("hello alice").await;
    alice.expect("hello alice").await;
    assert_eq!(alice.seen_count(), 1, "nobody hears their own words");
}

async fn offline_users_find_their_messages(cluster: TestCluster) {
    let [alice, mut bob] = cluster.users(["alice", "bob"]).await;
    alice.send(&bob, "before").await;
    bob.expect("before").await;
    bob.disconnect().await;
    for number in 0..250 {
        drop(
            alice
                .client()
                .send(bob.address(), format!("private {number}")),
        );
    }
    alice.say("in the lobby").await;
    alice.client().flush().await;
    bob.reconnect().await;
    let seen = bob.expect_count(252).await;
    let private: Vec<_> = seen
        .iter()
        .filter(|message| message.is_private())
        .map(|message| message.text.clone())
        .collect();
    let sent: Vec<_> = ["before".to_owned()]
        .into_iter()
        .chain((0..250).map(|number| format!("private {number}")))
        .collect();
    assert_eq!(private, sent);
    bob.expect("in the lobby").await;
    bob.check_order();
    // Acked, so the next connection brings nothing twice; what comes after shows it.
    bob.disconnect().await;
    bob.reconnect().await;
    alice.send(&bob, "after").await;
    bob.expect("after").await;
    assert_eq!(bob.seen_count(), 253);
}

async fn many_messages_stay_in_order(cluster: TestCluster) {
    let [alice, bob] = cluster.users(["alice", "bob"]).await;
    let sendings: Vec<_> = (0..1000)
        .map(|number| alice.client().send(bob.address(), number.to_string()))
        .collect();
    let receipts = join_all(sendings.into_iter().map(accepted)).await;
    for (index, receipt) in receipts.iter().enumerate() {
        assert_eq!(receipt.position.sequence, Sequence(index as u64 + 1));
    }
    let seen = bob.expect_count(1000).await;
    assert!(
        seen.iter()
            .enumerate()
            .all(|(number, message)| message.text == number.to_string())
    );
    bob.check_order();
}

async fn a_repeated_id_is_stored_once(cluster: TestCluster) {
    let [alice, bob] = cluster.users(["alice", "bob"]).await;
    let receipt = alice.send(&bob, "once").await;
    let http = Http::log_in(&cluster.urls(0)[0], "alice", "web").await;
    let id = receipt.id.to_string();
    let again = http
        .post(
            "/v1/messages",
            json!({"to": "bob", "text": "once", "id": id}),
        )
        .await;
    assert_eq!(again.0, 200);
    assert_eq!(again.1["sequence"], receipt.position.sequence.0);
    let other = http
        .post(
            "/v1/messages",
            json!({"to": "bob", "text": "twice", "id": id}),
        )
        .await;
    assert_eq!(
        (other.0, other.1["code"].as_u64()),
        (409, Some(Code::ID_CONFLICT.0.into()))
    );
    alice.send(&bob, "next").await;
    bob.expect("next").await;
    assert_eq!(bob.seen_count(), 2);
}

async fn devices_of_one_user_all_get_the_message(cluster: TestCluster) {
    let [alice, bob] = cluster.users(["alice", "bob"]).await;
    let mut phone = bob.another_device("phone");
    phone.reconnect().await;
    alice.send(&bob, "to both").await;
    bob.expect("to both").await;
    phone.expect("to both").await;
    // What one device sends, the user's other device sees too.
    bob.send(&alice, "from the first").await;
    phone.expect("from the first").await;
    alice.expect("from the first").await;
    assert_eq!(bob.seen_count(), 1);
}

async fn online_users_are_listed_by_name_and_page(cluster: TestCluster) {
    let [alice, mut anna, _bert] = cluster.users(["alice", "anna", "Bert"]).await;
    let list = async |prefix: &str, after: Option<&str>, limit| {
        let page = alice
            .client()
            .online(prefix, after, limit)
            .await
            .expect("a page");
        assert!(!page.partial);
        let names: Vec<String> = page
            .users
            .into_iter()
            .map(|user| user.name)
            .filter(|name| name != "echo")
            .collect();
        (names, page.next)
    };
    assert_eq!(list("", None, 100).await.0, ["alice", "anna", "Bert"]);
    assert_eq!(list("A", None, 100).await.0, ["alice", "anna"]);
    let (first, next) = list("", None, 2).await;
    assert_eq!(first, ["alice", "anna"]);
    let (second, end) = list("", next.as_deref(), 100).await;
    assert_eq!((second, end), (vec!["Bert".to_owned()], None));
    anna.disconnect().await;
    let gone = async {
        while list("an", None, 10).await.0 != Vec::<String>::new() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(im_tests::PATIENCE, gone)
        .await
        .expect("nobody is listed who has left");
}

async fn history_is_read_backwards(cluster: TestCluster) {
    let [alice, bob] = cluster.users(["alice", "bob"]).await;
    for number in 1..=5 {
        alice.send(&bob, &number.to_string()).await;
    }
    let texts = async |before, limit| {
        let messages = bob
            .client()
            .history(&alice.address(), before, limit)
            .await
            .expect("history");
        messages
            .into_iter()
            .map(|message| message.text)
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(None, 2).await, ["4", "5"]);
    assert_eq!(texts(Some(Sequence(4)), 2).await, ["2", "3"]);
    assert_eq!(texts(Some(Sequence(1)), 2).await, Vec::<String>::new());
}

async fn what_was_delivered_is_told_to_who_sent_it(cluster: TestCluster) {
    let [alice, mut bob] = cluster.users(["alice", "bob"]).await;
    let delivered = async |to: &Recipient| alice.client().delivered(to).await.expect("an answer");
    let to_bob = Recipient::User(bob.id());
    bob.disconnect().await;
    let first = alice.send(&bob, "while bob is away").await.position;
    assert_eq!(delivered(&to_bob).await, None);
    bob.reconnect().await;
    bob.expect("while bob is away").await;
    let acked = async |position: &Position| {
        let covers = |handled: &Position| handled.covers(position);
        while !delivered(&to_bob).await.as_ref().is_some_and(covers) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let both = async {
        acked(&first).await;
        let second = alice.send(&bob, "while bob is here").await.position;
        acked(&second).await;
        second
    };
    let second = timeout(im_tests::PATIENCE, both).await.expect("acked");
    assert_eq!(delivered(&bob.address()).await, Some(second));
    let error = alice.client().delivered(&Recipient::Lobby).await;
    let error = error.expect_err("the lobby does not tell");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

async fn sends_that_cannot_succeed_say_why(cluster: TestCluster) {
    let [alice, bob] = cluster.users(["alice", "bob"]).await;
    let nobody = "nobody-of-this-name"
        .parse::<Recipient>()
        .expect("a recipient");
    let long = "x".repeat(64 * 1024 + 1);
    for (to, text, code) in [
        (nobody, "hi", Code::USER_UNKNOWN),
        (Recipient::Lobby, "", Code::TEXT_EMPTY),
        (Recipient::Lobby, long.as_str(), Code::TEXT_TOO_LONG),
    ] {
        match alice.client().send(to, text).await {
            Err(SendError::Refused(refusal)) => assert_eq!(refusal.code, code),
            other => panic!("expected {code}, got {other:?}"),
        }
    }
    let largest = "y".repeat(64 * 1024);
    alice.send(&bob, &largest).await;
    bob.expect(&largest).await;
}
