//! The outbox of a client that has a store: nothing is offered before it is kept.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use im_common::id::MessageId;
use im_common::message::Submission;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::answer::EndedSends;
use super::journal::{Journal, from_wall_clock};
use super::{Answer, Outbox, Outcome, SharedOutbox};
use crate::sending::SendError;
use crate::store::{Change, PendingSend, StoreError};

impl SharedOutbox {
    /// An outbox whose sends are kept, with those that an earlier program left. `changed` wakes who
    /// tells the store. A deadline is at most `timeout` away.
    pub(crate) fn restored(
        sends: Vec<PendingSend>,
        timeout: Duration,
        changed: Arc<Notify>,
    ) -> (Arc<Self>, EndedSends) {
        let (sender, outcomes) = mpsc::channel(sends.len().max(1));
        let outbox = Arc::new(Self::new().telling(changed));
        outbox.change(|all| {
            all.outbox.journal = Journal::switched_on();
            for send in sends {
                let deadline = from_wall_clock(send.deadline_ms, timeout);
                let room = Arc::clone(&outbox.room).try_acquire_owned().ok();
                let answer = Answer::to_program(sender.clone(), room);
                all.outbox.restore(send, deadline, answer);
            }
        });
        let ended = EndedSends::new(outcomes, Arc::clone(&outbox));
        (outbox, ended)
    }

    /// How many changes the store has yet to be told.
    pub(crate) fn changes_waiting(&self) -> usize {
        self.lock().outbox.journal.len()
    }

    /// Takes what the store has yet to be told; see [`Journal::take`].
    pub(crate) fn take_changes(&self, count: usize, text_bytes: usize) -> Vec<Change> {
        self.lock().outbox.journal.take(count, text_bytes)
    }

    /// The store has taken these changes: the sends among them can be offered.
    pub(crate) fn saved(&self, changes: &[Change]) {
        let sending = changes.iter().filter_map(|change| match change {
            Change::Sending(send) => Some(send.id),
            Change::Handled(_) | Change::Ended(_) => None,
        });
        let ids: HashSet<MessageId> = sending.collect();
        if !ids.is_empty() {
            self.change(|sends| sends.outbox.saved(&ids));
            self.offerable.notify_one();
        }
    }

    /// The store has not taken these changes, as far as it knows.
    pub(crate) fn not_saved(&self, changes: &[Change], error: &StoreError) {
        self.change(|sends| sends.outbox.not_saved(changes, error));
    }

    /// The program knows how a send of an earlier program ended.
    pub(crate) fn told(&self, id: MessageId) {
        self.change(|sends| sends.outbox.journal.end(id));
    }
}

impl Outbox {
    fn restore(&mut self, send: PendingSend, deadline: Instant, answer: Answer) {
        let PendingSend { id, to, text, .. } = send;
        let submission = Submission { id, to, text };
        self.add(submission, deadline, answer, true);
    }

    fn saved(&mut self, ids: &HashSet<MessageId>) {
        // What is offered is kept.
        for entry in self.entries.range_mut(self.offered..) {
            entry.is_kept |= ids.contains(&entry.submission.id);
        }
    }

    /// Sends that are not kept end, and are to be forgotten in case they are; ends are told again.
    fn not_saved(&mut self, changes: &[Change], error: &StoreError) {
        for change in changes.iter().rev() {
            match change {
                Change::Ended(id) => self.journal.put_back(*id),
                Change::Sending(send) => {
                    let outcome: Outcome = Err(SendError::NotKept(error.clone()));
                    match self.remove(send.id) {
                        Some(entry) => self.end(entry, outcome),
                        None => self.journal.end(send.id),
                    }
                }
                Change::Handled(_) => {}
            }
        }
    }
}
