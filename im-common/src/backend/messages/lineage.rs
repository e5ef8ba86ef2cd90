//! How far positions of earlier epochs are good in a log. Pure.

use crate::id::{LogEpoch, Sequence};
use crate::message::{Fork, Head, Position};

/// The lives of one log.
#[derive(Debug)]
pub(super) struct Lineage {
    /// Epochs that have ended, rising, each with the last sequence of the log when the next one
    /// began. The oldest may have been forgotten.
    pub(super) ended: Vec<(LogEpoch, Sequence)>,
    /// The epoch of today.
    pub(super) newest: LogEpoch,
    /// The newest sequence.
    pub(super) head: Sequence,
}

impl Lineage {
    /// Returns where the log and an epoch of it part, as far as a reader needs to know who has got
    /// to a sequence of that epoch.
    pub(super) fn fork(&self, epoch: LogEpoch, reached: Sequence) -> Option<Fork> {
        let is_whole = epoch == self.newest && reached <= self.head;
        (!is_whole).then(|| Fork {
            epoch,
            sequence: self.end_of(epoch),
        })
    }

    /// Returns the head of the log for a reader who has handled everything up to a position.
    pub(super) fn resume(&self, position: &Position) -> Head {
        let reached = position.sequence;
        let fork = self.fork(position.epoch, reached);
        Head {
            newest: Position {
                conversation: position.conversation.clone(),
                epoch: self.newest,
                sequence: self.head,
            },
            handled: fork.map_or(reached, |fork| reached.min(fork.sequence)),
        }
    }

    /// An epoch that is not known was lost together with the end of the one before it, and is good
    /// as far as that one; nothing is known of what was before the oldest.
    fn end_of(&self, epoch: LogEpoch) -> Sequence {
        if epoch >= self.newest {
            return self.head;
        }
        let known = self.ended.iter().rev();
        let mut not_later = known.filter(|(ended, _)| *ended <= epoch);
        not_later.next().map_or(Sequence(0), |(_, end)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage() -> Lineage {
        Lineage {
            ended: vec![(LogEpoch(10), Sequence(5)), (LogEpoch(20), Sequence(8))],
            newest: LogEpoch(30),
            head: Sequence(12),
        }
    }

    fn good_to(epoch: u64, reached: u64) -> Option<u64> {
        let fork = lineage().fork(LogEpoch(epoch), Sequence(reached))?;
        assert_eq!(fork.epoch, LogEpoch(epoch));
        Some(fork.sequence.0)
    }

    #[test]
    fn an_epoch_is_good_up_to_its_end() {
        assert_eq!(good_to(10, 3), Some(5));
        assert_eq!(good_to(10, 7), Some(5));
        assert_eq!(good_to(20, 7), Some(8));
    }

    #[test]
    fn the_newest_epoch_is_good_unless_its_end_is_gone() {
        assert_eq!(good_to(30, 12), None);
        assert_eq!(good_to(30, 13), Some(12));
    }

    #[test]
    fn an_epoch_that_was_lost_is_good_as_far_as_the_one_before() {
        assert_eq!(good_to(15, 7), Some(5));
        assert_eq!(good_to(25, 7), Some(8));
        assert_eq!(good_to(35, 20), Some(12));
    }

    #[test]
    fn nothing_is_known_of_what_was_before_the_oldest() {
        assert_eq!(good_to(0, 0), Some(0));
        assert_eq!(good_to(9, 3), Some(0));
    }
}
