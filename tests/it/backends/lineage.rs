//! What logs in Redis become when Redis loses the end of them.

use std::time::Duration;

use im_common::backend::Backend;
use im_common::backend::messages::{Appended, Range};
use im_common::id::{ConversationId, LogEpoch, Sequence};
use im_common::message::{Fork, Page, Position, Receipt};
use im_common::tasks::Tasks;
use im_tests::services::{DiskCopy, Etcd, Redis};
use redis::Value;

use super::connect;
use super::redis::{append, draft, until_ok, user};

/// A Redis that answers a change only once it is on the disk.
struct World {
    redis: Redis,
    backend: Backend,
    log: ConversationId,
    _etcd: Etcd,
    _tasks: Tasks,
}

impl World {
    async fn start() -> Self {
        let (redis, etcd) = (Redis::start_durable().await, Etcd::start().await);
        let tasks = Tasks::new();
        let backend = connect(vec![redis.url()], etcd.url(), &tasks).await;
        Self {
            redis,
            backend,
            log: ConversationId::private(user(1), user(2)),
            _etcd: etcd,
            _tasks: tasks,
        }
    }

    async fn append(&self, text: &str) -> Receipt {
        let draft = draft(&self.log, text);
        let appended = until_ok(|| append(&self.backend, draft.clone())).await;
        appended.into_receipt()
    }

    async fn fill(&self, count: usize) -> Position {
        for n in 1..count {
            self.append(&n.to_string()).await;
        }
        self.append("last").await.position
    }

    async fn lose_what_came_after(&mut self, copy: DiskCopy) {
        self.redis.lose_what_came_after(copy).await;
        until_ok(|| self.backend.messages.heads(&[])).await;
    }

    async fn resume(&self, epoch: LogEpoch, after: u64) -> Page {
        let after = Sequence(after);
        let range = Range::Resume { epoch, after };
        until_ok(|| self.backend.messages.read(&self.log, range, 100)).await
    }
}

fn texts(page: &Page) -> Vec<&str> {
    page.messages
        .iter()
        .map(|message| message.text.as_str())
        .collect()
}

fn fork(epoch: LogEpoch, sequence: u64) -> Option<Fork> {
    let sequence = Sequence(sequence);
    Some(Fork { epoch, sequence })
}

#[tokio::test]
async fn a_log_that_lost_its_end_goes_on_in_a_later_epoch() {
    let mut world = World::start().await;
    let kept = world.fill(3).await;
    let copy = world.redis.save_disk();
    let lost = draft(&world.log, "lost");
    let told = append(&world.backend, lost.clone()).await.unwrap();
    let told = told.into_receipt().position;
    assert_eq!((told.epoch, told.sequence.0), (kept.epoch, 4));

    world.lose_what_came_after(copy).await;
    let before = world.resume(kept.epoch, 4).await;
    assert_eq!(before.epoch, kept.epoch, "nothing was appended yet");
    assert_eq!(before.fork, fork(kept.epoch, 3));
    assert_eq!(texts(&before), [""; 0]);

    let other = world.append("other").await.position;
    assert!(other.epoch > kept.epoch, "4 is not given twice");
    assert_eq!(other.sequence.0, 4);
    let page = world.resume(kept.epoch, 4).await;
    assert_eq!((page.epoch, page.fork), (other.epoch, fork(kept.epoch, 3)));
    assert_eq!(texts(&page), [""; 0]);
    let page = world.resume(kept.epoch, 2).await;
    assert_eq!(texts(&page), ["last", "other"], "what is good is read on");
    assert!(page.messages.iter().all(|m| m.epoch == other.epoch));

    let again = append(&world.backend, lost).await.unwrap();
    let Appended::New(again) = again else {
        panic!("it was lost: {again:?}");
    };
    assert_eq!(again.position.epoch, other.epoch);
    assert_eq!(again.position.sequence.0, 5);
    let heads = world.backend.messages.resume(&[told, other]).await.unwrap();
    let handled: Vec<_> = heads.iter().map(|head| head.handled.0).collect();
    assert_eq!(handled, [3, 4]);
}

/// Claims what waits, and gives their sequences and texts.
async fn claim(world: &World) -> Vec<(Position, String)> {
    let messages = &world.backend.messages;
    let claimed = until_ok(|| messages.claim_unsettled(Duration::ZERO, 100)).await;
    let claimed = claimed.into_iter().map(|message| {
        let position = Position {
            conversation: message.conversation,
            epoch: message.epoch,
            sequence: message.sequence,
        };
        (position, message.text)
    });
    claimed.collect()
}

/// What is settled late, by a route that had it before the loss, is another message.
#[tokio::test]
async fn a_lost_message_does_not_settle_the_one_that_took_its_sequence() {
    let mut world = World::start().await;
    let kept = world.fill(1).await;
    let copy = world.redis.save_disk();
    let lost = world.append("lost").await.position;
    world.lose_what_came_after(copy).await;
    let other = world.append("other").await.position;
    assert_eq!(other.sequence, lost.sequence);

    // The one that was kept is settled as of its own epoch, and of no other place.
    let messages = &world.backend.messages;
    messages.settle(&[kept, lost]).await.unwrap();
    let claimed = claim(&world).await;
    assert_eq!(claimed, [(other.clone(), "other".to_owned())]);
    messages.settle(&[other]).await.unwrap();
    assert_eq!(claim(&world).await, []);
}

