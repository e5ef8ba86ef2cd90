//! Several routes and servers: placement, one push for each server, draining, losing a route.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use futures::future::join_all;
use im_client::ConnectionState;
use im_tests::cluster::TestCluster;
use im_tests::user::TestUser;

fn pushes(cluster: &TestCluster) -> u64 {
    cluster
        .routes()
        .iter()
        .map(|route| route.counters.pushes.load(Ordering::Relaxed))
        .sum()
}

async fn thirty_users(cluster: &TestCluster) -> Vec<TestUser> {
    let mut users = Vec::new();
    for number in 0..30 {
        users.push(TestUser::register(&cluster.urls(number), &format!("user-{number}")).await);
    }
    users
}

async fn placement_is_even_and_a_lobby_message_is_one_push_for_each_server(cluster: TestCluster) {
    let users = thirty_users(&cluster).await;
    let mut placed: HashMap<String, usize> = HashMap::new();
    for user in &users {
        let state = user.client().state().borrow().clone();
        let server = state.server().expect("attached").to_string();
        *placed.entry(server).or_default() += 1;
    }
    assert_eq!(placed.into_values().collect::<Vec<_>>(), [10, 10, 10]);
    let before = pushes(&cluster);
    users[0].say("hello all").await;
    join_all(users[1..].iter().map(|user| user.expect("hello all"))).await;
    assert_eq!(pushes(&cluster) - before, 3);
    let before = pushes(&cluster);
    users[0].send(&users[1], "hello you").await;
    users[1].expect("hello you").await;
    let used = pushes(&cluster) - before;
    assert!(
        (1..=2).contains(&used),
        "a private message goes to the servers of two users: {used}"
    );
}

async fn a_drained_server_hands_its_clients_over(mut cluster: TestCluster) {
    let users = thirty_users(&cluster).await;
    cluster.drain_server(0).await;
    cluster.placeable(2).await;
    for user in &users {
        user.expect_state("attached", ConnectionState::is_attached)
            .await;
    }
    for pair in users.chunks(2) {
        pair[0].send(&pair[1], "after the drain").await;
        pair[1].expect("after the drain").await;
    }
}

async fn a_message_sent_while_its_server_drains_is_not_lost(mut cluster: TestCluster) {
    let [alice, bob] = cluster.users(["alice", "bob"]).await;
    let sending: Vec<_> = (0..500)
        .map(|number| alice.client().send(bob.address(), number.to_string()))
        .collect();
    cluster.drain_server(0).await;
    join_all(sending.into_iter().map(im_tests::user::accepted)).await;
    let seen = bob.expect_count(500).await;
    assert!(
        seen.iter()
            .enumerate()
            .all(|(number, message)| message.text == number.to_string())
    );
    bob.check_order();
}

async fn losing_a_route_loses_nothing(mut cluster: TestCluster) {
    let [alice, bob] = cluster.users(["alice", "bob"]).await;
    let sending: Vec<_> = (0..500)
        .map(|number| alice.client().send(bob.address(), number.to_string()))
        .collect();
    cluster.stop_route(0).await;
    join_all(sending.into_iter().map(im_tests::user::accepted)).await;
    bob.expect_count(500).await;
    bob.check_order();
    let [carol] = cluster.users(["carol"]).await;
    carol.say("through the other route").await;
    alice.expect("through the other route").await;
}

macro_rules! in_a_cluster {
    ($($scenario:ident)*) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario(super::TestCluster::embedded_with(2, 3).await).await;
            })*
        }
        mod stores {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario(super::TestCluster::stores_with(2, 3).await).await;
            })*
        }
    };
}

in_a_cluster! {
    placement_is_even_and_a_lobby_message_is_one_push_for_each_server
    a_drained_server_hands_its_clients_over
    a_message_sent_while_its_server_drains_is_not_lost
    losing_a_route_loses_nothing
}
