//! Where CIM loses messages, doubles them, or gives them to the wrong sender: here it does not.

use std::time::Duration;

use futures::future::join_all;
use im_tests::cim::{CimSocket, Frame, Reply, code};
use im_tests::cluster::TestCluster;
use im_tests::injected::Injected;
use serde_json::json;
use tokio::time::sleep;

use super::friend::{Friend, attach, placed};

/// CIM has no acks: what was written is taken for read when a ping comes this much later.
const CONFIRMED_AFTER: Duration = Duration::from_millis(1100);

/// The texts of a frame, one or many.
fn texts(frame: Frame) -> Vec<String> {
    if frame.batch.is_empty() {
        vec![frame.text]
    } else {
        frame.batch
    }
}

/// Between the login over HTTP and that over TCP nothing is lost.
pub(super) async fn what_comes_between_both_logins_waits(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = route.account("bob").await;
    let placed = placed(&route, &bob).await;
    for text in ["one", "two"] {
        let code = alice.send(bob.user_id, text).await;
        assert!([code::SUCCESS, code::OFF_LINE].contains(&code.as_str()));
    }
    alice.say("three").await;
    let socket = CimSocket::log_in(&placed, &bob).await;
    let mut socket = socket.expect("the server accepts");
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.extend(texts(socket.expect().await));
    }
    seen.sort();
    assert_eq!(seen, ["one", "three", "two"]);
}

/// What a connection took with it comes again; what was confirmed does not.
pub(super) async fn what_a_cut_took_comes_again(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = route.account("bob").await;
    let mut socket = attach(&route, &bob).await;
    assert!(socket.is_alive().await);
    alice.send(bob.user_id, "confirmed").await;
    assert_eq!(texts(socket.expect().await), ["confirmed"]);
    sleep(CONFIRMED_AFTER).await;
    assert!(socket.is_alive().await);
    alice.send(bob.user_id, "cut off").await;
    assert_eq!(texts(socket.expect().await), ["cut off"]);
    socket.cut();
    let reply = route.off_line(bob.user_id).await.expect("an answer");
    reply.assert_code(code::SUCCESS);
    alice.send(bob.user_id, "while away").await;
    let mut socket = attach(&route, &bob).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "while away") {
        seen.extend(texts(socket.expect().await));
    }
    assert_eq!(seen, ["cut off", "while away"]);
}

/// What the group says while somebody is away waits for them too.
pub(super) async fn the_group_is_kept_for_who_is_away(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = Friend::join(&route, "bob").await;
    let account = bob.account().clone();
    bob.client.close().await.expect("offLine is answered");
    for number in 0..5 {
        alice.say(&number.to_string()).await;
    }
    let bob = Friend::enter(&route, &account).await;
    bob.inbox.expect_count(5).await;
    assert_eq!(bob.inbox.texts(), ["0", "1", "2", "3", "4"]);
}

/// A sender whom the route does not know is told so, instead of a success that is none.
pub(super) async fn an_unknown_sender_is_told(cluster: TestCluster) {
    let route = cluster.cim();
    let bob = Friend::join(&route, "bob").await;
    let sent = route.send(4711, bob.id(), "from nobody").await;
    sent.expect("an answer")
        .assert_code(code::ACCOUNT_NOT_MATCH);
    let said = route.say(4711, "from nobody").await;
    said.expect("an answer")
        .assert_code(code::ACCOUNT_NOT_MATCH);
    let alice = Friend::join(&route, "alice").await;
    alice.tell(&bob, "end").await;
    bob.hears("end", alice.account()).await;
    assert_eq!(bob.inbox.texts(), ["end"]);
}

