//! A server that is killed with its clients attached: they are elsewhere at once, whatever else
//! happens.

use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use im_client::ConnectionState;
use im_tests::cluster::TestCluster;
use im_tests::process::Process;
use im_tests::user::{PASSWORD, TestUser};
use tokio::time::{Instant, timeout};

const USERS: usize = 200;
/// Registering and logging in is the slow part: so many at once keep two cores busy.
const AT_ONCE: usize = 8;

async fn connect_all(cluster: &TestCluster) -> Vec<TestUser> {
    let connect = |number: usize| async move {
        let (urls, name) = (cluster.urls(number), format!("user-{number}"));
        im_client::register(&urls, &name, PASSWORD)
            .await
            .expect("registered");
        let mut user = TestUser::offline(&urls, &name);
        user.reconnect().await;
        user
    };
    let users = stream::iter(0..USERS).map(connect);
    users.buffer_unordered(AT_ONCE).collect().await
}

fn server_of(state: &ConnectionState) -> Option<String> {
    state.server().map(ToString::to_string)
}

/// The users on a server that is not one of those in this process.
fn on_the_process<'a>(cluster: &TestCluster, users: &'a [TestUser]) -> Vec<&'a TestUser> {
    let is_ours = |id: &str| {
        let mut ours = cluster.servers().iter();
        ours.any(|server| server.info.id.as_str() == id)
    };
    let on_it = |user: &&TestUser| {
        let server = server_of(&user.client().state().borrow()).expect("attached");
        !is_ours(&server)
    };
    users.iter().filter(on_it).collect()
}

/// How long each of the users is away after the kill, the shortest first.
async fn away_after_kill(process: &Process, users: &[&TestUser]) -> Vec<Duration> {
    let killed = Instant::now();
    let away = users.iter().map(|user| {
        let mut state = user.client().state();
        let before = server_of(&state.borrow());
        async move {
            let elsewhere = |state: &ConnectionState| {
                let server = server_of(state);
                server.is_some() && server != before
            };
            state.wait_for(elsewhere).await.expect("the client lives");
            killed.elapsed()
        }
    });
    let (mut away, ()) = tokio::join!(join_all(away), process.signal("KILL"));
    away.sort_unstable();
    away
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_a_killed_server_are_elsewhere_within_seconds() {
    let cluster = TestCluster::stores_with(2, 2).await;
    let process = cluster.server_process(&[]).await;
    cluster.placeable(3).await;
    let users = connect_all(&cluster).await;
    let victims = on_the_process(&cluster, &users);
    assert!(victims.len() >= USERS / 4, "{} users there", victims.len());

    let away = timeout(Duration::from_secs(5), away_after_kill(&process, &victims))
        .await
        .expect("all are back within 5 s");
    let at = |share: usize| away[(away.len() - 1) * share / 100];
    let (half, most, all) = (at(50), at(99), at(100));
    eprintln!(
        "{} users: p50 {half:?}, p99 {most:?}, max {all:?}",
        away.len()
    );

    let (first, last) = (victims[0], victims[victims.len() - 1]);
    first.send(last, "still here").await;
    last.expect("still here").await;
}
