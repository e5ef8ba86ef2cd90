//! Taking messages in: each place of a log once, and the newest epoch is right.
//!
//! A message at a place where another one is held shows that the log lost something: the one of
//! the later epoch counts, and what is held beyond it of earlier epochs is lost in the cluster and
//! goes. If nothing is held before it, the log began anew, and the earlier log stays as it is.

use im_common::id::{ConversationId, DeviceId, Sequence, UserId};
use im_common::name::fold;
use rusqlite::{OptionalExtension, Transaction, params};

use super::ArchiveError;
use super::database::{Database, stored};
use super::words::indexed;
use crate::Message;

/// An id is the time in milliseconds and a number below this: more than any cluster accepts in one.
pub(super) const IDS_OF_A_MS: i64 = 1 << 12;
/// Beyond the year 2200; later times are some clock's mistake.
const TIME_MS_MAX: i64 = (1 << 43) - 1;

/// Something to be kept.
#[derive(Debug)]
pub(super) enum Entry {
    /// A message.
    Message(Box<Message>),
    /// How somebody called a user; what the user's messages say is better.
    Person(UserId, String),
}

impl Database {
    /// Takes in all of them or, if it fails, none.
    pub(super) fn record(&mut self, owner: UserId, entries: &[Entry]) -> Result<(), ArchiveError> {
        match self.owner()? {
            Some(known) if known != owner => return Err(ArchiveError::AnotherAccount),
            _ => {}
        }
        let mut began_anew = std::mem::take(&mut self.began_anew);
        let transaction = self.begin()?;
        transaction
            .prepare_cached("INSERT INTO owner SELECT ? WHERE NOT EXISTS (SELECT 1 FROM owner)")?
            .execute([stored(owner.number())])?;
        for entry in entries {
            match entry {
                Entry::Message(message) => {
                    let was_reset = began_anew.remove(&message.conversation);
                    Recorder(&transaction).message(message, was_reset)?;
                }
                Entry::Person(user, name) => Recorder(&transaction).called(*user, name)?,
            }
        }
        transaction.commit()?;
        self.began_anew = began_anew;
        Ok(())
    }
}

/// Writes within one transaction.
struct Recorder<'a>(&'a Transaction<'a>);

/// A message that is held already.
struct Held {
    epoch: i64,
    sender: i64,
    name: Vec<u8>,
}

