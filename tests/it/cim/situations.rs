//! The eight situations of an SDK's life.

use im_tests::cim::{Command, Habits, NotBuilt, code};
use im_tests::cluster::TestCluster;

use super::friend::{Friend, online};

/// A text to everybody reaches everybody else, under the name of who said it.
pub(super) async fn a_group_chats(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = Friend::join(&route, "bob").await;
    let carol = Friend::join(&route, "carol").await;
    alice.say("hello all").await;
    for reader in [&bob, &carol] {
        let received = reader.hears("hello all", alice.account()).await;
        assert_eq!(received.command, Command::Message);
    }
    bob.say("hello alice").await;
    alice.hears("hello alice", bob.account()).await;
    assert_eq!(
        alice.inbox.texts(),
        ["hello alice"],
        "nobody hears themselves"
    );
    let listed = online(&route).await;
    let ours = |name: &&String| ["alice", "bob", "carol"].contains(&name.as_str());
    assert_eq!(listed.iter().filter(ours).count(), 3, "{listed:?}");
}

/// A private text, and several at once in their order, reach one user and nobody else.
pub(super) async fn private_texts_and_batches_arrive(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = Friend::join(&route, "bob").await;
    let carol = Friend::join(&route, "carol").await;
    alice.tell(&bob, "one").await;
    let texts: Vec<String> = (0..250).map(|number| format!("batch {number}")).collect();
    let batch: Vec<&str> = texts.iter().map(String::as_str).collect();
    let reply = route.send_batch(alice.id(), bob.id(), &batch).await;
    reply.expect("an answer").assert_code(code::SUCCESS);
    alice.tell(&bob, "last").await;
    let seen = bob.inbox.expect_count(252).await;
    let expected: Vec<&str> = ["one"].into_iter().chain(batch).chain(["last"]).collect();
    assert_eq!(bob.inbox.texts(), expected);
    assert!(seen.iter().all(|one| one.sender == alice.id()));
    bob.tell(&carol, "end").await;
    carol.hears("end", bob.account()).await;
    assert_eq!(carol.inbox.texts().len(), 1);
}

/// Whose server stops comes back by itself, and misses nothing.
pub(super) async fn clients_come_back_after_a_server_stops(mut cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = Friend::join(&route, "bob").await;
    alice.tell(&bob, "before").await;
    bob.hears("before", alice.account()).await;
    while let Some(server) = cluster.servers().len().checked_sub(1) {
        cluster.drain_server(server).await;
    }
    bob.client.expect_connected(false).await;
    assert_eq!(alice.send(bob.id(), "meanwhile").await, code::OFF_LINE);
    cluster.add_cim_server().await;
    for friend in [&alice, &bob] {
        friend.client.expect_connected(true).await;
        friend.is_listed().await;
    }
    bob.hears("meanwhile", alice.account()).await;
    alice.tell(&bob, "after").await;
    bob.hears("after", alice.account()).await;
    assert_eq!(bob.inbox.texts(), ["before", "meanwhile", "after"]);
}

/// Who goes and comes back finds what was said, and can be reached again.
pub(super) async fn users_go_and_come_back(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = Friend::join(&route, "bob").await;
    let account = bob.account().clone();
    alice.tell(&bob, "one").await;
    bob.hears("one", alice.account()).await;
    bob.client.close().await.expect("offLine is answered");
    for number in 0..3 {
        assert_eq!(
            alice
                .send(account.user_id, &format!("missed {number}"))
                .await,
            code::OFF_LINE
        );
    }
    let bob = Friend::enter(&route, &account).await;
    bob.inbox.expect_count(3).await;
    assert_eq!(bob.inbox.texts(), ["missed 0", "missed 1", "missed 2"]);
    alice.tell(&bob, "two").await;
    bob.hears("two", alice.account()).await;
}

/// After `close()` nobody sees the user any more, who can log in at once.
pub(super) async fn whoever_closes_is_gone_at_once(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    for _ in 0..5 {
        let bob = Friend::join(&route, "bob").await;
        let account = bob.account().clone();
        assert!(online(&route).await.contains(&account.user_name));
        let again = Friend::try_enter(&route, &account, Habits::NONE).await;
        assert!(matches!(again, Err(NotBuilt::Refused(refused)) if refused == code::REPEAT_LOGIN));
        bob.client.close().await.expect("offLine is answered");
        assert!(!online(&route).await.contains(&account.user_name));
        let login = route.log_in(&account).await.expect("an answer");
        login.assert_code(code::SUCCESS);
        assert_eq!(alice.send(account.user_id, "?").await, code::OFF_LINE);
    }
}

/// Whom the route does not know does not get in, and cannot be written to.
pub(super) async fn unknown_users_are_told_so(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let mut nobody = alice.account().clone();
    nobody.user_id = 4711;
    let mut other_name = alice.account().clone();
    other_name.user_name = "bob".to_owned();
    for stranger in [&nobody, &other_name] {
        let reply = route.log_in(stranger).await.expect("an answer");
        reply.assert_code(code::ACCOUNT_NOT_MATCH);
        assert_eq!(reply.body, None);
    }
    assert_eq!(alice.send(4711, "hello?").await, code::ACCOUNT_NOT_MATCH);
}

/// What waits comes when its reader comes, each text under the name of who wrote it.
pub(super) async fn what_waits_comes_under_the_right_names(cluster: TestCluster) {
    let route = cluster.cim();
    let writers = [
        Friend::join(&route, "alice").await,
        Friend::join(&route, "bob").await,
        Friend::join(&route, "carol").await,
    ];
    let dave = route.account("dave").await;
    for number in 0..120 {
        let writer = &writers[number % 3];
        let text = format!("{number} of {}", writer.account().user_name);
        assert_eq!(writer.send(dave.user_id, &text).await, code::OFF_LINE);
    }
    let dave = Friend::enter(&route, &dave).await;
    for received in dave.inbox.expect_count(120).await {
        assert_eq!(received.command, Command::Offline);
        let (_, writer) = received.text.split_once(" of ").expect("its writer");
        assert_eq!(received.sender_name, writer);
    }
    for (index, writer) in writers.iter().enumerate() {
        let seen = dave.inbox.seen();
        let of_writer = seen.iter().filter(|one| one.sender == writer.id());
        let numbers: Vec<usize> = of_writer
            .map(|one| {
                one.text
                    .split(' ')
                    .next()
                    .expect("a number")
                    .parse()
                    .expect("a number")
            })
            .collect();
        assert_eq!(numbers, (index..120).step_by(3).collect::<Vec<_>>());
    }
}

/// Asking for what waits is answered, and brings nothing twice.
pub(super) async fn fetching_brings_nothing_twice(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = route.account("bob").await;
    let reply = route.fetch_offline(bob.user_id).await;
    reply.expect("an answer").assert_code(code::SUCCESS);
    for number in 0..10 {
        alice.send(bob.user_id, &number.to_string()).await;
    }
    let bob = Friend::enter(&route, &bob).await;
    let fetches = (0..5).map(|_| route.fetch_offline(bob.id()));
    for reply in futures::future::join_all(fetches).await {
        reply.expect("an answer").assert_code(code::SUCCESS);
    }
    alice.tell(&bob, "end").await;
    bob.hears("end", alice.account()).await;
    let numbers: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    let mut texts = bob.inbox.texts();
    assert_eq!(texts.pop().as_deref(), Some("end"));
    assert_eq!(texts, numbers);
}
