//! Reads the logs on behalf of a client that cannot: what comes next, what is missing. Pure.

use std::collections::{HashMap, VecDeque};

use im_common::id::{ConversationId, LogEpoch, Sequence};
use im_common::message::{Head, Page, Position, StoredMessage};
use im_common::transport::{Heads, SyncRequest};

/// How far the client is in each log of its user.
#[derive(Debug, Default)]
pub(super) struct Reader {
    logs: HashMap<ConversationId, Log>,
    /// Logs that may be behind, each at least once.
    due: VecDeque<ConversationId>,
    /// A log that is not known has only just begun.
    knows_all: bool,
    is_lost: bool,
}

#[derive(Debug, Clone, Copy)]
struct Log {
    epoch: LogEpoch,
    /// Everything up to here has been passed on.
    passed: Sequence,
    /// The newest that was heard of.
    newest: Sequence,
}

/// What to ask a route for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Where the logs are.
    Heads(Vec<Position>),
    /// What follows in one of them.
    Sync(SyncRequest),
}

impl Reader {
    /// Takes note of where the logs are. Something may have been passed on since they were looked
    /// at.
    pub(super) fn orient(&mut self, Heads { heads, is_whole }: Heads) {
        self.knows_all = is_whole;
        self.is_lost = !is_whole;
        for Head { newest, handled } in heads {
            let seen = Log {
                epoch: newest.epoch,
                passed: handled,
                newest: newest.sequence,
            };
            let log = self.logs.entry(newest.conversation.clone()).or_insert(seen);
            if log.epoch == seen.epoch {
                log.passed = log.passed.max(seen.passed);
                log.newest = log.newest.max(seen.newest);
            } else {
                *log = seen;
            }
            if log.is_behind() {
                self.due.push_back(newest.conversation);
            }
        }
    }

    /// What is known may not be true any more: pushes were dropped, or a log did not answer.
    pub(super) fn lose_track(&mut self) {
        self.is_lost = true;
    }

    /// Whether a message that was pushed is the next one of its log. Otherwise it was passed on
    /// before, or is read from the log in its turn.
    pub(super) fn is_next(&mut self, message: &StoredMessage) -> bool {
        let log = match self.logs.get_mut(&message.conversation) {
            Some(log) => log,
            None if self.knows_all => {
                let log = Log {
                    epoch: message.epoch,
                    passed: Sequence(0),
                    newest: Sequence(0),
                };
                self.logs.entry(message.conversation.clone()).or_insert(log)
            }
            None => {
                self.is_lost = true;
                return false;
            }
        };
        if log.epoch != message.epoch {
            // A later life of the log: only a route knows how far the position is good in it.
            self.is_lost |= log.epoch < message.epoch;
            return false;
        }
        log.newest = log.newest.max(message.sequence);
        let is_next = message.sequence == log.passed.next();
        if is_next {
            log.passed = message.sequence;
        } else if log.is_behind() {
            self.due.push_back(message.conversation.clone());
        }
        is_next
    }

    /// Returns what of a page is new, in order.
    pub(super) fn page(&mut self, page: Page) -> Vec<StoredMessage> {
        let Some(log) = self.logs.get_mut(&page.conversation) else {
            return Vec::new();
        };
        if page.epoch != log.epoch || page.fork.is_some() {
            self.is_lost = true;
            return Vec::new();
        }
        log.newest = log.newest.max(page.head);
        let mut new = page.messages;
        new.retain(|message| {
            let is_next = message.sequence == log.passed.next();
            if is_next {
                log.passed = message.sequence;
            }
            is_next
        });
        if log.is_behind() {
            // A page that brought nothing would bring nothing again.
            self.is_lost |= new.is_empty();
            self.due.push_back(page.conversation);
        }
        new
    }

    /// What to ask next, if anything. One question at a time.
    pub(super) fn question(&mut self) -> Option<Question> {
        if std::mem::take(&mut self.is_lost) {
            return Some(Question::Heads(self.positions()));
        }
        while let Some(conversation) = self.due.pop_front() {
            let log = self.logs.get(&conversation);
            if let Some(log) = log.filter(|log| log.is_behind()) {
                return Some(Question::Sync(SyncRequest {
                    epoch: log.epoch,
                    after: log.passed,
                    conversation,
                }));
            }
        }
        None
    }

