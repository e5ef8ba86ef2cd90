//! Messages that wait for their answer: in order, kept over reconnects. Pure.
//!
//! Go-back-N: after a refusal that says "retry", everything unanswered is offered again under a
//! higher round, so that the order of one sender survives.
//!
//! What was accepted lately is kept for a while: should a log lose it, it is offered again.

mod answer;
mod journal;
mod keeping;
mod kept;
mod line;
mod shared;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use im_common::backoff::Backoff;
use im_common::code::Code;
use im_common::id::{LogEpoch, MessageId, Sequence};
use im_common::message::{Fork, Position, Receipt, Submission};
use im_common::planted::{Bug, is_planted};
use im_common::wire;
use tokio::time::Instant;

use crate::sending::{Refusal, SendError};

pub(crate) use answer::{Answer, EndedSends};
use journal::Journal;
pub(crate) use kept::Forked;
use kept::{Accepted, KEPT_FOR, Kept};
pub(crate) use shared::{NewSend, SharedOutbox, deadline_after};

/// The first wait after a refusal that says "retry".
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// Short against the deadline of a send, so that several attempts fit.
const RETRY_LONGEST: Duration = Duration::from_secs(2);

/// How a send ended.
pub(crate) type Outcome = Result<Receipt, SendError>;

#[derive(Debug)]
struct Entry {
    submission: Submission,
    deadline: Instant,
    number: u64,
    /// `None` for a message that was accepted before, and lost: nobody waits for it any more.
    answer: Option<Answer>,
    /// Whether the store has it, or there is none; only then it is offered.
    is_kept: bool,
}

/// A refusal as it came from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) id: MessageId,
    pub(crate) refusal: Refusal,
    pub(crate) retry_after: Duration,
    pub(crate) round: u32,
}

