//! The names of all keys in Redis, one function for each.
//!
//! On Redis Cluster a script may touch keys of one hash tag only (the part in braces):
//! - `{s17}`: everything of the conversations of shard 17, and the shard's unsettled messages;
//! - `{u42}`: everything of user 42;
//! - `{n:alice}`: the account registered under a name, by the name's skeleton.

use std::sync::Arc;

use crate::backend::{BackendError, Result};
use crate::id::{ConversationId, DeviceId, UserId};
use crate::name::UserName;

/// Conversations are spread over this many hash tags. Enough for dozens of Redis nodes, few enough
/// to look through all of them for unsettled messages. Changing it loses every log.
pub(in crate::backend) const SHARDS: u64 = 64;

/// Names keys under one prefix.
#[derive(Debug, Clone)]
pub(in crate::backend) struct Keys {
    prefix: Arc<str>,
}

impl Keys {
    /// Takes the prefix, which must leave the hash tags alone.
    pub(in crate::backend) fn new(prefix: &str) -> Result<Self> {
        if prefix.contains(['{', '}']) {
            let error = "the redis prefix must not contain braces";
            return Err(BackendError::unavailable(error));
        }
        Ok(Self {
            prefix: prefix.into(),
        })
    }

    /// Stream with the ids `<sequence>-0`: field `m` holds a `LogEntry`.
    pub(in crate::backend) fn log(&self, conversation: &ConversationId) -> String {
        self.in_shard(conversation, "log")
    }

    /// Hash from sender and message id to sequence and digest of the text.
    pub(in crate::backend) fn ids(&self, conversation: &ConversationId) -> String {
        self.in_shard(conversation, "ids")
    }

    /// Hash: `epoch` of the log; `head`, its newest sequence; `life`, in which life of Redis it was
    /// last appended to.
    pub(in crate::backend) fn meta(&self, conversation: &ConversationId) -> String {
        self.in_shard(conversation, "meta")
    }

    /// List of `<epoch>:<last sequence>`: the epochs of the log that have ended, rising.
    pub(in crate::backend) fn epochs(&self, conversation: &ConversationId) -> String {
        self.in_shard(conversation, "epochs")
    }

    /// Sorted set of `<conversation>/<sequence>` by the time from which they wait, in milliseconds.
    pub(in crate::backend) fn unsettled(&self, shard: u64) -> String {
        format!("{}:{{s{shard}}}:unsettled", self.prefix)
    }

    /// Hash from `<conversation>/<sequence>` to how often it was claimed.
    pub(in crate::backend) fn claims(&self, shard: u64) -> String {
        format!("{}:{{s{shard}}}:claims", self.prefix)
    }

    /// Hash: `id`, `name` and `password` of an account.
    pub(in crate::backend) fn account(&self, name: &UserName) -> String {
        format!("{}:{{n:{}}}:account", self.prefix, name.skeleton())
    }

    /// The newest user id; at least the milliseconds since 2026 when it was drawn.
    pub(in crate::backend) fn last_user(&self) -> String {
        format!("{}:last-user", self.prefix)
    }

    /// A user's name.
    pub(in crate::backend) fn name(&self, user: UserId) -> String {
        self.of_user(user, "name")
    }

    /// Hash from device to `<epoch>:<digest of its token>`.
    pub(in crate::backend) fn logins(&self, user: UserId) -> String {
        self.of_user(user, "logins")
    }

    /// The epoch of the user's newest login, also after logging out.
    pub(in crate::backend) fn last_login(&self, user: UserId) -> String {
        self.of_user(user, "last-login")
    }

    /// Set of the conversations that a user was enlisted in.
    pub(in crate::backend) fn conversations(&self, user: UserId) -> String {
        self.of_user(user, "conversations")
    }

    /// Hash from conversation to `<epoch>:<sequence>`: where a new device of the user begins.
    pub(in crate::backend) fn positions(&self, user: UserId) -> String {
        self.of_user(user, "positions")
    }

    /// Hash from conversation to `<epoch>:<sequence>`: how far one device is.
    pub(in crate::backend) fn positions_of(&self, user: UserId, device: &DeviceId) -> String {
        self.of_user(user, &format!("positions:{device}"))
    }

    /// Hash from device to `<deadline> <login> <attempt> <server> <connection>`.
    pub(in crate::backend) fn sessions(&self, user: UserId) -> String {
        self.of_user(user, "sessions")
    }

    fn in_shard(&self, conversation: &ConversationId, what: &str) -> String {
        let shard = shard_of(conversation);
        format!("{}:{{s{shard}}}:{what}:{conversation}", self.prefix)
    }

    fn of_user(&self, user: UserId, what: &str) -> String {
        format!("{}:{{u{user}}}:{what}", self.prefix)
    }
}

/// FNV-1a, 64 bit: stable over versions and machines, which the standard library's hashes are not.
pub(in crate::backend) fn shard_of(conversation: &ConversationId) -> u64 {
    let hash = conversation
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    hash % SHARDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_never_change_their_spelling() {
        let keys = Keys::new("im").unwrap();
        let user = UserId::new(42).unwrap();
        let conversation = ConversationId::private(user, UserId::new(7).unwrap());
        assert_eq!(keys.log(&ConversationId::Lobby), "im:{s51}:log:lobby");
        assert_eq!(keys.log(&conversation), "im:{s9}:log:private:7:42");
        assert_eq!(keys.unsettled(12), "im:{s12}:unsettled");
        assert_eq!(keys.sessions(user), "im:{u42}:sessions");
        let name = UserName::new("Bob").unwrap();
        assert_eq!(keys.account(&name), "im:{n:bob}:account");
    }

    #[test]
    fn a_prefix_cannot_move_the_hash_tag() {
        assert!(Keys::new("im{x}").is_err());
    }
}
