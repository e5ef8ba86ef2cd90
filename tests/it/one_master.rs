//! One master of a Redis Cluster is down, the one that has the lobby: whoever has nothing else
//! there attaches and chats all the same, and the lobby follows when it is back.

use std::collections::HashSet;
use std::time::Duration;

use im_tests::cluster::TestCluster;
use im_tests::services::RedisCluster;
use im_tests::user::{TestUser, accepted};
use tokio::time::timeout;

/// The master of the lobby's hash tag.
const LOBBY_MASTER: usize = 1;
/// The others.
const ALIVE: [usize; 2] = [0, 2];
/// Where users, names and conversations are is left to chance: two of three are on the others.
const USERS_MAX: usize = 100;
/// Attaching must not wait for what is away.
const ATTACHES_WITHIN: Duration = Duration::from_secs(3);

/// The keys on the masters that stay alive.
async fn keys(redis: &mut RedisCluster, pattern: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    for node in ALIVE {
        let mut keys = redis::cmd("KEYS");
        keys.arg(pattern);
        let keys = redis.node(node).command(&keys).await;
        found.extend(redis::from_redis_value::<Vec<String>>(keys).expect("names of keys"));
    }
    found
}

/// Whether a user's account, name and session are on masters that stay alive.
async fn is_safe(redis: &mut RedisCluster, user: &TestUser) -> bool {
    let entry = format!("im:{{u{}}}:name", user.id());
    let mut ids = Vec::new();
    for key in keys(redis, "im:{n:*").await {
        for node in ALIVE {
            let mut id = redis::cmd("EVAL");
            let script = "return redis.pcall('HGET', KEYS[1], 'id')";
            id.arg(script).arg(1).arg(&key);
            let id = redis.node(node).try_command(&id).await;
            ids.extend(id.and_then(|id| redis::from_redis_value::<String>(id).ok()));
        }
    }
    ids.contains(&user.id().to_string()) && keys(redis, &entry).await.contains(&entry)
}

/// Two users whose chat needs nothing of the master that will be down.
async fn safe_pair(cluster: &mut TestCluster) -> (TestUser, TestUser) {
    let mut safe: Vec<TestUser> = Vec::new();
    for n in 0..USERS_MAX {
        let user = cluster.user(&format!("user-{n}")).await;
        if !is_safe(cluster.redis_cluster(), &user).await {
            continue;
        }
        for (index, other) in safe.iter().enumerate() {
            let sent = user.send(other, "before").await;
            let log = format!("im:*:log:{}", sent.position.conversation);
            if !keys(cluster.redis_cluster(), &log).await.is_empty() {
                return (safe.swap_remove(index), user);
            }
        }
        safe.push(user);
    }
    panic!("each of the users needs the lobby's master");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_attach_and_chat_while_the_lobbys_master_is_down() {
    let mut cluster = TestCluster::sharded_with(1, 2).await;
    let (ada, mut bea) = safe_pair(&mut cluster).await;
    ada.say("in the lobby").await;
    bea.expect("in the lobby").await;
    bea.disconnect().await;
    ada.say("while bea was away").await;
    ada.send(&bea, "this too").await;

    cluster.redis_cluster().node(LOBBY_MASTER).kill();
    timeout(ATTACHES_WITHIN, bea.reconnect())
        .await
        .expect("attached in time");
    bea.expect("this too").await;
    ada.send(&bea, "can you hear me?").await;
    bea.expect("can you hear me?").await;
    bea.send(&ada, "yes").await;
    ada.expect("yes").await;
    let lobby = bea
        .client()
        .send(im_common::message::Recipient::Lobby, "to all, later");

    cluster.redis_cluster().node(LOBBY_MASTER).restart().await;
    accepted(lobby).await;
    bea.expect("while bea was away").await;
    ada.expect("to all, later").await;
    for user in [&ada, &bea] {
        user.check_order();
    }
}
