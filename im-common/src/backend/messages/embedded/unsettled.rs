//! Which messages wait for their fan-out, and when somebody else may take them over.
//!
//! The marks themselves are durable; this is their index by time, so that a claim does not read
//! the database. After a restart all of them wait anew.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::id::{ConversationId, Sequence};

/// About 20 MB. So many wait only while no server takes anything; the marks left out are loaded
/// once half of these are settled.
const INDEX_MAX: usize = 100_000;
/// Claims of one message become rarer up to this: it is soon enough after a long outage.
const CLAIM_AGAIN_WITHIN: Duration = Duration::from_secs(30);

type Mark = (ConversationId, Sequence);

/// The index of marks by time.
#[derive(Debug, Default)]
pub(super) struct Unsettled {
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    by_time: BTreeSet<(Instant, Mark)>,
    waits: HashMap<Mark, Wait>,
    left_out: bool,
}

/// A message is claimed when `waiting` has passed since `since`.
#[derive(Debug, Clone, Copy)]
struct Wait {
    since: Instant,
    claims: u32,
}

impl Unsettled {
    /// Notes that a message waits, unless it is known. Returns whether there was room.
    pub(super) fn note(
        &self,
        conversation: ConversationId,
        sequence: Sequence,
        since: Instant,
    ) -> bool {
        let mark = (conversation, sequence);
        let mut index = self.index.lock();
        if index.waits.contains_key(&mark) {
            return true;
        }
        if index.waits.len() >= INDEX_MAX {
            index.left_out = true;
            return false;
        }
        index.by_time.insert((since, mark.clone()));
        index.waits.insert(mark, Wait { since, claims: 0 });
        true
    }

    /// Forgets messages that have reached everybody.
    pub(super) fn forget(&self, marks: &[Mark]) {
        let mut index = self.index.lock();
        for mark in marks {
            if let Some(wait) = index.waits.remove(mark) {
                index.by_time.remove(&(wait.since, mark.clone()));
            }
        }
    }

    /// Returns those that wait for long enough, the longest first, and has them wait anew: `waiting`
    /// after the first claim, twice as long after each further one.
    pub(super) fn claim(&self, now: Instant, waiting: Duration, limit: usize) -> Vec<Mark> {
        let mut index = self.index.lock();
        let due: Vec<_> = index
            .by_time
            .iter()
            .take_while(|(since, _)| *since + waiting <= now)
            .take(limit)
            .cloned()
            .collect();
        due.into_iter()
            .map(|(since, mark)| {
                index.by_time.remove(&(since, mark.clone()));
                let wait = index
                    .waits
                    .get_mut(&mark)
                    .expect("both hold the same marks");
                wait.since = now + longer_than(waiting, wait.claims);
                wait.claims += 1;
                let since = wait.since;
                index.by_time.insert((since, mark.clone()));
                mark
            })
            .collect()
    }

    /// Whether marks were left out for which there is room now.
    pub(super) fn has_room_for_more(&self) -> bool {
        let index = self.index.lock();
        index.left_out && index.waits.len() <= INDEX_MAX / 2
    }

    /// Must come before noting all marks of the database.
    pub(super) fn begin_loading(&self) {
        self.index.lock().left_out = false;
    }
}

/// How much longer than `waiting` a message waits for its next claim after so many earlier ones.
fn longer_than(waiting: Duration, claims: u32) -> Duration {
    let doubled = waiting.saturating_mul(1u32.checked_shl(claims).unwrap_or(u32::MAX));
    doubled.min(CLAIM_AGAIN_WITHIN).saturating_sub(waiting)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITING: Duration = Duration::from_secs(2);

    fn mark(sequence: u64) -> Mark {
        (ConversationId::Lobby, Sequence(sequence))
    }

    #[test]
    fn claims_become_rarer_up_to_half_a_minute() {
        let unsettled = Unsettled::default();
        let mut now = Instant::now();
        unsettled.note(ConversationId::Lobby, Sequence(1), now);
        let mut waits = Vec::new();
        for _ in 0..8 {
            let claimed_at = now;
            while unsettled.claim(now, WAITING, 10).is_empty() {
                now += Duration::from_secs(1);
            }
            waits.push((now - claimed_at).as_secs());
        }
        assert_eq!(waits, [2, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn what_is_left_out_is_loaded_when_there_is_room() {
        let unsettled = Unsettled::default();
        let now = Instant::now();
        let all = u64::try_from(INDEX_MAX).unwrap();
        for sequence in 1..=all {
            assert!(unsettled.note(ConversationId::Lobby, Sequence(sequence), now));
        }
        assert!(!unsettled.note(ConversationId::Lobby, Sequence(all + 1), now));
        assert!(!unsettled.has_room_for_more());
        let settled: Vec<_> = (1..=all / 2).map(mark).collect();
        unsettled.forget(&settled);
        assert!(unsettled.has_room_for_more());
        unsettled.begin_loading();
        assert!(unsettled.note(ConversationId::Lobby, Sequence(all + 1), now));
        assert!(!unsettled.has_room_for_more());
    }
}
