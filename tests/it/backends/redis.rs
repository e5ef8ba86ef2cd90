//! Directory, logs and sessions in one Redis and in a Redis Cluster.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use im_common::backend::directory::{LOGINS_MAX, Registered};
use im_common::backend::messages::{AppendError, Appended, Range};
use im_common::backend::sessions::{Attached, Renewed, SlotPolicy};
use im_common::backend::{Backend, BackendError, Mode, contract};
use im_common::id::{
    ConnectionId, ConversationId, DeviceId, MessageId, ServerId, SessionEpoch, UserId,
};
use im_common::message::{Draft, Identity, Session};
use im_common::name::UserName;
use im_common::secret::Secret;
use im_common::tasks::Tasks;
use im_tests::services::{Etcd, Redis, RedisCluster};
use redis::Value;
use tokio::time::{Instant, timeout};

use super::{SOON, connect, etcd_config, redis_config};

/// The slot of `{s51}`, the lobby's hash tag; the second node of a cluster has it.
const LOBBY_SLOT: u16 = 7498;
/// The slot of `{u2}`; the second node has it, too.
const SECOND_USER_SLOT: u16 = 8637;
/// A call during an outage must not take longer.
const FAILS_WITHIN: Duration = Duration::from_secs(3);

async fn contracts(backend: Backend) {
    contract::directory::suite(Arc::clone(&backend.directory)).await;
    contract::messages::suite(Arc::clone(&backend.messages)).await;
    contract::sessions::suite(Arc::clone(&backend.sessions)).await;
}

pub(super) fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn device(id: &str) -> DeviceId {
    DeviceId::new(id).unwrap()
}

pub(super) fn draft(conversation: &ConversationId, text: &str) -> Draft {
    Draft {
        conversation: conversation.clone(),
        id: MessageId::fresh(),
        sender: Identity {
            user: user(1),
            name: UserName::new("alice").unwrap(),
            device: device("desk"),
        },
        text: text.to_owned(),
    }
}

pub(super) async fn append(backend: &Backend, draft: Draft) -> Result<Appended, AppendError> {
    backend.messages.append(vec![draft]).await.remove(0)
}

