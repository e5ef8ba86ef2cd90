//! Who is online, and who is kept out: nobody by a ghost.

use std::collections::HashMap;

use futures::future::join_all;
use im_tests::cim::{CimSocket, code};
use im_tests::cluster::TestCluster;
use im_tests::injected::Injected;

use super::friend::{Friend, attach, online, placed};

/// The end of an old connection, however late, ends nothing newer.
pub(super) async fn a_late_end_ends_nothing_newer(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    let bob = route.account("bob").await;
    let mut sockets: Vec<CimSocket> = Vec::new();
    for _ in 0..3 {
        sockets.push(attach(&route, &bob).await);
        let newest = sockets.last_mut().expect("just pushed");
        assert!(newest.is_alive().await);
        if sockets.len() < 3 {
            let reply = route.off_line(bob.user_id).await.expect("an answer");
            reply.assert_code(code::SUCCESS);
        }
    }
    let mut newest = sockets.pop().expect("three");
    // Only now the older ones notice.
    drop(sockets);
    assert_eq!(alice.send(bob.user_id, "still there?").await, code::SUCCESS);
    assert_eq!(newest.expect().await.text, "still there?");
    let second = route.log_in(&bob).await.expect("an answer");
    second.assert_code(code::REPEAT_LOGIN);
    assert!(online(&route).await.contains(&"bob".to_owned()));
}

/// Who never connects is not online, and can log in again at once.
pub(super) async fn a_login_that_never_connects_keeps_nobody_out(cluster: TestCluster) {
    let route = cluster.cim();
    let bob = route.account("bob").await;
    for _ in 0..3 {
        placed(&route, &bob).await;
        assert!(!online(&route).await.contains(&"bob".to_owned()));
    }
    Friend::enter(&route, &bob).await;
}

/// A program that is killed keeps its user out no longer than its socket lives.
pub(super) async fn a_killed_client_keeps_nobody_out(cluster: TestCluster) {
    let route = cluster.cim();
    let alice = Friend::join(&route, "alice").await;
    for round in 0..3 {
        let bob = Friend::join(&route, "bob").await;
        alice.tell(&bob, &round.to_string()).await;
        bob.hears(&round.to_string(), alice.account()).await;
        let account = bob.account().clone();
        bob.client.kill().await;
        // The SDK says so before it logs in.
        let reply = route.off_line(account.user_id).await.expect("an answer");
        reply.assert_code(code::SUCCESS);
    }
}

/// `offLine` is for users of CIM: nobody else is sent away by it.
pub(super) async fn nobody_else_is_sent_away(cluster: TestCluster) {
    let route = cluster.cim();
    let native = cluster.user("native").await;
    let native_id = i64::try_from(native.id().number()).expect("53 bits");
    for user in [native_id, 4711] {
        let reply = route.off_line(user).await.expect("an answer");
        reply.assert_code(code::SUCCESS);
    }
    assert!(online(&route).await.contains(&"native".to_owned()));
    let alice = Friend::join(&route, "alice").await;
    assert_eq!(alice.send(native_id, "hello").await, code::SUCCESS);
    native.expect("hello").await;
}

/// A dead server keeps none of its users in the list, and none of them out.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_leaves_no_ghosts() {
    let mut cluster = TestCluster::with_faults(&Injected::new(1)).await;
    cluster.add_cim_route().await;
    cluster.add_cim_server().await;
    let route = cluster.cim();
    let bob = route.account("bob").await;
    let mut socket = attach(&route, &bob).await;
    assert!(socket.is_alive().await);
    let dead = cluster.crash_server(0);
    socket.expect_end().await;
    cluster.end_lease(&dead).await;
    // Or the dead one could pass for the next.
    cluster.placeable(0).await;
    cluster.add_cim_server().await;
    let login = route.log_in(&bob).await.expect("an answer");
    login.assert_code(code::SUCCESS);
    assert!(!online(&route).await.contains(&"bob".to_owned()));
    attach(&route, &bob).await;
}

/// A client that goes while no route is there is gone when one is back.
#[tokio::test(flavor = "multi_thread")]
async fn who_goes_without_a_route_is_gone() {
    let mut cluster = TestCluster::embedded_for_cim(1).await;
    let bob = cluster.cim().account("bob").await;
    let mut socket = attach(&cluster.cim(), &bob).await;
    assert!(socket.is_alive().await);
    cluster.stop_route(0).await;
    drop(socket);
    cluster.add_cim_route().await;
    cluster.placeable(1).await;
    let route = cluster.cim();
    let login = route.log_in(&bob).await.expect("an answer");
    login.assert_code(code::SUCCESS);
    assert!(!online(&route).await.contains(&"bob".to_owned()));
}

/// Many who log in at once are spread over the servers, and each is where it was sent.
#[tokio::test(flavor = "multi_thread")]
async fn many_logins_at_once_are_spread() {
    let cluster = TestCluster::embedded_for_cim(4).await;
    let route = cluster.cim();
    let names: Vec<String> = (0..80).map(|number| format!("user-{number}")).collect();
    let accounts = join_all(names.iter().map(|name| route.account(name))).await;
    let logins = accounts.iter().map(async |account| {
        let placed = placed(&route, account).await;
        let socket = CimSocket::log_in(&placed, account).await;
        let mut socket = socket.expect("the server accepts");
        assert!(socket.is_alive().await);
        (placed.cim_server_port, socket)
    });
    let mut on: HashMap<u16, usize> = HashMap::new();
    let held = join_all(logins).await;
    for (port, _) in &held {
        *on.entry(*port).or_default() += 1;
    }
    assert_eq!(on.len(), 4, "{on:?}");
    // An even spread is 20 each.
    assert!(
        on.values().all(|&count| (10..=30).contains(&count)),
        "{on:?}"
    );
    assert_eq!(online(&route).await.len(), 80);
}
