//! Sends that found no room in the outbox: they wait in the order of the calls. Pure.

use std::collections::BTreeMap;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{NewSend, Outcome};
use crate::sending::SendError;

/// A send that waits for room, and where its outcome goes.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) send: NewSend,
    pub(super) outcome: oneshot::Sender<Outcome>,
}

/// The waiting line. Each send in it is held up by a handle that the program keeps, and leaves it
/// with that: so the program bounds it.
#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: BTreeMap<u64, Waiting>,
    next_place: u64,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Puts a send at the end and returns its place, with which it can leave.
    pub(super) fn push(&mut self, waiting: Waiting) -> u64 {
        let place = self.next_place;
        self.next_place += 1;
        self.waiting.insert(place, waiting);
        place
    }

    /// Takes out who has waited longest.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        self.waiting.pop_first().map(|(_, waiting)| waiting)
    }

    /// A handle was dropped: its send does not go out, unless it had room before.
    pub(super) fn leave(&mut self, place: u64) {
        self.waiting.remove(&place);
    }

    /// Ends the sends whose deadline has passed.
    pub(super) fn expire(&mut self, now: Instant) {
        let is_late = |_: &u64, waiting: &mut Waiting| waiting.send.deadline <= now;
        for (_, late) in self.waiting.extract_if(.., is_late) {
            // Nobody waits for the outcome while the handle is being dropped.
            let _ = late.outcome.send(Err(SendError::Unknown));
        }
    }

    /// When the next send expires.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.waiting.values().map(|one| one.send.deadline).min()
    }
}