/// Runs a call again until it succeeds.
pub(super) async fn until_ok<T, E, F>(mut call: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, E>>,
{
    let again = async {
        loop {
            if let Ok(value) = call().await {
                break value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, again).await.expect("it works again")
}

async fn assert_fails_fast<T, E: std::fmt::Display>(call: impl Future<Output = Result<T, E>>) {
    let started = Instant::now();
    let Err(error) = call.await else {
        panic!("nobody is there to answer");
    };
    assert!(started.elapsed() < FAILS_WITHIN, "{error}");
}

#[tokio::test]
async fn one_redis_keeps_the_contracts() {
    let (redis, etcd, tasks) = (Redis::start().await, Etcd::start().await, Tasks::new());
    contracts(connect(vec![redis.url()], etcd.url(), &tasks).await).await;
}

#[tokio::test]
async fn a_redis_cluster_keeps_the_contracts() {
    let (cluster, etcd) = (RedisCluster::start().await, Etcd::start().await);
    let tasks = Tasks::new();
    contracts(connect(cluster.urls(), etcd.url(), &tasks).await).await;
}

#[tokio::test]
async fn one_node_of_a_cluster_leads_to_the_others() {
    let (cluster, etcd) = (RedisCluster::start().await, Etcd::start().await);
    let tasks = Tasks::new();
    let one = vec![cluster.urls().remove(0)];
    let backend = connect(one, etcd.url(), &tasks).await;
    for other in 2..50 {
        let conversation = ConversationId::private(user(1), user(other));
        append(&backend, draft(&conversation, "hi")).await.unwrap();
    }
}

#[tokio::test]
async fn a_dead_master_costs_its_own_conversations_only() {
    let (mut cluster, etcd) = (RedisCluster::start().await, Etcd::start().await);
    let tasks = Tasks::new();
    let backend = connect(cluster.urls(), etcd.url(), &tasks).await;
    cluster.node(2).kill();
    let drafts: Vec<_> = (2..100)
        .map(|other| draft(&ConversationId::private(user(1), user(other)), "hi"))
        .collect();
    for _ in 0..5 {
        let started = Instant::now();
        let outcomes = backend.messages.append(drafts.clone()).await;
        assert!(started.elapsed() < Duration::from_secs(1));
        let stored = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!((1..drafts.len()).contains(&stored), "{stored} stored");
    }

    cluster.node(2).restart().await;
    until_ok(|| async {
        let outcomes = backend.messages.append(drafts.clone()).await;
        outcomes.into_iter().collect::<Result<Vec<_>, _>>()
    })
    .await;
}

#[tokio::test]
async fn an_outage_fails_fast_and_heals() {
    let (mut redis, etcd) = (Redis::start_durable().await, Etcd::start().await);
    let tasks = Tasks::new();
    let backend = connect(vec![redis.url()], etcd.url(), &tasks).await;
    let conversation = ConversationId::private(user(1), user(2));
    let before = append(&backend, draft(&conversation, "before")).await;
    let before = before.unwrap().into_receipt().position;

    redis.kill();
    for _ in 0..3 {
        assert_fails_fast(append(&backend, draft(&conversation, "lost"))).await;
        assert_fails_fast(backend.messages.heads(std::slice::from_ref(&conversation))).await;
        assert_fails_fast(backend.sessions.locate(&[user(1), user(2)])).await;
        assert_fails_fast(backend.directory.name_of(user(1))).await;
    }

    redis.restart().await;
    let again = draft(&conversation, "after");
    let after = until_ok(|| append(&backend, again.clone())).await;
    let after = after.into_receipt().position;
    assert!(after.epoch > before.epoch, "it may have lost its end");
    assert_eq!(after.sequence, before.sequence.next());
    let page = backend.messages.read(&conversation, Range::Newest, 10);
    let texts: Vec<_> = page.await.unwrap().messages;
    let texts: Vec<_> = texts.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts, ["before", "after"]);
}

#[tokio::test]
async fn a_redis_that_hangs_fails_in_time() {
    let (redis, etcd, tasks) = (Redis::start().await, Etcd::start().await, Tasks::new());
    let backend = connect(vec![redis.url()], etcd.url(), &tasks).await;
    let everybody: Vec<_> = (1..2000).map(user).collect();
    redis.pause();
    assert_fails_fast(append(&backend, draft(&ConversationId::Lobby, "hi"))).await;
    assert_fails_fast(backend.sessions.locate(&everybody)).await;
    redis.resume();
    until_ok(|| append(&backend, draft(&ConversationId::Lobby, "hi"))).await;
}

#[tokio::test]
async fn a_master_that_hangs_does_not_hold_up_the_others() {
    let (mut cluster, etcd) = (RedisCluster::start().await, Etcd::start().await);
    let tasks = Tasks::new();
    let backend = connect(cluster.urls(), etcd.url(), &tasks).await;
    let lobby = || append(&backend, draft(&ConversationId::Lobby, "hi"));
    lobby().await.unwrap();
    cluster.node(0).pause();
    let elsewhere: Vec<_> = (1..200).map(user).collect();
    let waits = backend.sessions.locate(&elsewhere);
    let goes_on = async {
        for _ in 0..20 {
            let started = Instant::now();
            lobby().await.unwrap();
            assert!(started.elapsed() < Duration::from_secs(1));
        }
    };
    let (waited, ()) = tokio::join!(waits, goes_on);
    assert!(waited.is_err(), "a third of them is on the node that hangs");
    cluster.node(0).resume();
}

#[tokio::test]
async fn a_slot_is_followed_while_it_moves_and_after() {
    let (mut cluster, etcd) = (RedisCluster::start().await, Etcd::start().await);
    let tasks = Tasks::new();
    let backend = connect(cluster.urls(), etcd.url(), &tasks).await;
    let [target, source] = [cluster.node_id(0).await, cluster.node_id(1).await];
    let slots = [LOBBY_SLOT, SECOND_USER_SLOT];
    let second = user(2);

    for slot in slots {
        let importing = cluster.node(0).set_slot(slot, "IMPORTING", &source);
        importing.await;
        let migrating = cluster.node(1).set_slot(slot, "MIGRATING", &target);
        migrating.await;
    }
    assert_eq!(backend.sessions.locate(&[second]).await.unwrap(), []);
    assert_eq!(backend.directory.name_of(second).await.unwrap(), None);
    // A script with several keys cannot run while they may be on either side.
    let error = append(&backend, draft(&ConversationId::Lobby, "hi")).await;
    let error = error.unwrap_err();
    assert!(matches!(error, AppendError::Backend(_)), "{error}");

    for node in 0..3 {
        for slot in slots {
            let moved = cluster.node(node).set_slot(slot, "NODE", &target);
            moved.await;
        }
    }
    let moved = append(&backend, draft(&ConversationId::Lobby, "hi")).await;
    assert_eq!(moved.unwrap().into_receipt().position.sequence.0, 1);
    assert_eq!(backend.sessions.locate(&[second]).await.unwrap(), []);
}

#[tokio::test]
async fn a_lost_log_begins_anew_in_another_epoch() {
    let (redis, etcd, tasks) = (Redis::start().await, Etcd::start().await, Tasks::new());
    let backend = connect(vec![redis.url()], etcd.url(), &tasks).await;
    let again = draft(&ConversationId::Lobby, "hi");
    let before = append(&backend, again.clone()).await.unwrap();
    // Loses a part only; and the scripts, which are sent again without anybody noticing.
    let mut lose = redis::cmd("DEL");
    lose.arg("test:{s51}:log:lobby");
    assert_eq!(redis.command(&lose).await, Value::Int(1));
    redis.command(redis::cmd("SCRIPT").arg("FLUSH")).await;

    let after = append(&backend, again).await.unwrap();
    let Appended::New(after) = after else {
        panic!("nothing of the old log is left: {after:?}");
    };
    assert_eq!(after.position.sequence.0, 1);
    assert_ne!(after.position.epoch, before.into_receipt().position.epoch);
}

#[tokio::test]
async fn hundreds_of_drafts_keep_their_order() {
    let (redis, etcd, tasks) = (Redis::start().await, Etcd::start().await, Tasks::new());
    let backend = connect(vec![redis.url()], etcd.url(), &tasks).await;
    let drafts = (0..1000).map(|n| draft(&ConversationId::Lobby, &n.to_string()));
    let outcomes = backend.messages.append(drafts.collect()).await;
    for (n, outcome) in (1..).zip(outcomes) {
        assert_eq!(outcome.unwrap().into_receipt().position.sequence.0, n);
    }
}

#[tokio::test]
async fn an_expired_session_is_gone() {
    let (redis, etcd, tasks) = (Redis::start().await, Etcd::start().await, Tasks::new());
    let sessions = connect(vec![redis.url()], etcd.url(), &tasks)
        .await
        .sessions;
    let session = Session {
        user: user(42),
        device: device("desk"),
        server: ServerId::fresh(),
        connection: ConnectionId(7),
        epoch: SessionEpoch {
            login: 5,
            attempt: 2,
        },
    };
    sessions
        .attach(&session, SlotPolicy::default())
        .await
        .unwrap();
    let key = "test:{u42}:sessions";
    let remaining = redis.command(redis::cmd("PTTL").arg(key)).await;
    assert!(matches!(remaining, Value::Int(1..=60_000)), "{remaining:?}");

    let mut age = redis::cmd("HSET");
    let expired = format!("1 5 2 {} 7 ab", session.server);
    age.arg(key).arg("desk").arg(expired);
    redis.command(&age).await;
    assert_eq!(sessions.locate(&[user(42)]).await.unwrap(), []);
    let renewed = sessions
        .renew(std::slice::from_ref(&session), SlotPolicy::default())
        .await;
    assert_eq!(renewed.unwrap(), [Renewed::Restored]);

    redis.command(&age).await;
    let older = Session {
        epoch: SessionEpoch {
            login: 4,
            attempt: 1,
        },
        ..session
    };
    // A ghost locks nobody out, even one whose epoch is greater.
    assert_eq!(
        sessions
            .attach(&older, SlotPolicy::default())
            .await
            .unwrap(),
        Attached::Holds(vec![])
    );
}

#[tokio::test]
async fn a_registration_that_was_cut_short_is_completed() {
    let (redis, etcd, tasks) = (Redis::start().await, Etcd::start().await, Tasks::new());
    let directory = connect(vec![redis.url()], etcd.url(), &tasks)
        .await
        .directory;
    let name = UserName::new("Alice").unwrap();
    let register = |name: UserName| {
        let directory = Arc::clone(&directory);
        async move { directory.register(&name, Secret("hash".to_owned())).await }
    };
    let Registered::New(alice) = register(name.clone()).await.unwrap() else {
        panic!("the name is free");
    };
    let mut lose = redis::cmd("DEL");
    lose.arg(format!("test:{{u{}}}:name", alice.user));
    assert_eq!(redis.command(&lose).await, Value::Int(1));
    assert_eq!(directory.find(&name).await.unwrap(), Some(alice.clone()));
    assert_eq!(directory.name_of(alice.user).await.unwrap(), Some(name));

    // The counter is lost, the accounts are not: no id is given out twice.
    let mut ids = vec![alice.user];
    for name in ["bob", "carol", "dave"] {
        redis.command(redis::cmd("DEL").arg("test:last-user")).await;
        let registered = register(UserName::new(name).unwrap()).await.unwrap();
        let Registered::New(account) = registered else {
            panic!("the name is free");
        };
        assert!(!ids.contains(&account.user));
        ids.push(account.user);
    }
}

#[tokio::test]
async fn the_oldest_login_goes_when_there_are_too_many() {
    let (redis, etcd, tasks) = (Redis::start().await, Etcd::start().await, Tasks::new());
    let directory = connect(vec![redis.url()], etcd.url(), &tasks)
        .await
        .directory;
    for n in 0..=LOGINS_MAX {
        let device = device(&n.to_string());
        directory.log_in(user(1), &device, [7; 32]).await.unwrap();
    }
    let login = async |n: usize| {
        directory
            .login(user(1), &device(&n.to_string()))
            .await
            .unwrap()
    };
    assert_eq!(login(0).await, None);
    assert!(login(1).await.is_some());
    assert!(login(LOGINS_MAX).await.is_some());
}

#[tokio::test]
async fn a_cold_start_without_redis_says_what_is_missing_and_no_password() {
    let etcd = Etcd::start().await;
    let (mut redis, tasks) = (Redis::start().await, Tasks::new());
    redis.kill();
    let url = redis.url().replace("redis://", "redis://:open-sesame@");
    let mode = Mode::Cluster(redis_config(vec![url]), etcd_config(etcd.url()));
    let started = Instant::now();
    let error = Backend::connect(&mode, &tasks).await.unwrap_err();
    assert!(started.elapsed() < FAILS_WITHIN);
    assert!(matches!(error, BackendError::Unavailable(_)));
    let address = redis.url().replace("redis://", "");
    let error = error.to_string();
    assert!(error.contains(&address), "{error}");
    assert!(!error.contains("open-sesame"), "{error}");
}
