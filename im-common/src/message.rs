//! Domain types of the delivery path: what a client offers, what the log holds, where a reader is.

use std::fmt;
use std::str::FromStr;

use crate::id::{
    ConnectionId, ConversationId, DeviceId, LogEpoch, MessageId, Sequence, ServerId, SessionEpoch,
    UserId,
};
use crate::name::{InvalidName, UserName};

/// Largest text of a message, in bytes of UTF-8. A quarter of a frame, so that the rest of the
/// message always fits and a page holds several.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Who is speaking: proven by a ticket or a token, never taken from a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The account.
    pub user: UserId,
    /// The account's name.
    pub name: UserName,
    /// The installation that speaks for it.
    pub device: DeviceId,
}

/// Whom a client addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// Everybody.
    Lobby,
    /// A user by id.
    User(UserId),
    /// A user by name.
    Name(UserName),
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lobby => f.write_str("lobby"),
            Self::User(user) => user.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl From<UserId> for Recipient {
    fn from(user: UserId) -> Self {
        Self::User(user)
    }
}

impl From<UserName> for Recipient {
    fn from(name: UserName) -> Self {
        Self::Name(name)
    }
}

/// `lobby`, a user id (digits only) or a user name; an `@` may stand before a name.
impl FromStr for Recipient {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text == "lobby" {
            return Ok(Self::Lobby);
        }
        if let Ok(user) = text.parse() {
            return Ok(Self::User(user));
        }
        UserName::new(text.strip_prefix('@').unwrap_or(text)).map(Self::Name)
    }
}

/// A message as a client offers it.
#[derive(Clone, PartialEq, Eq)]
pub struct Submission {
    /// Names the message, also when it is offered again.
    pub id: MessageId,
    /// Whom it is for.
    pub to: Recipient,
    /// What it says.
    pub text: String,
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Submission({} to {}, {} bytes)",
            self.id,
            self.to,
            self.text.len()
        )
    }
}

/// A permitted message on its way into a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft {
    /// The log it goes to.
    pub conversation: ConversationId,
    /// The client's id for it.
    pub id: MessageId,
    /// Who sent it.
    pub sender: Identity,
    /// What it says.
    pub text: String,
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            conversation,
            text,
            ..
        } = self;
        write!(f, "Draft({id} in {conversation}, {} bytes)", text.len())
    }
}

/// A message as the log holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// The log it is in.
    pub conversation: ConversationId,
    /// The life of that log, as of when this was read: later ones hold the message too, unless the
    /// log was cut before it.
    pub epoch: LogEpoch,
    /// Its place in the log.
    pub sequence: Sequence,
    /// The client's id for it.
    pub id: MessageId,
    /// Who sent it.
    pub sender: Identity,
    /// When the cluster accepted it, milliseconds since 1970. For people; order is by sequence.
    pub accepted_at_ms: u64,
    /// What it says.
    pub text: String,
}

impl fmt::Debug for StoredMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            conversation,
            sequence,
            text,
            ..
        } = self;
        write!(
            f,
            "StoredMessage({id} in {conversation} at {sequence}, {} bytes)",
            text.len()
        )
    }
}

/// What the sender of an accepted message is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The client's id for the message.
    pub id: MessageId,
    /// Where the message is: log, epoch and sequence.
    pub position: Position,
    /// When the cluster accepted it, milliseconds since 1970.
    pub accepted_at_ms: u64,
}

/// How far something is within a log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    /// The log.
    pub conversation: ConversationId,
    /// The life of the log in which the sequence means something.
    pub epoch: LogEpoch,
    /// Everything up to here.
    pub sequence: Sequence,
}

impl Position {
    /// Whether whoever is here has certainly been at the other position, too. Of a position in
    /// another epoch nothing is known.
    pub fn covers(&self, other: &Self) -> bool {
        self.conversation == other.conversation
            && self.epoch == other.epoch
            && self.sequence >= other.sequence
    }
}

/// The newest message of a log, and how far a device is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The newest message of the log.
    pub newest: Position,
    /// The last sequence the device has handled, in the same epoch.
    pub handled: Sequence,
}

/// Where a log and an earlier life of it part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    /// The earlier life: the epoch of the position that was asked for.
    pub epoch: LogEpoch,
    /// Up to here both hold the same; what that life held beyond, the log has lost.
    pub sequence: Sequence,
}

/// The next messages of a log, in order and without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The log.
    pub conversation: ConversationId,
    /// The log's epoch, which its messages bear too, whenever they were stored; 0 when there is no
    /// such log.
    pub epoch: LogEpoch,
    /// The messages; empty when there are no more.
    pub messages: Vec<StoredMessage>,
    /// The newest sequence of the log when the page was read.
    pub head: Sequence,
    /// How far positions of the epoch that was asked for are good. `None` when they all are.
    pub fork: Option<Fork>,
}

/// One device attached to one server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Session {
    /// The account.
    pub user: UserId,
    /// The installation.
    pub device: DeviceId,
    /// The server that holds the connection.
    pub server: ServerId,
    /// The connection within that server.
    pub connection: ConnectionId,
    /// Decides which of two sessions of the same device is the newer one.
    pub epoch: SessionEpoch,
}
