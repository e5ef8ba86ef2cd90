//! What is known of one conversation's log: who wrote what at which place.

use im_common::id::{LogEpoch, Sequence};
use std::collections::VecDeque;

use super::checker::ActorIx;

/// A message: the n-th of an author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) author: ActorIx,
    pub(super) number: u32,
}

/// A log in all its epochs, in the order in which they were first heard of.
#[derive(Debug, Default)]
pub(super) struct Log {
    epochs: Vec<EpochLog>,
    /// A reader was told that a part was lost: what was lost comes again later, in another order.
    pub(super) was_rewound: bool,
}

#[derive(Debug)]
struct EpochLog {
    epoch: LogEpoch,
    /// The sequence of the first slot.
    first: u64,
    slots: VecDeque<Option<Slot>>,
}

impl Log {
    /// Notes what is at a place. Returns what was known to be there, if that is something else.
    pub(super) fn place(&mut self, epoch: LogEpoch, at: Sequence, slot: Slot) -> Option<Slot> {
        let known = self.epoch(epoch, at.0).slot(at.0);
        match *known {
            None => *known = Some(slot),
            Some(other) if other != slot => return Some(other),
            Some(_) => {}
        }
        None
    }

    /// The messages in order, from the first that is known; `None` where nothing is. A later epoch
    /// goes on where the one before was cut, so that numbers are good across them: returns also
    /// where two epochs contradict each other.
    pub(super) fn read(&self) -> (Vec<Option<Slot>>, Vec<(Slot, Slot)>) {
        let first = self.epochs.iter().map(|epoch| epoch.first).min();
        let first = first.unwrap_or_default();
        let mut slots = Vec::new();
        let mut contradictions = Vec::new();
        for epoch in &self.epochs {
            let skip = usize::try_from(epoch.first - first).expect("a log fits memory");
            slots.resize(slots.len().max(skip + epoch.slots.len()), None);
            for (known, slot) in slots[skip..].iter_mut().zip(&epoch.slots) {
                match (*known, *slot) {
                    (Some(one), Some(other)) if one != other => contradictions.push((one, other)),
                    (None, Some(slot)) => *known = Some(slot),
                    _ => {}
                }
            }
        }
        (slots, contradictions)
    }

    fn epoch(&mut self, epoch: LogEpoch, at: u64) -> &mut EpochLog {
        let found = self.epochs.iter().rposition(|known| known.epoch == epoch);
        let index = found.unwrap_or_else(|| {
            let slots = VecDeque::new();
            let first = at;
            self.epochs.push(EpochLog {
                epoch,
                first,
                slots,
            });
            self.epochs.len() - 1
        });
        &mut self.epochs[index]
    }
}

impl EpochLog {
    fn slot(&mut self, at: u64) -> &mut Option<Slot> {
        while at < self.first {
            self.slots.push_front(None);
            self.first -= 1;
        }
        let index = usize::try_from(at - self.first).expect("a log fits memory");
        if self.slots.len() <= index {
            self.slots.resize(index + 1, None);
        }
        &mut self.slots[index]
    }
}