/// The sends of one client that have no answer yet, and those that may have to be sent again.
#[derive(Debug)]
pub(crate) struct Outbox {
    entries: VecDeque<Entry>,
    kept: Kept,
    journal: Journal,
    /// How many, from the front, are on the wire in this round.
    offered: usize,
    round: u32,
    /// Nothing is offered before.
    resume_at: Option<Instant>,
    backoff: Backoff,
    next_number: u64,
    is_closed: bool,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            kept: Kept::new(),
            journal: Journal::default(),
            offered: 0,
            round: 1,
            resume_at: None,
            backoff: Backoff::new(RETRY_FIRST, RETRY_LONGEST),
            next_number: 1,
            is_closed: false,
        }
    }

    /// Puts a send at the end; after [`Outbox::close`] it ends at once.
    pub(crate) fn push(&mut self, submission: Submission, deadline: Instant, answer: Answer) {
        if self.is_closed {
            answer.close();
            return;
        }
        let is_kept = self.journal.begin(&submission, deadline);
        self.add(submission, deadline, answer, is_kept);
    }

    fn add(&mut self, submission: Submission, deadline: Instant, answer: Answer, is_kept: bool) {
        self.entries.push_back(Entry {
            submission,
            deadline,
            number: self.next_number,
            answer: Some(answer),
            is_kept,
        });
        self.next_number += 1;
    }

    /// Returns what to offer now, in order, so that at most `in_flight_max` are on the wire.
    pub(crate) fn offers(&mut self, in_flight_max: usize, now: Instant) -> Vec<wire::Submit> {
        if self.resume_at.is_some_and(|resume_at| now < resume_at) {
            return Vec::new();
        }
        self.resume_at = None;
        let room = in_flight_max.saturating_sub(self.offered);
        let waiting = self.entries.range(self.offered..).take(room);
        let end = self.offered + waiting.take_while(|entry| entry.is_kept).count();
        let offers = self.entries.range(self.offered..end);
        let offers = offers
            .map(|entry| wire::Submit::new(entry.submission.clone(), self.round))
            .collect();
        self.offered = end;
        offers
    }

    /// A send was stored.
    pub(crate) fn accepted(&mut self, receipt: Receipt, now: Instant) {
        self.backoff.reset();
        let Some(entry) = self.remove(receipt.id) else {
            return;
        };
        self.kept.keep(Accepted {
            submission: entry.submission.clone(),
            number: entry.number,
            position: receipt.position.clone(),
            at: now,
        });
        self.end(entry, Ok(receipt));
    }

    /// A log is not, or not wholly, what it was: what it lost of the messages that it accepted is
    /// offered again, before everything that was sent later.
    pub(crate) fn forked(&mut self, forked: &Forked, now: Instant) {
        let lost = self.kept.take_lost(forked, now);
        if lost.is_empty() || self.is_closed {
            return;
        }
        tracing::info!(conversation.id = %forked.conversation, count = lost.len(),
            "the cluster lost accepted messages, offering them again");
        self.entries.extend(lost.into_iter().map(|accepted| Entry {
            submission: accepted.submission,
            deadline: now + KEPT_FOR,
            number: accepted.number,
            answer: None,
            is_kept: true,
        }));
        self.entries
            .make_contiguous()
            .sort_by_key(|entry| entry.number);
        self.round = self.round.saturating_add(1);
        self.offered = 0;
    }

    /// For a client that reads no logs: a message was accepted in this epoch, and what was accepted
    /// in an earlier one may be lost.
    pub(crate) fn forked_unseen(&mut self, position: &Position, now: Instant) {
        if self.kept.is_of_another_epoch(position) {
            let forked = Forked {
                conversation: position.conversation.clone(),
                epoch: position.epoch,
                fork: Fork {
                    epoch: LogEpoch(0),
                    sequence: Sequence(0),
                },
            };
            self.forked(&forked, now);
        }
    }

    /// A send was not stored: either it ends, or everything is offered again after a pause.
    pub(crate) fn refused(&mut self, refused: Refused, now: Instant, random: f64) {
        if refused.round < self.round {
            return;
        }
        if refused.refusal.code.is_retryable() {
            let delay = self.backoff.next(random).max(refused.retry_after);
            self.round = self.round.saturating_add(1);
            self.offered = 0;
            self.resume_at = Some(now + delay);
        } else if let Some(entry) = self.remove(refused.id) {
            self.end(entry, Err(SendError::Refused(refused.refusal)));
        }
    }

    /// The connection was lost: everything unanswered is to be offered again.
    pub(crate) fn rewind(&mut self) {
        if is_planted(Bug::FreshIdOnRetry) {
            let offered = self.entries.range_mut(..self.offered);
            offered.for_each(|entry| entry.submission.id = MessageId::fresh());
        }
        while is_planted(Bug::RefuseOffered) && self.offered > 0 {
            let refusal = refusal(Code::UNAVAILABLE, String::new());
            self.end_at(0, SendError::Refused(refusal));
        }
        self.offered = 0;
        self.resume_at = None;
    }

    /// Ends the sends whose deadline has passed.
    pub(crate) fn expire(&mut self, now: Instant) {
        let mut index = 0;
        while index < self.entries.len() {
            if self.entries[index].deadline <= now {
                self.end_at(index, SendError::Unknown);
            } else {
                index += 1;
            }
        }
    }

    /// Ends all sends, now and later. What a store has kept stays there.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        self.offered = 0;
        let answers = self.entries.drain(..).filter_map(|entry| entry.answer);
        answers.for_each(Answer::close);
    }

    /// When the next send expires.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.entries.iter().map(|entry| entry.deadline).min()
    }

    /// When offering goes on after a refusal.
    pub(crate) const fn resume_at(&self) -> Option<Instant> {
        self.resume_at
    }

    /// The number of the oldest send without an answer, or of the next send.
    pub(crate) fn oldest(&self) -> u64 {
        self.entries
            .front()
            .map_or(self.next_number, |entry| entry.number)
    }

    /// The number that the next send will have.
    pub(crate) const fn next_number(&self) -> u64 {
        self.next_number
    }

    fn remove(&mut self, id: MessageId) -> Option<Entry> {
        let index = self
            .entries
            .iter()
            .position(|entry| entry.submission.id == id)?;
        self.forget(index)
    }

    fn end_at(&mut self, index: usize, error: SendError) {
        if let Some(entry) = self.forget(index) {
            self.end(entry, Err(error));
        }
    }

    fn end(&mut self, entry: Entry, outcome: Outcome) {
        let id = entry.submission.id;
        match (entry.answer, outcome) {
            (Some(answer), outcome) => {
                if answer.give(id, outcome) {
                    self.journal.end(id);
                }
            }
            (None, Ok(_)) => {}
            (None, Err(error)) => tracing::warn!(message.id = %id, %error,
                "an accepted message that the cluster lost is not stored again"),
        }
    }

    fn forget(&mut self, index: usize) -> Option<Entry> {
        if index < self.offered {
            self.offered -= 1;
        }
        self.entries.remove(index)
    }
}

/// The reason that goes with a code when the cluster gave none.
pub(crate) fn refusal(code: Code, reason: String) -> Refusal {
    let reason = if reason.is_empty() {
        code.meaning().to_owned()
    } else {
        reason
    };
    Refusal { code, reason }
}