impl Recorder<'_> {
    fn message(&self, message: &Message, was_reset: bool) -> Result<(), ArchiveError> {
        let epoch = stored(message.epoch.0);
        let mut log = self.log(&message.conversation)?;
        if was_reset && self.newest_epoch(log)?.is_some_and(|newest| newest < epoch) {
            log = self.new_log(&message.conversation)?;
        }
        if let Some(held) = self.held(log, message)? {
            if held.is(message) {
                return self.confirm(log, message);
            }
            if held.epoch >= epoch {
                return Ok(());
            }
            if self.begins_at(log, message)? {
                log = self.new_log(&message.conversation)?;
            } else {
                self.forget_from(log, message)?;
            }
        }
        self.insert(log, message)
    }

    fn person(&self, user: UserId, name: &str) -> Result<(), ArchiveError> {
        let person = "INSERT INTO person (id, name, folded) VALUES (?, ?, ?) \
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, folded = excluded.folded \
             WHERE name <> excluded.name";
        self.0
            .prepare_cached(person)?
            .execute(params![stored(user.number()), name, fold(name)])?;
        Ok(())
    }

    fn called(&self, user: UserId, name: &str) -> Result<(), ArchiveError> {
        let person = "INSERT OR IGNORE INTO person (id, name, folded) VALUES (?, ?, ?)";
        self.0
            .prepare_cached(person)?
            .execute(params![stored(user.number()), name, fold(name)])?;
        Ok(())
    }

    fn log(&self, conversation: &ConversationId) -> Result<i64, ArchiveError> {
        let newest = "SELECT id FROM log WHERE conversation = ? ORDER BY id DESC LIMIT 1";
        let mut newest = self.0.prepare_cached(newest)?;
        let log = newest.query_row([conversation.to_string()], |row| row.get(0));
        match log.optional()? {
            Some(log) => Ok(log),
            None => self.new_log(conversation),
        }
    }

    fn new_log(&self, conversation: &ConversationId) -> Result<i64, ArchiveError> {
        self.0
            .prepare_cached("INSERT INTO log (conversation) VALUES (?)")?
            .execute([conversation.to_string()])?;
        Ok(self.0.last_insert_rowid())
    }

    fn newest_epoch(&self, log: i64) -> Result<Option<i64>, ArchiveError> {
        // The newest message has the newest epoch that was heard of, or nearly so.
        let newest = "SELECT epoch FROM message WHERE log = ? ORDER BY sequence DESC LIMIT 1";
        let mut newest = self.0.prepare_cached(newest)?;
        Ok(newest.query_row([log], |row| row.get(0)).optional()?)
    }

    fn held(&self, log: i64, message: &Message) -> Result<Option<Held>, ArchiveError> {
        let held = "SELECT epoch, sender, name FROM message WHERE log = ? AND sequence = ?";
        let mut held = self.0.prepare_cached(held)?;
        let held = held.query_row([log, stored(message.sequence.0)], |row| {
            Ok(Held {
                epoch: row.get(0)?,
                sender: row.get(1)?,
                name: row.get(2)?,
            })
        });
        Ok(held.optional()?)
    }

    /// What is held is still there in a later epoch.
    fn confirm(&self, log: i64, message: &Message) -> Result<(), ArchiveError> {
        let confirm = "UPDATE message SET epoch = ?3 \
             WHERE log = ?1 AND sequence = ?2 AND epoch < ?3";
        self.0.prepare_cached(confirm)?.execute([
            log,
            stored(message.sequence.0),
            stored(message.epoch.0),
        ])?;
        Ok(())
    }

    /// Whether nothing is held before the message.
    fn begins_at(&self, log: i64, message: &Message) -> Result<bool, ArchiveError> {
        let before = "SELECT EXISTS (SELECT 1 FROM message WHERE log = ? AND sequence < ?)";
        let mut before = self.0.prepare_cached(before)?;
        let is_something_before: bool =
            before.query_row([log, stored(message.sequence.0)], |row| row.get(0))?;
        Ok(!is_something_before)
    }

    /// Drops what the log has lost: from the message's place on, whatever is of earlier epochs.
    fn forget_from(&self, log: i64, message: &Message) -> Result<(), ArchiveError> {
        let lost = params![log, stored(message.sequence.0), stored(message.epoch.0)];
        let from = "FROM message WHERE log = ? AND sequence >= ? AND epoch < ?";
        let words = format!("DELETE FROM word WHERE rowid IN (SELECT id {from})");
        self.0.prepare_cached(&words)?.execute(lost)?;
        let messages = format!("DELETE {from}");
        self.0.prepare_cached(&messages)?.execute(lost)?;
        Ok(())
    }

    fn insert(&self, log: i64, message: &Message) -> Result<(), ArchiveError> {
        self.person(message.sender, message.sender_name.as_str())?;
        let id = self.free_id(message.accepted_at_ms, message.sequence)?;
        let insert = "INSERT INTO message \
             (id, log, sequence, epoch, sender, device, name, accepted_at_ms, text) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
        self.0.prepare_cached(insert)?.execute(params![
            id,
            log,
            stored(message.sequence.0),
            stored(message.epoch.0),
            stored(message.sender.number()),
            message.sender_device.as_ref().map(DeviceId::as_str),
            message.id.as_bytes(),
            stored(message.accepted_at_ms),
            message.text,
        ])?;
        let marks = format!("{} {}", sender_mark(message.sender), log_mark(log));
        self.0
            .prepare_cached("INSERT INTO word (rowid, text, marks) VALUES (?, ?, ?)")?
            .execute(params![id, indexed(&message.text), marks])?;
        Ok(())
    }

    /// An id of that moment, by the place in the log: what a conversation says within a millisecond
    /// stays in order, also when it is looked back at. Behind others if that id is taken, and of a
    /// later moment if there is none left.
    fn free_id(&self, at_ms: u64, sequence: Sequence) -> Result<i64, ArchiveError> {
        let mut first = first_id(at_ms);
        let in_order = first + stored(sequence.0) % IDS_OF_A_MS;
        let is_taken = "SELECT EXISTS (SELECT 1 FROM message WHERE id = ?)";
        let mut is_taken = self.0.prepare_cached(is_taken)?;
        if !is_taken.query_row([in_order], |row| row.get::<_, bool>(0))? {
            return Ok(in_order);
        }
        let newest = "SELECT max(id) FROM message WHERE id >= ? AND id < ?";
        let mut newest = self.0.prepare_cached(newest)?;
        loop {
            let end = first + IDS_OF_A_MS;
            let newest: Option<i64> = newest.query_row([first, end], |row| row.get(0))?;
            match newest.map_or(first, |newest| newest + 1) {
                id if id < end => return Ok(id),
                _ => first = end,
            }
        }
    }
}

impl Held {
    fn is(&self, message: &Message) -> bool {
        self.sender == stored(message.sender.number()) && self.name == message.id.as_bytes()
    }
}

/// The first id of a moment.
pub(super) fn first_id(at_ms: u64) -> i64 {
    stored(at_ms).min(TIME_MS_MAX) * IDS_OF_A_MS
}

/// How a sender stands in the index.
pub(super) fn sender_mark(sender: UserId) -> String {
    format!("s{sender}")
}

/// How a log stands in the index.
pub(super) fn log_mark(log: i64) -> String {
    format!("l{log}")
}