/// A batch for somebody who is away, and one that cannot be stored, stop nothing behind them.
pub(super) async fn nothing_that_waits_is_poisonous(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = route.account("bob").await;
    let batch = route
        .send_batch(alice.id(), bob.user_id, &["one", "two"])
        .await;
    batch.expect("an answer").assert_code(code::OFF_LINE);
    for body in [
        json!({"userId": alice.id(), "receiveUserId": bob.user_id}),
        json!({"userId": alice.id(), "receiveUserId": bob.user_id, "msg": null}),
        json!({"userId": alice.id(), "receiveUserId": bob.user_id, "batchMsg": []}),
        json!({"userId": alice.id(), "receiveUserId": bob.user_id, "batchMsg": ["x", null]}),
    ] {
        let reply: Reply<im_tests::cim::Nothing> =
            route.post("p2pRoute", &body).await.expect("an answer");
        reply.assert_code("3000");
    }
    assert_eq!(alice.send(bob.user_id, "three").await, code::OFF_LINE);
    let bob = Friend::enter(&route, &bob).await;
    bob.inbox.expect_count(3).await;
    assert_eq!(bob.inbox.texts(), ["one", "two", "three"]);
}

/// One sender's texts keep their order, private and in the group, while others talk too.
pub(super) async fn texts_keep_their_order(cluster: TestCluster) {
    let route = cluster.cim();
    let reader = Friend::join(&route, "reader").await;
    let other = Friend::join(&route, "other").await;
    let names = ["alice", "bob", "carol"];
    let writers = join_all(names.map(|name| Friend::join(&route, name))).await;
    let write = writers.iter().map(async |writer| {
        for number in 0..40 {
            writer.tell(&reader, &format!("private {number}")).await;
            writer.say(&format!("group {number}")).await;
        }
    });
    join_all(write).await;
    let expected: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    for (friend, count) in [(&reader, 240), (&other, 120)] {
        let seen = friend.inbox.expect_count(count).await;
        for writer in &writers {
            for kind in ["private ", "group "] {
                let of_writer = seen.iter().filter(|one| one.sender == writer.id());
                let numbers: Vec<&str> = of_writer
                    .filter_map(|one| one.text.strip_prefix(kind))
                    .collect();
                assert!(
                    numbers.is_empty() || numbers == expected,
                    "{kind}: {numbers:?}"
                );
            }
        }
    }
    let group = |friend: &Friend| -> Vec<(i64, String)> {
        let seen = friend.inbox.seen().into_iter();
        seen.filter(|one| one.text.starts_with("group"))
            .map(|one| (one.sender, one.text))
            .collect()
    };
    assert_eq!(group(&reader), group(&other), "one order for everybody");
}

/// A server that dies takes nobody's messages along, keeps nobody out, and stops no group message.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_loses_nothing() {
    let mut cluster = TestCluster::with_faults(&Injected::new(1)).await;
    cluster.add_cim_route().await;
    cluster.add_cim_server().await;
    cluster.add_cim_server().await;
    let route = cluster.cim();
    let names: Vec<String> = (0..8).map(|number| format!("user-{number}")).collect();
    let friends = join_all(names.iter().map(|name| Friend::join(&route, name))).await;
    let dead = cluster.crash_server(0);
    // At once: some of them are routed to a server that is not there any more.
    for friend in &friends {
        friend.say(&format!("group of {}", friend.id())).await;
        for other in friends.iter().filter(|other| other.id() != friend.id()) {
            let code = friend
                .send(other.id(), &format!("private of {}", friend.id()))
                .await;
            assert!(
                [code::SUCCESS, code::OFF_LINE].contains(&code.as_str()),
                "{code}"
            );
        }
    }
    cluster.end_lease(&dead).await;
    for friend in &friends {
        friend.client.expect_connected(true).await;
        friend.inbox.expect_count(14).await;
    }
    let last = &friends[0];
    last.say("end").await;
    for friend in &friends[1..] {
        friend.hears("end", last.account()).await;
        let mut texts = friend.inbox.texts();
        texts.sort();
        texts.dedup();
        assert_eq!((texts.len(), friend.inbox.texts().len()), (15, 15));
    }
}
