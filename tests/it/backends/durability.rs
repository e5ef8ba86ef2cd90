//! What SIGKILL takes from Redis, by its settings: the table "Durability" of the README.
//!
//! A killed process loses what it had not handed to the system; what the system had not written to
//! the disk when the power failed is not shown here, but in `lineage`, by copies of the disk.

use std::cell::Cell;
use std::collections::HashSet;

use futures::future::join_all;
use im_common::backend::Backend;
use im_common::backend::messages::{Appended, Range};
use im_common::id::{ConversationId, Sequence};
use im_common::message::{Draft, Receipt, StoredMessage};
use im_common::tasks::Tasks;
use im_tests::PATIENCE;
use im_tests::services::{Etcd, Redis};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::connect;
use super::redis::{append, draft, until_ok, user};

/// Who writes at a time, so that the kill meets some in mid-flight.
const WRITERS: usize = 8;
/// What is accepted at least before the kill.
const BEFORE_THE_KILL: u32 = 300;

/// A message that was accepted, and as what.
type Accepted = (Draft, Receipt);

struct World {
    redis: Redis,
    backend: Backend,
    log: ConversationId,
    _etcd: Etcd,
    _tasks: Tasks,
}

impl World {
    async fn start(settings: &[&str]) -> Self {
        let (redis, etcd) = (Redis::start_with(settings).await, Etcd::start().await);
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

    /// Writes from all sides and kills Redis in the middle; returns what was accepted, by number.
    async fn accepted_until_killed(&mut self) -> Vec<Accepted> {
        let (accepted, count) = (Mutex::new(Vec::new()), Semaphore::new(0));
        let is_killed = Cell::new(false);
        let (backend, log, redis) = (&self.backend, &self.log, &mut self.redis);
        let write = async |writer: usize| {
            for n in 0.. {
                let draft = draft(log, &format!("{writer}.{n}"));
                match append(backend, draft.clone()).await {
                    Ok(appended) => {
                        accepted.lock().push((draft, appended.into_receipt()));
                        count.add_permits(1);
                    }
                    Err(_) if is_killed.get() => return,
                    // A disk may be so slow that the answer does not come in time.
                    Err(_) => {}
                }
            }
        };
        let kill = async {
            let enough = timeout(PATIENCE, count.acquire_many(BEFORE_THE_KILL)).await;
            let enough = enough.expect("redis accepts most of what is written");
            enough.expect("never closed").forget();
            redis.kill();
            is_killed.set(true);
        };
        tokio::join!(join_all((0..WRITERS).map(write)), kill);
        sorted(accepted.into_inner())
    }

    /// Writes a number of messages, one after another.
    async fn write(&self, count: usize) -> Vec<Accepted> {
        let mut accepted = Vec::new();
        for n in 0..count {
            let draft = draft(&self.log, &n.to_string());
            let receipt = append(&self.backend, draft.clone()).await.unwrap();
            accepted.push((draft, receipt.into_receipt()));
        }
        accepted
    }

    async fn restart(&mut self) {
        self.redis.restart().await;
        until_ok(|| self.backend.messages.heads(&[])).await;
    }

    /// The whole log; its sequences have no gaps.
    async fn log(&self) -> Vec<StoredMessage> {
        let mut log: Vec<StoredMessage> = Vec::new();
        loop {
            let after = Range::After(Sequence(log.len() as u64));
            let page = until_ok(|| self.backend.messages.read(&self.log, after, 100)).await;
            if page.messages.is_empty() {
                return log;
            }
            log.extend(page.messages);
            for (message, n) in log.iter().zip(1..) {
                assert_eq!(message.sequence, Sequence(n), "no gaps");
            }
        }
    }

    /// Checks that the log holds a beginning of what was accepted and nothing in another's place;
    /// returns how many accepted messages are missing.
    async fn missing(&self, accepted: &[Accepted]) -> usize {
        let log = self.log().await;
        let (there, lost): (Vec<_>, Vec<_>) = accepted
            .iter()
            .partition(|(_, receipt)| receipt.position.sequence.0 <= log.len() as u64);
        for (draft, receipt) in there {
            let at = receipt.position.sequence.0 as usize - 1;
            assert_eq!(
                log[at].id, draft.id,
                "another one has the place of {draft:?}"
            );
            assert_eq!(log[at].text, draft.text);
        }
        lost.len()
    }

    /// Offers again all that was accepted: what was lost comes into a later epoch, under numbers
    /// that tell it from what was lost, and in the end each message is there once.
    async fn assert_it_goes_on(&self, accepted: &[Accepted]) {
        let before = self.log().await.len() as u64;
        let newest = accepted.iter().map(|(_, receipt)| receipt.position.epoch);
        let newest = newest.max().expect("something was accepted");
        let other = append(&self.backend, draft(&self.log, "other")).await;
        let other = other.unwrap().into_receipt().position;
        assert!(other.epoch > newest, "no number is given twice");
        assert_eq!(other.sequence.0, before + 1);
        for (draft, receipt) in accepted {
            let was_lost = receipt.position.sequence.0 > before;
            let range = Range::Resume {
                epoch: receipt.position.epoch,
                after: receipt.position.sequence,
            };
            let page = self.backend.messages.read(&self.log, range, 1).await;
            let page = page.unwrap();
            let good_up_to = page.fork.map_or(0, |fork| fork.sequence.0);
            assert_eq!(page.epoch, other.epoch);
            assert_eq!(
                good_up_to < receipt.position.sequence.0,
                was_lost,
                "{page:?}"
            );
            let again = append(&self.backend, draft.clone()).await.unwrap();
            assert_eq!(matches!(again, Appended::New(_)), was_lost, "{again:?}");
        }
        let log = self.log().await;
        let ids: HashSet<_> = log.iter().map(|message| message.id).collect();
        assert_eq!(ids.len(), log.len(), "each is there once");
        assert!(accepted.iter().all(|(draft, _)| ids.contains(&draft.id)));
    }
}

fn sorted(mut accepted: Vec<Accepted>) -> Vec<Accepted> {
    accepted.sort_by_key(|(_, receipt)| receipt.position.sequence);
    accepted
}

#[tokio::test]
async fn always_loses_nothing_that_was_accepted() {
    let mut world = World::start(&["--appendonly", "yes", "--appendfsync", "always"]).await;
    let accepted = world.accepted_until_killed().await;
    world.restart().await;
    assert_eq!(world.missing(&accepted).await, 0);
    world.assert_it_goes_on(&accepted).await;
}

/// Redis hands every change to the system before it answers, and leaves the disk to the system.
#[tokio::test]
async fn without_syncing_a_kill_loses_nothing_that_was_accepted() {
    let mut world = World::start(&["--appendonly", "yes", "--appendfsync", "no"]).await;
    let accepted = world.accepted_until_killed().await;
    world.restart().await;
    assert_eq!(world.missing(&accepted).await, 0);
    world.assert_it_goes_on(&accepted).await;
}

/// While a sync is under way Redis may answer before it hands the change to the system. What was
/// handed over stays.
#[tokio::test]
async fn syncing_each_second_a_kill_loses_nothing_that_was_handed_to_the_system() {
    let mut world = World::start(&["--appendonly", "yes", "--appendfsync", "everysec"]).await;
    let handed_over = world.write(100).await;
    let is_empty = |info: &str| info.contains("aof_buffer_length:0\r");
    world.redis.wait_for_info("persistence", is_empty).await;
    let mut accepted = handed_over.clone();
    accepted.extend(world.accepted_until_killed().await);
    world.restart().await;
    assert_eq!(world.missing(&handed_over).await, 0);
    // Of the others, what is missing is missing at the end.
    world.missing(&accepted).await;
    world.assert_it_goes_on(&accepted).await;
}

#[tokio::test]
async fn snapshots_keep_a_beginning_and_say_so() {
    let mut world = World::start(&["--appendonly", "no", "--save", ""]).await;
    let mut accepted = world.write(100).await;
    world.redis.command(&redis::cmd("SAVE")).await;
    accepted.extend(world.accepted_until_killed().await);
    world.restart().await;
    assert_eq!(world.missing(&accepted).await, accepted.len() - 100);
    world.assert_it_goes_on(&accepted).await;
}

/// As Redis is set when nobody sets it, but more often.
#[tokio::test]
async fn snapshots_that_redis_takes_while_it_is_written_to_keep_a_beginning() {
    let mut world = World::start(&["--appendonly", "no", "--save", "1 1"]).await;
    let mut accepted = world.write(100).await;
    let is_saved = |info: &str| {
        info.contains("rdb_last_bgsave_status:ok")
            && info.contains("rdb_bgsave_in_progress:0")
            && info.contains("rdb_changes_since_last_save:0\r")
    };
    world.redis.wait_for_info("persistence", is_saved).await;
    accepted.extend(world.accepted_until_killed().await);
    world.restart().await;
    assert!(world.missing(&accepted).await <= accepted.len() - 100);
    world.assert_it_goes_on(&accepted).await;
}

#[tokio::test]
async fn without_persistence_everything_is_lost_and_the_log_begins_anew() {
    let mut world = World::start(&["--appendonly", "no", "--save", ""]).await;
    let accepted = world.accepted_until_killed().await;
    world.restart().await;
    assert_eq!(world.missing(&accepted).await, accepted.len());
    world.assert_it_goes_on(&accepted).await;
}
