//! Newtypes for everything that has an identity or a position.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A value that cannot be the id it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: {reason}")]
pub struct InvalidId {
    kind: &'static str,
    reason: &'static str,
}

impl InvalidId {
    const fn new(kind: &'static str, reason: &'static str) -> Self {
        Self { kind, reason }
    }
}

/// Largest integer that a JSON reader using doubles keeps exact.
const USER_ID_MAX: u64 = (1 << 53) - 1;

/// An account. From 1 to 2^53 - 1, so that every JSON reader keeps it exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct UserId(u64);

impl UserId {
    /// Checks the range.
    pub fn new(id: u64) -> Result<Self, InvalidId> {
        match id {
            1..=USER_ID_MAX => Ok(Self(id)),
            _ => Err(InvalidId::new("user id", "it must be from 1 to 2^53 - 1")),
        }
    }

    /// The bare number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UserId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let number = text
            .parse()
            .map_err(|_| InvalidId::new("user id", "it must be a number"))?;
        Self::new(number)
    }
}

/// One installation of a client, named by the client: 1 to 64 of `A-Z a-z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct DeviceId(Arc<str>);

impl DeviceId {
    /// Checks length and alphabet.
    pub fn new(id: &str) -> Result<Self, InvalidId> {
        plain_token(id, "device id").map(Self)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One life of one server node. A restarted server has a new one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerId(Arc<str>);

impl ServerId {
    /// Checks length and alphabet, which are those of [`DeviceId`].
    pub fn new(id: &str) -> Result<Self, InvalidId> {
        plain_token(id, "server id").map(Self)
    }

    /// Returns a fresh id that sorts by time of creation.
    pub fn fresh() -> Self {
        Self(uuid::Uuid::now_v7().simple().to_string().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

const TOKEN_BYTES_MAX: usize = 64;

fn plain_token(text: &str, kind: &'static str) -> Result<Arc<str>, InvalidId> {
    if text.is_empty() || text.len() > TOKEN_BYTES_MAX {
        return Err(InvalidId::new(kind, "it must have 1 to 64 characters"));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !text.bytes().all(is_plain) {
        return Err(InvalidId::new(kind, "only A-Z a-z 0-9 . _ - are allowed"));
    }
    Ok(text.into())
}

/// One socket in one server process, numbered from 1 by that process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Chosen by the client, unique for its user; the key of deduplication.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId([u8; 16]);

impl MessageId {
    /// Returns a fresh id (UUID version 7, RFC 9562).
    pub fn fresh() -> Self {
        Self(*uuid::Uuid::now_v7().as_bytes())
    }

    /// Takes the 16 bytes of the wire.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidId> {
        let bytes = bytes
            .try_into()
            .map_err(|_| InvalidId::new("message id", "it must have 16 bytes"))?;
        Ok(Self(bytes))
    }

    /// The 16 bytes of the wire.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MessageId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        uuid::Uuid::parse_str(text)
            .map(|uuid| Self(*uuid.as_bytes()))
            .map_err(|_| InvalidId::new("message id", "it must be a UUID"))
    }
}

/// The owner of one log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConversationId {
    /// The group of everybody.
    Lobby,
    /// Two users, or one user's notes to itself; the smaller id first.
    Private(UserId, UserId),
}

impl ConversationId {
    /// The conversation of two users, whoever asks.
    pub fn private(one: UserId, other: UserId) -> Self {
        Self::Private(one.min(other), one.max(other))
    }

    /// Whether a user may read and write here.
    pub fn admits(&self, user: UserId) -> bool {
        match self {
            Self::Lobby => true,
            Self::Private(one, other) => user == *one || user == *other,
        }
    }

    /// The members by id, when they can be told from the conversation itself.
    pub fn members(&self) -> Members {
        match self {
            Self::Lobby => Members::Everyone,
            Self::Private(one, other) if one == other => Members::Users(vec![*one]),
            Self::Private(one, other) => Members::Users(vec![*one, *other]),
        }
    }

    /// In a private conversation: who is there besides `user`.
    pub fn peer_of(&self, user: UserId) -> Option<UserId> {
        match self {
            Self::Lobby => None,
            Self::Private(one, other) if *one == user => Some(*other),
            Self::Private(one, _) => Some(*one),
        }
    }
}

/// Who takes part in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Members {
    /// Every user of the cluster.
    Everyone,
    /// These users.
    Users(Vec<UserId>),
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lobby => f.write_str("lobby"),
            Self::Private(one, other) => write!(f, "private:{one}:{other}"),
        }
    }
}

impl FromStr for ConversationId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId::new(
            "conversation",
            "it must be \"lobby\" or \"private:A:B\" with the smaller user id first",
        );
        if text == "lobby" {
            return Ok(Self::Lobby);
        }
        let pair = text.strip_prefix("private:").ok_or(invalid.clone())?;
        let (one, other) = pair.split_once(':').ok_or(invalid.clone())?;
        let conversation = Self::Private(one.parse()?, other.parse()?);
        // One spelling for one conversation: no leading zeros or signs, smaller id first.
        let is_canonical = conversation.to_string() == text
            && matches!(conversation, Self::Private(one, other) if one <= other);
        if is_canonical {
            Ok(conversation)
        } else {
            Err(invalid)
        }
    }
}

/// A place in a log, from 1, without gaps. 0 stands before the first message.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The place right behind this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One life of a log: it begins when the log is created, and anew when the log may have lost its
/// end. Epochs of a log rise. 0 stands for a log that does not exist yet. Below 2^53, so that scripts
/// in Redis keep it exact.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LogEpoch(pub u64);

impl LogEpoch {
    /// Returns the epoch of a log about to be created: the microseconds since 1970, so that a log
    /// that replaces a lost one has a later epoch. Fits 53 bits until the year 2255.
    pub fn fresh() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let micros = since_1970.map_or(0, |time| time.as_micros());
        Self(u64::try_from(micros).unwrap_or(0).clamp(1, USER_ID_MAX))
    }
}

impl fmt::Display for LogEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Orders the sessions of one (user, device): by login, then by the client's connection attempt
/// with that login. The greater one is the newer one, in whatever order they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SessionEpoch {
    /// Raised by each login of the device.
    pub login: u64,
    /// Raised by the client at each connection attempt.
    pub attempt: u32,
}

impl fmt::Display for SessionEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.login, self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: u64) -> UserId {
        UserId::new(id).unwrap()
    }

    #[test]
    fn a_conversation_has_one_spelling() {
        let conversation = ConversationId::private(user(7), user(3));
        assert_eq!(conversation.to_string(), "private:3:7");
        assert_eq!("private:3:7".parse(), Ok(conversation));
        assert_eq!("lobby".parse(), Ok(ConversationId::Lobby));
        for wrong in [
            "",
            "Lobby",
            "private:7:3",
            "private:03:7",
            "private:3",
            "private:0:1",
            "private:+3:7",
            "p:1:2",
        ] {
            assert!(wrong.parse::<ConversationId>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn ids_refuse_what_they_cannot_hold() {
        assert!(UserId::new(0).is_err());
        assert!(UserId::new(1 << 53).is_err());
        assert!(DeviceId::new("").is_err());
        assert!(DeviceId::new("a b").is_err());
        assert!(DeviceId::new(&"x".repeat(65)).is_err());
        assert!(MessageId::from_bytes(&[0; 15]).is_err());
    }

    #[test]
    fn the_newer_login_wins_over_any_number_of_attempts() {
        let old = SessionEpoch {
            login: 1,
            attempt: 900,
        };
        let new = SessionEpoch {
            login: 2,
            attempt: 1,
        };
        assert!(new > old);
    }
}
