//! Messages that were accepted lately, for the case that the store loses them. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use im_common::id::{ConversationId, LogEpoch};
use im_common::message::{Fork, Position, Submission};
use tokio::time::Instant;

/// A store loses what it accepted within its last second or so; that it did shows with the first
/// message after it has come back. So this is for how long it may be away.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(600);
/// More than a person sends in that time; of a program, what it sent within the last seconds.
const KEPT_MAX: usize = 1000;
/// Bounds the memory where texts are long.
const KEPT_TEXT_BYTES: usize = 1024 * 1024;

/// What a page tells of the log of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forked {
    pub(crate) conversation: ConversationId,
    /// The epoch of the log now.
    pub(crate) epoch: LogEpoch,
    /// How far positions of an earlier epoch are good.
    pub(crate) fork: Fork,
}

/// A message that was accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) submission: Submission,
    /// Its place among all sends of this client.
    pub(super) number: u64,
    pub(super) position: Position,
    pub(super) at: Instant,
}

/// The newest of them, in the order in which they were accepted.
#[derive(Debug)]
pub(super) struct Kept {
    messages: VecDeque<Accepted>,
    text_bytes: usize,
}

impl Kept {
    pub(super) const fn new() -> Self {
        Self {
            messages: VecDeque::new(),
            text_bytes: 0,
        }
    }

    /// Keeps a message, and forgets what is too old or too much.
    pub(super) fn keep(&mut self, accepted: Accepted) {
        let now = accepted.at;
        self.text_bytes += accepted.submission.text.len();
        self.messages.push_back(accepted);
        while self.messages.len() > KEPT_MAX || self.text_bytes > KEPT_TEXT_BYTES {
            self.forget_oldest();
        }
        self.forget_old(now);
    }

    /// Whether the last message kept of that log was accepted in another epoch.
    pub(super) fn is_of_another_epoch(&self, position: &Position) -> bool {
        let is_there = |kept: &&Accepted| kept.position.conversation == position.conversation;
        let last = self.messages.iter().rev().find(is_there);
        last.is_some_and(|kept| kept.position.epoch != position.epoch)
    }

    /// Takes out what a log does not hold any more, or may not hold. What is certain to be there
    /// stays, at its position in the present epoch.
    pub(super) fn take_lost(&mut self, forked: &Forked, now: Instant) -> Vec<Accepted> {
        self.forget_old(now);
        let mut lost = Vec::new();
        for mut accepted in std::mem::take(&mut self.messages) {
            if accepted.position.conversation != forked.conversation {
                self.messages.push_back(accepted);
            } else if is_held(&accepted.position, forked) {
                accepted.position.epoch = forked.epoch;
                self.messages.push_back(accepted);
            } else {
                self.text_bytes -= accepted.submission.text.len();
                lost.push(accepted);
            }
        }
        lost
    }

    fn forget_old(&mut self, now: Instant) {
        let is_old = |kept: &Accepted| now.saturating_duration_since(kept.at) > KEPT_FOR;
        while self.messages.front().is_some_and(is_old) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(forgotten) = self.messages.pop_front() {
            self.text_bytes -= forgotten.submission.text.len();
        }
    }
}

/// An epoch that is neither the one that forked nor the present one came and went in between:
/// nothing is known of it. Offering a message once too often does no harm: its id is known.
fn is_held(position: &Position, forked: &Forked) -> bool {
    if position.epoch == forked.fork.epoch {
        position.sequence <= forked.fork.sequence
    } else {
        position.epoch == forked.epoch
    }
}
