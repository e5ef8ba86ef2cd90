//! What a handler saw: whether it was said, there, once and in order.

use im_common::id::{DeviceId, LogEpoch, Sequence};

use super::event::digest;
use super::{ActorIx, Checker, Handled, REPEATED_MAX, number_of};
use crate::history::log::Slot;
use crate::history::verdict::Kind;

impl Checker {
    /// A handler saw a message.
    pub fn handle(&mut self, reader: ActorIx, seen: &Handled<'_>) {
        self.handled += 1;
        let Some(slot) = self.author_of(reader, seen) else {
            let reader = self.label(reader);
            let text: String = seen.text.chars().take(40).collect();
            let sender = seen.sender;
            return self.object(Kind::Forged, || {
                format!("{reader} was given {text:?} as by user {sender}, who did not say so")
            });
        };
        let goes_back = match seen.place {
            Some(at) => {
                let log = self.log(at.conversation);
                self.place(log, at.epoch, at.sequence, slot);
                self.move_on(reader, log, (at.epoch, at.sequence))
            }
            None => self.move_on_unplaced(reader, slot),
        };
        self.read_on(reader, slot, goes_back);
    }

    /// Notes that a reader has come to a place, and returns what is wrong with that.
    fn move_on(
        &mut self,
        reader: ActorIx,
        log: usize,
        here: (LogEpoch, Sequence),
    ) -> Option<String> {
        let last = self.record(reader).last.insert(log, here)?;
        let (conversation, log) = &self.logs[log];
        let goes_back = last.1 >= here.1 && (last.0 == here.0 || !log.was_rewound);
        goes_back.then(|| format!("{conversation}/{} after {last:?}", here.1))
    }

    /// The same for a reader who is told no places: what one author says in one log comes in order.
    fn move_on_unplaced(&mut self, reader: ActorIx, slot: Slot) -> Option<String> {
        let sent = *self.sent(slot.author, slot.number);
        let log = sent.log? as usize;
        let key = (slot.author, log);
        let last = self.record(reader).last_of.insert(key, slot.number)?;
        let goes_back = last >= slot.number && !sent.is_retried;
        let conversation = &self.logs[log].0;
        goes_back.then(|| format!("{} in {conversation} after {last}", slot.number))
    }

    fn read_on(&mut self, reader: ActorIx, slot: Slot, goes_back: Option<String>) {
        let key = (slot.author, slot.number);
        let record = &mut self.actors[reader.0 as usize];
        let is_new = record
            .handled
            .entry(slot.author)
            .or_default()
            .add(slot.number);
        let may_repeat = record.may_repeat.contains(&key);
        if record.lately.len() == REPEATED_MAX {
            record.lately.pop_front();
        }
        record.lately.push_back(key);
        let (reader_is, author) = (self.label(reader), self.label(slot.author));
        let number = slot.number;
        if slot.author == reader {
            self.object(Kind::Doubled, || {
                format!("{reader_is} was given its own {number}")
            });
        } else if !is_new && !may_repeat {
            self.object(Kind::Doubled, || {
                format!("{reader_is} saw {number} of {author} again")
            });
        } else if let Some(order) = goes_back
            && !may_repeat
        {
            self.object(Kind::Reordered, || format!("{reader_is} saw {order}"));
        }
    }

    /// Which message it is, if its sender really said that, and there.
    fn author_of(&self, reader: ActorIx, seen: &Handled<'_>) -> Option<Slot> {
        let number = number_of(seen.text)?;
        let (_, rest) = seen.text.split_once('@')?;
        let device = DeviceId::new(rest.split_once(' ')?.0).ok()?;
        if seen.device.is_some_and(|told| *told != device) {
            return None;
        }
        let author = *self.index.get(&(seen.sender, device))?;
        let sent = self.actors[author.0 as usize].sent.get(number as usize)?;
        let reader = self.actors[reader.0 as usize].user;
        let is_meant_for = sent.log.is_none_or(|log| {
            let (conversation, _) = &self.logs[log as usize];
            match seen.place {
                Some(at) => at.conversation == conversation,
                None => conversation.admits(reader),
            }
        });
        (sent.digest == digest(seen.text) && is_meant_for).then_some(Slot { author, number })
    }
}
