//! One conversation's log as this client sees it. Pure.

use std::collections::BTreeMap;

use im_common::id::{LogEpoch, Sequence};

use super::Step;

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
    /// Whether the log stands in the queue of those to ask for.
    pub(super) is_due: bool,
    /// Whether the log stands among those that may become due.
    pub(super) is_later: bool,
    early: BTreeMap<Sequence, Step>,
}

impl Log {
    pub(super) const fn unread(epoch: LogEpoch) -> Self {
        Self {
            epoch,
            position: Sequence(0),
            head: Sequence(0),
            is_doubtful: false,
            is_due: false,
            is_later: false,
            early: BTreeMap::new(),
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
    pub(super) fn place(&mut self, room: usize, out: &mut Vec<Step>) {
        while out.len() < room {
            let Some(step) = self.early.remove(&self.position.next()) else {
                return;
            };
            self.position = self.position.next();
            out.push(step);
        }
    }

    /// Everything up to there has been handled in an earlier life of this device.
    pub(super) fn skip_to(&mut self, handled: Sequence) {
        if handled > self.position {
            self.position = handled;
            self.early = self.early.split_off(&handled.next());
        }
    }

    /// The log has another epoch. Returns whether it had one before.
    pub(super) fn begin_anew(&mut self, epoch: LogEpoch) -> bool {
        let had_one = self.epoch != LogEpoch::default();
        *self = Self {
            is_due: self.is_due,
            is_later: self.is_later,
            ..Self::unread(epoch)
        };
        had_one
    }

    fn has_space(&self) -> bool {
        self.early.len() < EARLY_MAX
    }
}
