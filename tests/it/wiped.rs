//! A Redis that forgets while users are attached: nobody is disconnected, and what is said
//! afterwards arrives within 5 s.

use std::time::Duration;

use im_client::ConnectionState;
use im_common::message::Recipient;
use im_server::ServerConfig;
use im_tests::cluster::TestCluster;
use im_tests::user::{TestUser, accepted};
use tokio::sync::watch;
use tokio::time::timeout;

/// One heartbeat period: the bound for everything that was lost and can be put back.
const HEALS_WITHIN: Duration = Duration::from_secs(5);

/// Three servers that renew as seldom as in production.
async fn cluster() -> TestCluster {
    let mut cluster = TestCluster::stores_with(1, 0).await;
    for _ in 0..3 {
        let config = ServerConfig {
            renew_every: ServerConfig::default().renew_every,
            ..ServerConfig::for_tests()
        };
        cluster.add_server(config).await;
    }
    cluster
}

fn state(user: &TestUser) -> watch::Receiver<ConnectionState> {
    let mut state = user.client().state();
    state.mark_unchanged();
    state
}

/// Loses something, then checks that messages by id, between users on different servers, and to
/// the lobby arrive in time, on the connections that were there before.
async fn survives(lose: impl AsyncFnOnce(&mut TestCluster)) {
    let mut cluster = cluster().await;
    let [alice, bob, carol] = cluster.users(["alice", "bob", "carol"]).await;
    alice.send(&bob, "before").await;
    bob.expect("before").await;
    let states = [&alice, &bob, &carol].map(state);

    lose(&mut cluster).await;
    let heard = async {
        for (from, to, text) in [
            (&alice, &bob, "again"),
            (&bob, &carol, "for the first time"),
        ] {
            accepted(from.client().send(Recipient::User(to.id()), text)).await;
            to.expect(text).await;
        }
        carol.say("to all").await;
        tokio::join!(alice.expect("to all"), bob.expect("to all"));
    };
    timeout(HEALS_WITHIN, heard).await.expect("healed in time");

    // Healed for good: now pushes find everybody at once.
    for (from, to) in [(&bob, &alice), (&carol, &bob), (&alice, &carol)] {
        accepted(from.client().send(Recipient::User(to.id()), "healed")).await;
    }
    for user in [&alice, &bob, &carol] {
        user.expect("healed").await;
        user.client().flush().await;
    }
    for state in states {
        let unchanged = !state.has_changed().expect("the client lives");
        assert!(unchanged, "disconnected: {:?}", *state.borrow());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_go_on_when_redis_forgets_everything() {
    survives(async |cluster| {
        cluster.redis().command(&redis::cmd("FLUSHALL")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_go_on_when_redis_forgets_who_is_attached() {
    survives(async |cluster| {
        let redis = cluster.redis();
        let mut keys = redis::cmd("KEYS");
        keys.arg("im:*:sessions");
        let keys = redis.command(&keys).await;
        let keys: Vec<String> = redis::from_redis_value(keys).expect("names of keys");
        assert_eq!(keys.len(), 3);
        let mut delete = redis::cmd("DEL");
        delete.arg(keys);
        redis.command(&delete).await;
    })
    .await;
}
