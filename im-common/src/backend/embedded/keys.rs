//! Where everything lies in the database: one function for each kind of key.
//!
//! | table, first byte | then | value |
//! |---|---|---|
//! | records `h` | conversation | head of the log: epoch, newest sequence |
//! | records `l` | conversation, sequence | `LogEntry` |
//! | records `i` | conversation, sender, message id | sequence: recognises what is offered again |
//! | records `e` | user, conversation | nothing: the user takes part |
//! | records `p` | user, device, 0, conversation | position: epoch, sequence; no device: the user's own |
//! | records `b` | user, device | nothing: the device began, at its first attach, from its user's position then |
//! | records `n` | skeleton of a name | user |
//! | records `a` | user | `AccountRecord` |
//! | records `u` | | the newest user id |
//! | records `d` | user | `LoginsRecord` |
//! | records `c` | | the newest commit: its number, what it builds on (`commits.rs`) |
//! | marks | conversation, sequence | nothing: the message waits for its fan-out |
//!
//! Integers are big-endian, so keys sort as numbers do. A conversation is one byte for its kind,
//! then its users. Marks come and go with every message; in a table of their own they leave no
//! traces between records that stay.

use super::super::{BackendError, Result};
use crate::id::{ConversationId, DeviceId, MessageId, Sequence, UserId};
use crate::name::UserName;

/// The tables of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// What stays.
    Records,
    /// What is deleted soon.
    Marks,
}

/// A place in the database, or the beginning of many.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Which table.
    pub(crate) table: Table,
    /// Where in it.
    pub(crate) bytes: Vec<u8>,
}

const LOBBY: u8 = 0;
const PRIVATE: u8 = 1;
/// Ends a device, which has none of these, so that no device is the beginning of another.
const END: u8 = 0;

/// The head of a log.
pub(crate) fn head(conversation: &ConversationId) -> Key {
    record(b'h').conversation(conversation)
}

/// One entry of a log.
pub(crate) fn log_entry(conversation: &ConversationId, sequence: Sequence) -> Key {
    record(b'l').conversation(conversation).number(sequence.0)
}

/// Where the message that a sender gave this id lies in the log.
pub(crate) fn message_id(conversation: &ConversationId, sender: UserId, id: MessageId) -> Key {
    record(b'i')
        .conversation(conversation)
        .number(sender.number())
        .bytes(id.as_bytes())
}

/// The conversations of a user.
pub(crate) fn enlisted_in(user: UserId) -> Key {
    record(b'e').number(user.number())
}

/// One conversation of a user.
pub(crate) fn enlisted(user: UserId, conversation: &ConversationId) -> Key {
    enlisted_in(user).conversation(conversation)
}

/// The positions of a device; those of the user itself without one.
pub(crate) fn positions(user: UserId, device: Option<&DeviceId>) -> Key {
    record(b'p')
        .number(user.number())
        .bytes(device.map_or(b"", |device| device.as_str().as_bytes()))
        .bytes(&[END])
}

/// The position of a device in one conversation.
pub(crate) fn position(
    user: UserId,
    device: Option<&DeviceId>,
    conversation: &ConversationId,
) -> Key {
    positions(user, device).conversation(conversation)
}

/// Whether a device has positions of its own.
pub(crate) fn began(user: UserId, device: &DeviceId) -> Key {
    record(b'b')
        .number(user.number())
        .bytes(device.as_str().as_bytes())
}

/// Whose a name, and everything that looks like it, is.
pub(crate) fn name(name: &UserName) -> Key {
    record(b'n').bytes(name.skeleton().as_bytes())
}

/// An account.
pub(crate) fn account(user: UserId) -> Key {
    record(b'a').number(user.number())
}

/// The user id that was given last.
pub(crate) fn newest_user() -> Key {
    record(b'u')
}

/// The devices of a user that are logged in.
pub(crate) fn logins(user: UserId) -> Key {
    record(b'd').number(user.number())
}

/// What the newest commit says of itself.
pub(crate) fn commit() -> Key {
    record(b'c')
}

/// All messages that wait for their fan-out.
pub(crate) fn marks() -> Key {
    Key {
        table: Table::Marks,
        bytes: Vec::new(),
    }
}

/// One message that waits for its fan-out.
pub(crate) fn mark(conversation: &ConversationId, sequence: Sequence) -> Key {
    marks().conversation(conversation).number(sequence.0)
}

/// Reads the conversation at the end of a key that begins with `prefix`.
pub(crate) fn conversation_behind(prefix: &Key, key: &[u8]) -> Result<ConversationId> {
    let conversation = key
        .strip_prefix(prefix.bytes.as_slice())
        .and_then(parse_conversation);
    conversation.ok_or_else(|| BackendError::damaged("a key does not end with a conversation"))
}

/// Reads a key of a message that waits for its fan-out.
pub(crate) fn parse_mark(key: &[u8]) -> Result<(ConversationId, Sequence)> {
    let mark = key.split_last_chunk().and_then(|(conversation, sequence)| {
        let sequence = Sequence(u64::from_be_bytes(*sequence));
        Some((parse_conversation(conversation)?, sequence))
    });
    mark.ok_or_else(|| BackendError::damaged("a mark names no message"))
}

fn parse_conversation(bytes: &[u8]) -> Option<ConversationId> {
    match bytes {
        [LOBBY] => Some(ConversationId::Lobby),
        [PRIVATE, users @ ..] => {
            let (one, other) = users.split_first_chunk()?;
            let user = |bytes| UserId::new(u64::from_be_bytes(bytes)).ok();
            let (one, other) = (user(*one)?, user(other.try_into().ok()?)?);
            (one <= other).then_some(ConversationId::Private(one, other))
        }
        _ => None,
    }
}

fn record(kind: u8) -> Key {
    Key {
        table: Table::Records,
        bytes: vec![kind],
    }
}

impl Key {
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn number(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn conversation(self, conversation: &ConversationId) -> Self {
        match conversation {
            ConversationId::Lobby => self.bytes(&[LOBBY]),
            ConversationId::Private(one, other) => self
                .bytes(&[PRIVATE])
                .number(one.number())
                .number(other.number()),
        }
    }
}
