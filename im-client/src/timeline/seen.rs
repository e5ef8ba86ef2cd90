//! Which messages this client has passed on lately. Pure.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use im_common::message::StoredMessage;

/// Far more than a conversation says within the second that a store may lose, or within the time
/// by which a replica may be late.
const SEEN_MAX: usize = 4096;

/// The newest messages that were passed on. A log that lost its end gets them anew, from their
/// senders, at other places; they are known by sender and id.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Hashes, 8 bytes each; keyed at random, so that nobody can make two alike.
    marks: VecDeque<u64>,
    hasher: RandomState,
}

impl Seen {
    /// Notes a message, and forgets the oldest if there are too many.
    pub(super) fn note(&mut self, message: &StoredMessage) {
        if self.marks.len() == SEEN_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back(self.mark(message));
    }

    /// Whether a message was noted. Looks through all of them: only for logs that were cut.
    pub(super) fn knows(&self, message: &StoredMessage) -> bool {
        let mark = self.mark(message);
        self.marks.contains(&mark)
    }

    fn mark(&self, message: &StoredMessage) -> u64 {
        let StoredMessage {
            conversation,
            sender,
            id,
            ..
        } = message;
        self.hasher.hash_one((conversation, sender.user, id))
    }
}