    fn positions(&self) -> Vec<Position> {
        let position = |(conversation, log): (&ConversationId, &Log)| Position {
            conversation: conversation.clone(),
            epoch: log.epoch,
            sequence: log.passed,
        };
        self.logs.iter().map(position).collect()
    }
}

impl Log {
    fn is_behind(&self) -> bool {
        self.passed < self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{position, stored};
    use im_common::message::Fork;

    fn heads(newest: u64, handled: u64) -> Heads {
        Heads {
            heads: vec![Head {
                newest: position(newest),
                handled: Sequence(handled),
            }],
            is_whole: true,
        }
    }

    fn page(sequences: std::ops::RangeInclusive<u64>, head: u64) -> Page {
        Page {
            conversation: ConversationId::Lobby,
            epoch: LogEpoch(1),
            messages: sequences.map(|sequence| stored(sequence, "x")).collect(),
            head: Sequence(head),
            fork: None,
        }
    }

    fn asks_after(reader: &mut Reader) -> Option<u64> {
        match reader.question()? {
            Question::Sync(request) => Some(request.after.0),
            Question::Heads(_) => panic!("lost"),
        }
    }

    #[test]
    fn what_was_missed_is_read_before_what_comes() {
        let mut reader = Reader::default();
        reader.orient(heads(5, 2));
        assert_eq!(asks_after(&mut reader), Some(2));
        assert_eq!(asks_after(&mut reader), None, "one question at a time");
        assert!(!reader.is_next(&stored(6, "too early")));
        assert_eq!(reader.page(page(3..=5, 5)).len(), 3);
        assert_eq!(asks_after(&mut reader), Some(5));
        assert_eq!(reader.page(page(6..=6, 6)).len(), 1);
        assert!(reader.is_next(&stored(7, "in order")));
        assert_eq!(asks_after(&mut reader), None);
    }

    #[test]
    fn nothing_is_passed_on_twice() {
        let mut reader = Reader::default();
        reader.orient(heads(5, 4));
        assert_eq!(asks_after(&mut reader), Some(4));
        assert!(reader.is_next(&stored(5, "pushed meanwhile")));
        assert!(reader.page(page(5..=5, 5)).is_empty());
        assert!(!reader.is_next(&stored(5, "pushed again")));
        reader.orient(heads(5, 3));
        assert_eq!(asks_after(&mut reader), None, "looked at before");
    }

    #[test]
    fn a_conversation_that_begins_is_followed_from_its_first_message() {
        let mut reader = Reader::default();
        reader.orient(Heads {
            heads: Vec::new(),
            is_whole: true,
        });
        assert!(reader.is_next(&stored(1, "first")));
        let mut reader = Reader::default();
        reader.orient(Heads::default());
        assert!(!reader.is_next(&stored(1, "first of what is known?")));
        assert_eq!(reader.question(), Some(Question::Heads(Vec::new())));
    }

    #[test]
    fn a_later_life_of_a_log_is_looked_at_again() {
        let mut reader = Reader::default();
        reader.orient(heads(5, 5));
        let reborn = StoredMessage {
            epoch: LogEpoch(2),
            ..stored(4, "in the later life")
        };
        assert!(!reader.is_next(&reborn));
        assert_eq!(reader.question(), Some(Question::Heads(vec![position(5)])));
        let cut = Head {
            newest: Position {
                epoch: LogEpoch(2),
                ..position(4)
            },
            handled: Sequence(3),
        };
        reader.orient(Heads {
            heads: vec![cut],
            is_whole: true,
        });
        assert_eq!(asks_after(&mut reader), Some(3));
        let late = Page {
            fork: Some(Fork {
                epoch: LogEpoch(1),
                sequence: Sequence(2),
            }),
            epoch: LogEpoch(2),
            ..page(4..=4, 4)
        };
        assert!(reader.page(late).is_empty());
        assert!(matches!(reader.question(), Some(Question::Heads(_))));
    }

    #[test]
    fn a_page_that_brings_nothing_is_not_asked_for_without_end() {
        let mut reader = Reader::default();
        reader.orient(heads(5, 2));
        assert_eq!(asks_after(&mut reader), Some(2));
        let empty = Page {
            messages: Vec::new(),
            ..page(3..=3, 5)
        };
        assert!(reader.page(empty).is_empty());
        assert!(matches!(reader.question(), Some(Question::Heads(_))));
    }
}
