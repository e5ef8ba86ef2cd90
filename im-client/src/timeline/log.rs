//! One conversation's log as this client sees it. Pure.

use std::collections::BTreeMap;

use im_common::id::{ConversationId, LogEpoch, Sequence};
use im_common::message::Position;

use super::Step;
use super::seen::Seen;

/// Enough for pushes that overtake each other; a larger gap is cheaper to fetch as a page.
const EARLY_MAX: usize = 64;

/// How far this client is, what is known to follow, and what came too early.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) epoch: LogEpoch,
    /// Everything up to here has been passed on.
    pub(super) position: Sequence,
    /// The newest sequence heard of.
    pub(super) head: Sequence,
    /// Something of another epoch was heard: only a page tells which one is true.
    pub(super) is_doubtful: bool,
    /// The newest that was heard of in another epoch since the last page.
    elsewhere: Option<(LogEpoch, Sequence)>,
    /// Whether the log stands in the queue of those to ask for.
    pub(super) is_due: bool,
    /// Whether the log stands among those that may become due.
    pub(super) is_later: bool,
    /// The log lost messages that were passed on: they may come again at other places.
    was_cut: bool,
    early: BTreeMap<Sequence, Step>,
}

impl Log {
    pub(super) const fn unread(epoch: LogEpoch) -> Self {
        Self::read_to(epoch, Sequence(0))
    }

    pub(super) const fn read_to(epoch: LogEpoch, position: Sequence) -> Self {
        Self {
            epoch,
            position,
            head: position,
            is_doubtful: false,
            elsewhere: None,
            is_due: false,
            is_later: false,
            was_cut: false,
            early: BTreeMap::new(),
        }
    }

    /// Something was heard of the log.
    pub(super) fn hear(&mut self, epoch: LogEpoch, sequence: Sequence) {
        if epoch == self.epoch {
            self.head = self.head.max(sequence);
        } else {
            self.is_doubtful = true;
            self.elsewhere = self.elsewhere.max(Some((epoch, sequence)));
        }
    }

    /// A page has told the epoch. It may have been read before something that was heard of by now:
    /// then what was heard counts as well, or another page must tell.
    pub(super) fn settle_doubt(&mut self) {
        let elsewhere = self.elsewhere.take();
        self.is_doubtful = elsewhere.is_some_and(|(epoch, _)| epoch > self.epoch);
        if let Some((epoch, sequence)) = elsewhere
            && epoch == self.epoch
        {
            self.head = self.head.max(sequence);
        }
    }

    /// Whether there is nothing to fetch.
    pub(super) fn is_level(&self) -> bool {
        self.position >= self.head && !self.is_doubtful
    }

    /// Whether what is missing is probably on its way: a few pushes overtook others.
    pub(super) fn may_close_by_itself(&self) -> bool {
        let comes_next = self.early.contains_key(&self.position.next());
        !self.is_doubtful && !self.early.is_empty() && !comes_next && self.has_space()
    }

    /// Keeps a step until its turn comes, if it is new and not too early.
    pub(super) fn hold(&mut self, sequence: Sequence, step: Step) {
        let is_next = sequence == self.position.next();
        if sequence > self.position && (is_next || self.has_space()) {
            self.early.entry(sequence).or_insert(step);
        }
    }

    /// Moves steps whose turn has come to `out`, until it holds `room` of them.
    pub(super) fn place(&mut self, room: usize, seen: &mut Seen, out: &mut Vec<Step>) {
        while out.len() < room {
            let Some(step) = self.early.remove(&self.position.next()) else {
                return;
            };
            self.position = self.position.next();
            out.push(match step {
                Step::Message(message) if self.was_cut && seen.knows(&message) => {
                    Step::Silent(self.reached(message.conversation))
                }
                Step::Message(message) => {
                    seen.note(&message);
                    Step::Message(message)
                }
                other => other,
            });
        }
    }

    /// The position as others are told of it.
    pub(super) const fn reached(&self, conversation: ConversationId) -> Position {
        Position {
            conversation,
            epoch: self.epoch,
            sequence: self.position,
        }
    }

    /// Everything up to there has been handled in an earlier life of this device.
    pub(super) fn skip_to(&mut self, handled: Sequence) {
        if handled > self.position {
            self.position = handled;
            self.early = self.early.split_off(&handled.next());
        }
    }

    /// Up to `good_to` the log is what it was; from there on it is what its present epoch says.
    pub(super) fn go_on_from(&mut self, good_to: Sequence, epoch: LogEpoch, head: Sequence) {
        self.was_cut |= self.position > good_to;
        self.position = self.position.min(good_to);
        // They are of the earlier epoch; the page, or the next, has them in this one.
        self.early.clear();
        self.epoch = epoch;
        self.head = head;
    }

    fn has_space(&self) -> bool {
        self.early.len() < EARLY_MAX
    }
}