/// Whoever takes over a message after a restart reads it in a later epoch than it was marked in.
#[tokio::test]
async fn a_message_of_an_earlier_epoch_is_settled_in_a_later_one() {
    let mut world = World::start().await;
    let first = world.append("first").await.position;
    world.redis.restart().await;
    let second = world.append("second").await.position;
    assert!(second.epoch > first.epoch);
    let (claimed, _): (Vec<_>, Vec<_>) = claim(&world).await.into_iter().unzip();
    assert!(claimed.iter().all(|at| at.epoch == second.epoch));
    assert_eq!(claimed.len(), 2);
    world.backend.messages.settle(&claimed).await.unwrap();
    assert_eq!(claim(&world).await, []);
}

#[tokio::test]
async fn an_epoch_that_was_lost_is_good_as_far_as_the_one_before() {
    let mut world = World::start().await;
    let first = world.fill(3).await.epoch;
    world.redis.restart().await;
    let copy = world.redis.save_disk();
    let second = world.append("lost").await.position;
    assert!(second.epoch > first);
    world.lose_what_came_after(copy).await;
    let page = world.resume(second.epoch, 4).await;
    assert_eq!(page.fork, fork(second.epoch, 3));

    let third = world.append("third").await.position;
    assert!(
        third.epoch > second.epoch,
        "also than one that nobody knows"
    );
    for epoch in [first, second.epoch] {
        let page = world.resume(epoch, 4).await;
        assert_eq!(page.fork, fork(epoch, 3));
        assert_eq!(texts(&world.resume(epoch, 3).await), ["third"]);
    }
}

#[tokio::test]
async fn restarts_that_lose_nothing_leave_every_position_good() {
    let mut world = World::start().await;
    let mut positions = Vec::new();
    for _ in 0..4 {
        positions.push(world.fill(2).await);
        world.redis.restart().await;
    }
    let newest = world.append("newest").await.position;
    assert_eq!(newest.sequence.0, 9);
    let epochs: Vec<_> = positions.iter().map(|at| at.epoch).collect();
    assert!(epochs.is_sorted_by(|one, next| one < next), "{epochs:?}");
    for (n, at) in positions.iter().enumerate() {
        let page = world.resume(at.epoch, at.sequence.0).await;
        assert_eq!(page.messages.len(), 9 - 2 * (n + 1));
    }
    let heads = world.backend.messages.resume(&positions).await.unwrap();
    let handled: Vec<_> = heads.iter().map(|head| head.handled).collect();
    let reached: Vec<_> = positions.iter().map(|at| at.sequence).collect();
    assert_eq!(handled, reached);
}

#[tokio::test]
async fn a_replica_that_takes_over_begins_another_epoch_and_so_does_the_way_back() {
    let world = World::start().await;
    let replica = Redis::start_durable().await;
    replica.follow(&world.redis).await;
    let first = world.fill(2).await;
    world.redis.wait_for_replica().await;
    // The replica takes over, late by one message, and appends nothing.
    replica.stop_following().await;
    let lost = world.append("lost").await.position;
    assert_eq!((lost.epoch, lost.sequence.0), (first.epoch, 3));
    // The old master, the same process as ever, follows it and becomes the master again.
    world.redis.follow(&replica).await;
    world.redis.stop_following().await;
    let back = world.append("back").await.position;
    assert_eq!(back.sequence.0, 3);
    assert!(back.epoch > first.epoch, "3 is not given twice");
    let page = world.resume(first.epoch, 3).await;
    assert_eq!(page.fork, fork(first.epoch, 2));
}

#[tokio::test]
async fn a_log_remembers_so_many_epochs() {
    let world = World::start().await;
    let epoch = world.fill(2).await.epoch;
    let pattern = format!("test:*:meta:{}", world.log);
    let found = world.redis.command(redis::cmd("KEYS").arg(pattern)).await;
    let found: Vec<String> = redis::from_redis_value(found).unwrap();
    let [meta] = found.as_slice() else {
        panic!("one log: {found:?}");
    };
    let key = meta.replace("meta", "epochs");
    let mut push = redis::cmd("RPUSH");
    push.arg(&key);
    for n in 0..70_u64 {
        push.arg(format!("{}:1", epoch.0 - 100 + n));
    }
    world.redis.command(&push).await;
    // What the script goes by: the life in which it was last appended to.
    let mut forget = redis::cmd("HDEL");
    forget.arg(meta).arg("life");
    assert_eq!(world.redis.command(&forget).await, Value::Int(1));
    world.append("after").await;
    let length = world.redis.command(redis::cmd("LLEN").arg(&key)).await;
    assert_eq!(length, Value::Int(64));
    let oldest = world.resume(LogEpoch(epoch.0 - 100), 1).await;
    assert_eq!(oldest.fork, fork(LogEpoch(epoch.0 - 100), 0));
    let newest = world.resume(epoch, 2).await;
    assert_eq!(newest.fork, fork(epoch, 2));
}
