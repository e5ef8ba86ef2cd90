//! A Redis that answers, but not with what is wanted: its memory is full, or somebody else's value
//! is at one of our keys.

use im_common::backend::BackendError;
use im_common::backend::messages::{AppendError, Range};
use im_common::id::{ConversationId, Sequence};
use im_common::tasks::Tasks;
use im_tests::services::{Etcd, Redis};
use redis::Value;

use super::connect;
use super::redis::{append, draft, until_ok, user};

/// Less than any Redis needs: every change is refused.
const NO_MEMORY: &str = "1";

async fn set_memory(redis: &Redis, bytes: &str) {
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg(bytes);
    assert_eq!(redis.command(&set).await, Value::Okay);
}

#[tokio::test]
async fn a_redis_without_memory_refuses_writes_says_why_and_goes_on_later() {
    let (redis, etcd, tasks) = (
        Redis::start_durable().await,
        Etcd::start().await,
        Tasks::new(),
    );
    let backend = connect(vec![redis.url()], etcd.url(), &tasks).await;
    let log = ConversationId::private(user(1), user(2));
    append(&backend, draft(&log, "before")).await.unwrap();

    set_memory(&redis, NO_MEMORY).await;
    let refused: Vec<_> = (0..300).map(|n| draft(&log, &n.to_string())).collect();
    for outcome in backend.messages.append(refused.clone()).await {
        let Err(AppendError::Backend(BackendError::Unavailable(reason))) = outcome else {
            panic!("it may be offered again: {outcome:?}");
        };
        assert!(reason.contains("maxmemory"), "{reason}");
    }
    let page = backend.messages.read(&log, Range::Newest, 10).await;
    assert_eq!(page.unwrap().messages.len(), 1, "reading goes on");

    set_memory(&redis, "0").await;
    let outcomes = backend.messages.append(refused).await;
    for (outcome, n) in outcomes.into_iter().zip(2..) {
        let receipt = outcome.unwrap().into_receipt();
        assert_eq!(
            receipt.position.sequence,
            Sequence(n),
            "nothing was half done"
        );
    }
}

#[tokio::test]
async fn a_value_of_another_kind_at_a_key_of_a_log_stops_this_log_only() {
    let (redis, etcd, tasks) = (Redis::start().await, Etcd::start().await, Tasks::new());
    let backend = connect(vec![redis.url()], etcd.url(), &tasks).await;
    let other = ConversationId::private(user(1), user(2));
    let lobby = || append(&backend, draft(&ConversationId::Lobby, "hi"));
    let first = lobby().await.unwrap().into_receipt().position;
    for (n, key) in (2..).zip([
        "ids:lobby",
        "meta:lobby",
        "log:lobby",
        "epochs:lobby",
        "unsettled",
    ]) {
        let key = format!("test:{{s51}}:{key}");
        let aside = format!("{key}:aside");
        let has_value = redis.command(redis::cmd("EXISTS").arg(&key)).await == Value::Int(1);
        if has_value {
            redis
                .command(redis::cmd("RENAME").arg(&key).arg(&aside))
                .await;
        }
        redis.command(redis::cmd("SET").arg(&key).arg("x")).await;
        for _ in 0..3 {
            let both = vec![
                draft(&ConversationId::Lobby, "hi"),
                draft(&other, "elsewhere"),
            ];
            let [here, elsewhere] = backend.messages.append(both).await.try_into().unwrap();
            elsewhere.unwrap();
            let Err(AppendError::Backend(error)) = here else {
                panic!("{key} cannot be written: {here:?}");
            };
            assert!(error.to_string().contains("WRONGTYPE"), "{key}: {error}");
        }
        redis.command(redis::cmd("DEL").arg(&key)).await;
        if has_value {
            redis
                .command(redis::cmd("RENAME").arg(&aside).arg(&key))
                .await;
        }
        let next = until_ok(lobby).await.into_receipt().position;
        assert_eq!(next.epoch, first.epoch, "{key} is as it was");
        assert_eq!(next.sequence, Sequence(n), "{key}: nothing was half done");
    }
    let page = backend.messages.read(&other, Range::Newest, 100).await;
    assert_eq!(page.unwrap().messages.len(), 15, "each of the others once");
}
