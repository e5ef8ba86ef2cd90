//! A second login of a user, under each policy; and that nothing a crash leaves behind locks
//! anybody out.

use std::time::Duration;

use im_client::ConnectionState;
use im_common::backend::sessions::{SESSION_LEASE, SecondLogin, SessionsPer, SlotPolicy};
use im_common::code::Code;
use im_common::id::{ConnectionId, DeviceId, ServerId, SessionEpoch};
use im_common::message::Session;
use im_route::RouteConfig;
use im_server::ServerConfig;
use im_tests::cluster::TestCluster;
use im_tests::http::Http;
use im_tests::user::{PASSWORD, TestUser};
use serde_json::json;
use tokio::time::timeout;

/// Who is let in although something dead holds the slot, is let in within this: one question to
/// a server that does not answer takes a second. Far less than the lease of what holds it, also
/// where everything takes several times as long.
const SOON: Duration = SESSION_LEASE.checked_div(4).unwrap();

fn refuse(sessions_per: SessionsPer) -> SlotPolicy {
    SlotPolicy {
        second_login: SecondLogin::Refuse,
        sessions_per,
    }
}

fn displace(sessions_per: SessionsPer) -> SlotPolicy {
    SlotPolicy {
        second_login: SecondLogin::Displace,
        sessions_per,
    }
}

/// Two routes and some servers under a policy, over real stores.
async fn cluster(slots: SlotPolicy, servers: usize) -> TestCluster {
    let mut cluster = TestCluster::stores_with(0, 0).await;
    for _ in 0..2 {
        let config = RouteConfig {
            slots,
            ..RouteConfig::for_tests()
        };
        cluster.add_route(config).await;
    }
    for _ in 0..servers {
        cluster.add_server(ServerConfig::for_tests()).await;
    }
    cluster
}

async fn is_displaced(user: &TestUser) {
    let displaced = |state: &ConnectionState| *state == ConnectionState::Refused(Code::DISPLACED);
    user.expect_state("displaced", displaced).await;
}

async fn is_refused(user: &mut TestUser) {
    let error = user.try_connect().await.expect_err("a second login");
    assert_eq!(error.code(), Some(Code::ALREADY_ONLINE), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_for_each_device_and_the_newer_login_displaces() {
    let cluster = cluster(displace(SessionsPer::Device), 2).await;
    let [phone, bob] = cluster.users(["alice", "bob"]).await;
    let mut desk = phone.another_device("desk");
    desk.reconnect().await;
    let mut thief = phone.another_device("test");
    thief.reconnect().await;
    is_displaced(&phone).await;
    bob.send(&desk, "to both").await;
    tokio::join!(desk.expect("to both"), thief.expect("to both"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_for_each_user_and_the_newest_login_displaces() {
    let cluster = cluster(displace(SessionsPer::User), 3).await;
    let [phone, bob] = cluster.users(["alice", "bob"]).await;
    let mut desk = phone.another_device("desk");
    desk.reconnect().await;
    is_displaced(&phone).await;
    bob.send(&desk, "to the desk").await;
    desk.expect("to the desk").await;
    let mut again = phone.another_device("test");
    again.reconnect().await;
    is_displaced(&desk).await;
    bob.send(&again, "to the phone").await;
    again.expect("to the phone").await;
    assert!(
        phone
            .seen()
            .iter()
            .all(|message| message.text != "to the phone")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_for_each_device_and_a_second_login_is_refused() {
    let cluster = cluster(refuse(SessionsPer::Device), 2).await;
    let [mut phone, bob] = cluster.users(["alice", "bob"]).await;
    let mut second = phone.another_device("test");
    is_refused(&mut second).await;
    let mut desk = phone.another_device("desk");
    desk.reconnect().await;
    bob.send(&phone, "to both").await;
    tokio::join!(phone.expect("to both"), desk.expect("to both"));
    phone.disconnect().await;
    second.reconnect().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_for_each_user_and_a_second_login_is_refused() {
    let mut cluster = cluster(refuse(SessionsPer::User), 2).await;
    let [mut phone, bob] = cluster.users(["alice", "bob"]).await;
    let mut desk = phone.another_device("desk");
    is_refused(&mut desk).await;
    let login = json!({"name": "alice", "password": PASSWORD, "device": "web"});
    let http = Http::anonymous(&cluster.urls(1)[0]);
    let (status, answer) = http.post("/v1/login", login).await;
    assert_eq!((status, &answer["code"]), (409, &json!(4019)), "{answer}");

    // A reconnect is no second login.
    cluster.drain_server(0).await;
    bob.send(&phone, "still here").await;
    phone.expect("still here").await;
    is_refused(&mut desk).await;
    phone.disconnect().await;
    desk.reconnect().await;
}

/// What a server that is gone left in the store, and what a living one lost without a word.
#[tokio::test(flavor = "multi_thread")]
async fn entries_that_nobody_stands_behind_lock_nobody_out() {
    let cluster = cluster(refuse(SessionsPer::User), 1).await;
    let mut alice = cluster.user("alice").await;
    let user = alice.id();
    alice.disconnect().await;
    let sessions = cluster.backend().await.sessions;
    for (number, server) in [ServerId::fresh(), cluster.servers()[0].info.id.clone()]
        .into_iter()
        .enumerate()
    {
        let ghost = Session {
            user,
            device: DeviceId::new("ghost").expect("a device"),
            server,
            connection: ConnectionId(1_000_000),
            epoch: SessionEpoch {
                login: u64::MAX >> 12,
                attempt: u32::MAX,
            },
        };
        sessions
            .attach(&ghost, SlotPolicy::default())
            .await
            .expect("attached");
        let mut device = alice.another_device(&format!("device-{number}"));
        timeout(SOON, device.reconnect()).await.expect("let in");
        assert_eq!(sessions.locate(&[user]).await.expect("an answer").len(), 1);
        device.disconnect().await;
    }
}

/// The server dies, or only stands still, while it holds a client that goes away for good.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_or_frozen_server_locks_nobody_out() {
    for then in ["KILL", "STOP"] {
        let cluster = cluster(refuse(SessionsPer::User), 1).await;
        let process = cluster.server_process(&[]).await;
        cluster.placeable(2).await;
        let users = cluster.users(["alice", "bob"]).await;
        let here = cluster.servers()[0].info.id.clone();
        let is_there = |user: &TestUser| {
            let state = user.client().state();
            let state = state.borrow();
            state.server().is_some_and(|server| *server != here)
        };
        let mut there = users.into_iter().find(is_there).expect("one on each");
        // Frozen first, so that neither side can say goodbye.
        process.signal("STOP").await;
        there.disconnect().await;
        process.signal(then).await;
        let mut desk = there.another_device("desk");
        timeout(SOON, desk.reconnect()).await.expect("let in");
        if then == "STOP" {
            process.signal("CONT").await;
        }
        desk.say("here").await;
    }
}
