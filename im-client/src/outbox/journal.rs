//! What the store has yet to be told of the sends, for a client that has one.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use im_common::id::MessageId;
use im_common::message::Submission;
use tokio::time::Instant;

use crate::store::{Change, PendingSend};

/// Changes in order. Bounded by the sends in the outbox.
#[derive(Debug, Default)]
pub(super) struct Journal {
    changes: VecDeque<Change>,
    is_on: bool,
}

impl Journal {
    /// For a client that has a store.
    pub(super) fn switched_on() -> Self {
        Self {
            is_on: true,
            ..Self::default()
        }
    }

    /// Notes a send that is to be kept. Returns whether it need not be.
    pub(super) fn begin(&mut self, submission: &Submission, deadline: Instant) -> bool {
        if self.is_on {
            let Submission { id, to, text } = submission.clone();
            let deadline_ms = to_wall_clock(deadline);
            let send = PendingSend::new(id, to, text, deadline_ms);
            self.changes.push_back(Change::Sending(send));
        }
        !self.is_on
    }

    pub(super) fn end(&mut self, id: MessageId) {
        if self.is_on {
            self.changes.push_back(Change::Ended(id));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Takes the oldest changes, at most so many; they end with the one that passes so many bytes of
    /// text.
    pub(super) fn take(&mut self, count: usize, text_bytes: usize) -> Vec<Change> {
        let mut taken = Vec::new();
        let mut bytes = 0;
        while taken.len() < count
            && bytes <= text_bytes
            && let Some(change) = self.changes.pop_front()
        {
            if let Change::Sending(send) = &change {
                bytes += send.text.len();
            }
            taken.push(change);
        }
        taken
    }

    /// Tells later what could not be told now.
    pub(super) fn put_back(&mut self, id: MessageId) {
        self.changes.push_front(Change::Ended(id));
    }
}

/// The clock of the machine, for a deadline that must mean something to the next program.
fn to_wall_clock(deadline: Instant) -> u64 {
    let left = deadline.saturating_duration_since(Instant::now());
    let at = SystemTime::now().checked_add(left);
    let since_1970 = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since_1970.map_or(u64::MAX, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// The deadline of a send that an earlier program left. A clock that was set back makes it no later
/// than that of a send of now.
pub(super) fn from_wall_clock(deadline_ms: u64, timeout: Duration) -> Instant {
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let left = Duration::from_millis(deadline_ms).saturating_sub(now_ms);
    super::deadline_after(left.min(timeout))
}

#[cfg(test)]
mod tests {
    use super::*;
    use im_common::message::Recipient;

    const MINUTE: Duration = Duration::from_secs(60);

    fn submission(text: &str) -> Submission {
        Submission {
            id: MessageId::fresh(),
            to: Recipient::Lobby,
            text: text.to_owned(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_is_told_by_the_clock_of_the_machine() {
        let left = |deadline: Instant| deadline - Instant::now();
        let told = to_wall_clock(Instant::now() + MINUTE);
        let restored = left(from_wall_clock(told, 2 * MINUTE));
        assert!(restored <= MINUTE && restored > MINUTE / 2, "{restored:?}");
        assert_eq!(left(from_wall_clock(1, MINUTE)), Duration::ZERO);
        // The clock was set back meanwhile.
        assert_eq!(left(from_wall_clock(u64::MAX, MINUTE)), MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_taken_in_order_and_within_bounds() {
        let mut journal = Journal::switched_on();
        let sent = ["aaa", "bbb", "ccc"].map(submission);
        for submission in &sent {
            assert!(!journal.begin(submission, Instant::now()));
        }
        journal.end(sent[0].id);
        let texts = |changes: Vec<Change>| {
            let text = |change| match change {
                Change::Sending(send) => send.text,
                _ => "ended".to_owned(),
            };
            changes.into_iter().map(text).collect::<Vec<_>>()
        };
        assert_eq!(texts(journal.take(9, 4)), ["aaa", "bbb"]);
        assert_eq!(texts(journal.take(1, 99)), ["ccc"]);
        assert_eq!(journal.take(9, 99), [Change::Ended(sent[0].id)]);
        let mut off = Journal::default();
        assert!(off.begin(&sent[0], Instant::now()), "nothing to wait for");
        assert_eq!(off.len(), 0);
    }
}
