//! The registry in etcd: the contract, restarts, losses, and nodes that die.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use im_common::backend::contract::registry::fresh_server;
use im_common::backend::registry::{RouteInfo, ServerInfo, ServerList, ServerRegistry};
use im_common::backend::{connect_registry, contract};
use im_common::id::ServerId;
use im_common::tasks::Tasks;
use im_tests::services::Etcd;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::{SOON, etcd_config};

async fn registry(etcd: &Etcd, tasks: &Tasks) -> Arc<dyn ServerRegistry> {
    connect_registry(&etcd_config(etcd.url()), tasks)
        .await
        .unwrap()
}

async fn until(list: &mut watch::Receiver<ServerList>, is_so: impl Fn(&ServerList) -> bool) {
    let seen = timeout(SOON, list.wait_for(is_so)).await;
    seen.expect("the list gets there")
        .expect("the registry runs");
}

fn ids(list: &ServerList) -> Vec<ServerId> {
    list.iter().map(|server| server.id.clone()).collect()
}

#[tokio::test]
async fn etcd_keeps_the_contract() {
    let (etcd, tasks) = (Etcd::start().await, Tasks::new());
    contract::registry::suite(registry(&etcd, &tasks).await).await;
}

#[tokio::test]
async fn two_nodes_see_each_other_come_change_and_go() {
    let etcd = Etcd::start().await;
    let (here, there) = (Tasks::new(), Tasks::new());
    let (one, other) = (registry(&etcd, &here).await, registry(&etcd, &there).await);
    let mut seen = other.servers();
    let announced = fresh_server();
    one.announce(announced.clone()).await.unwrap();
    until(&mut seen, |list| list.contains(&announced)).await;

    let draining = ServerInfo {
        draining: true,
        ..announced
    };
    one.announce(draining.clone()).await.unwrap();
    until(&mut seen, |list| ***list == [draining.clone()]).await;

    let route = RouteInfo {
        id: ServerId::fresh(),
        http_address: "127.0.0.1:3".to_owned(),
    };
    other.announce_route(route.clone()).await.unwrap();
    let mut routes = one.routes();
    let listed = routes.wait_for(|list| list.contains(&route));
    timeout(SOON, listed).await.unwrap().unwrap();

    // A node that stops in order takes its entries along at once.
    let stopping = Instant::now();
    here.wait(SOON).await.unwrap();
    until(&mut seen, |list| list.is_empty()).await;
    assert!(stopping.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn an_outage_keeps_the_list_and_loses_no_announcement() {
    let (mut etcd, tasks) = (Etcd::start().await, Tasks::new());
    let node = registry(&etcd, &tasks).await;
    let mut list = node.servers();
    let [before, meanwhile] = [fresh_server(), fresh_server()];
    node.announce(before.clone()).await.unwrap();
    until(&mut list, |list| list.contains(&before)).await;

    etcd.kill();
    let announcing = Instant::now();
    node.announce(meanwhile.clone()).await.unwrap();
    assert!(announcing.elapsed() < Duration::from_secs(5));
    assert_eq!(
        ids(&node.servers().borrow()).as_slice(),
        std::slice::from_ref(&before.id)
    );
    assert!(
        node.withdraw(&before.id).await.is_err(),
        "nobody took it back"
    );

    etcd.restart().await;
    until(&mut list, |list| ids(list) == [meanwhile.id.clone()]).await;
}

#[tokio::test]
async fn an_etcd_that_hangs_is_noticed_and_found_again() {
    let (etcd, tasks) = (Etcd::start().await, Tasks::new());
    let node = registry(&etcd, &tasks).await;
    let mut list = node.servers();
    let [before, meanwhile] = [fresh_server(), fresh_server()];
    node.announce(before.clone()).await.unwrap();
    until(&mut list, |list| list.contains(&before)).await;

    etcd.pause();
    let announcing = Instant::now();
    node.announce(meanwhile.clone()).await.unwrap();
    assert!(announcing.elapsed() < Duration::from_secs(5));
    assert!(list.borrow().contains(&before));

    etcd.resume();
    until(&mut list, |list| {
        list.contains(&before) && list.contains(&meanwhile)
    })
    .await;
}

#[tokio::test]
async fn a_dead_member_among_several_is_worked_around() {
    let (etcd, mut dead) = (Etcd::start().await, Etcd::start().await);
    dead.kill();
    let mut config = etcd_config(etcd.url());
    config.endpoints.push(dead.url());
    let tasks = Tasks::new();
    let node = connect_registry(&config, &tasks).await.unwrap();
    let mut list = node.servers();
    for connections in 1..=20 {
        let busier = ServerInfo {
            connections,
            ..fresh_server()
        };
        node.announce(busier.clone()).await.unwrap();
        until(&mut list, |list| list.contains(&busier)).await;
    }
}

#[tokio::test]
async fn an_etcd_that_lost_everything_is_filled_again() {
    let mut etcd = Etcd::start().await;
    let (here, there) = (Tasks::new(), Tasks::new());
    let (one, other) = (registry(&etcd, &here).await, registry(&etcd, &there).await);
    let (mine, yours) = (fresh_server(), fresh_server());
    one.announce(mine.clone()).await.unwrap();
    other.announce(yours.clone()).await.unwrap();
    let both = |list: &ServerList| list.contains(&mine) && list.contains(&yours);
    let mut list = one.servers();
    until(&mut list, both).await;

    etcd.restart_empty().await;
    // A newcomer sees both again, and meanwhile nobody lost sight of anybody.
    let tasks = Tasks::new();
    let newcomer = registry(&etcd, &tasks).await;
    let mut filled = newcomer.servers();
    tokio::select! {
        () = until(&mut filled, both) => {}
        () = until(&mut list, |list| !both(list)) => panic!("a live node vanished"),
    }
}

#[tokio::test]
async fn a_node_that_died_during_an_outage_is_dropped_after_a_grace() {
    let mut etcd = Etcd::start().await;
    let tasks = Tasks::new();
    let survivor = registry(&etcd, &tasks).await;
    let mut list = survivor.servers();
    let dead = fresh_server();
    let node = node_in_a_thread(&etcd, dead.clone());
    until(&mut list, |list| list.contains(&dead)).await;

    etcd.kill();
    node.die();
    etcd.restart_empty().await;
    let alive = fresh_server();
    survivor.announce(alive.clone()).await.unwrap();
    until(&mut list, |list| list.contains(&alive)).await;
    assert!(list.borrow().contains(&dead), "it may yet come back");
    until(&mut list, |list| ids(list) == [alive.id.clone()]).await;
}

#[tokio::test]
async fn a_node_that_dies_vanishes_with_its_lease() {
    let (etcd, tasks) = (Etcd::start().await, Tasks::new());
    let survivor = registry(&etcd, &tasks).await;
    let mut list = survivor.servers();
    let dying = fresh_server();
    let node = node_in_a_thread(&etcd, dying.clone());
    until(&mut list, |list| list.contains(&dying)).await;
    let died = Instant::now();
    node.die();
    until(&mut list, |list| list.is_empty()).await;
    assert!(died.elapsed() > Duration::from_secs(2), "nobody told etcd");
}

#[tokio::test]
async fn a_cold_start_without_etcd_says_what_is_missing() {
    let mut etcd = Etcd::start().await;
    etcd.kill();
    let config = etcd_config(etcd.url());
    let started = Instant::now();
    let Err(error) = connect_registry(&config, &Tasks::new()).await else {
        panic!("nobody is there");
    };
    assert!(error.to_string().contains(&etcd.url()), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// A node with a runtime of its own, which can end without any farewell.
struct DoomedNode {
    end: mpsc::SyncSender<()>,
    thread: thread::JoinHandle<()>,
}

fn node_in_a_thread(etcd: &Etcd, announced: ServerInfo) -> DoomedNode {
    let config = etcd_config(etcd.url());
    let (end, ended) = mpsc::sync_channel(1);
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let tasks = Tasks::new();
        let node = runtime.block_on(connect_registry(&config, &tasks)).unwrap();
        runtime.block_on(node.announce(announced)).unwrap();
        ended.recv().unwrap();
        // Tasks are dropped where they stand: nothing is revoked.
        runtime.shutdown_background();
    });
    DoomedNode { end, thread }
}

impl DoomedNode {
    fn die(self) {
        self.end.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// Longer than it takes to grant a lease and put what is wanted under it, far below the time after
/// which a renewal would tell of the loss.
const AT_ONCE: Duration = Duration::from_secs(2);

#[tokio::test]
async fn nodes_that_lose_their_leases_are_back_at_once() {
    let (etcd, tasks) = (Etcd::start().await, Tasks::new());
    let nodes = [registry(&etcd, &tasks).await, registry(&etcd, &tasks).await];
    let announced = [fresh_server(), fresh_server()];
    let has_both = |list: &ServerList| announced.iter().all(|one| list.contains(one));
    for (node, info) in nodes.iter().zip(&announced) {
        node.announce(info.clone()).await.unwrap();
    }
    for node in &nodes {
        until(&mut node.servers(), has_both).await;
    }
    etcd.revoke_all().await;
    // A node that comes now finds only what was put back.
    let newcomer = registry(&etcd, &tasks).await;
    let back = async {
        for node in [&newcomer, &nodes[0], &nodes[1]] {
            until(&mut node.servers(), has_both).await;
        }
    };
    timeout(AT_ONCE, back).await.expect("back at once");
}

#[tokio::test]
async fn a_watch_from_before_a_compaction_begins_anew_with_the_whole_list() {
    let (mut etcd, tasks) = (Etcd::start().await, Tasks::new());
    let (one, other) = (registry(&etcd, &tasks).await, registry(&etcd, &tasks).await);
    let mut list = other.servers();
    let first = fresh_server();
    one.announce(first.clone()).await.unwrap();
    until(&mut list, |list| list.contains(&first)).await;
    // Whoever watches from here misses what comes, and cannot catch up on it.
    etcd.compact().await;
    etcd.restart().await;
    let second = fresh_server();
    one.announce(second.clone()).await.unwrap();
    etcd.compact().await;
    until(&mut list, |list| {
        list.contains(&first) && list.contains(&second)
    })
    .await;
    let third = fresh_server();
    one.announce(third.clone()).await.unwrap();
    until(&mut list, |list| list.contains(&third)).await;
}
