//! What handlers and callers get to see: a message, a user, a page of who is online.

use std::fmt;

use im_common::id::{ConversationId, DeviceId, LogEpoch, MessageId, Sequence, UserId};
use im_common::message::{Position, StoredMessage};
use im_common::name::UserName;

/// A message of a conversation that the user takes part in.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Chosen by its sender, unique for the sender.
    pub id: MessageId,
    /// Where it was said.
    pub conversation: ConversationId,
    /// Its place in the conversation, from 1.
    pub sequence: Sequence,
    /// The life of the conversation's log: sequences of two epochs cannot be compared.
    pub epoch: LogEpoch,
    /// Who sent it.
    pub sender: UserId,
    /// The sender's name.
    pub sender_name: UserName,
    /// The sender's device; `None` for messages read with [`Client::history`](crate::Client::history).
    pub sender_device: Option<DeviceId>,
    /// When the cluster accepted it, milliseconds since 1970. For people; order is by sequence.
    pub accepted_at_ms: u64,
    /// What it says. Written by somebody else: clean it before it reaches a terminal or a page.
    pub text: String,
}

impl Message {
    /// Whether it was said between two users, not in the lobby.
    pub const fn is_private(&self) -> bool {
        matches!(self.conversation, ConversationId::Private(..))
    }

    /// Where it is. Once it is handled, this is how far the program is in the conversation: see
    /// [`Store`](crate::Store).
    pub fn position(&self) -> Position {
        Position {
            conversation: self.conversation.clone(),
            epoch: self.epoch,
            sequence: self.sequence,
        }
    }
}

impl From<StoredMessage> for Message {
    fn from(stored: StoredMessage) -> Self {
        Self {
            id: stored.id,
            conversation: stored.conversation,
            sequence: stored.sequence,
            epoch: stored.epoch,
            sender: stored.sender.user,
            sender_name: stored.sender.name,
            sender_device: Some(stored.sender.device),
            accepted_at_ms: stored.accepted_at_ms,
            text: stored.text,
        }
    }
}

/// Leaves the text out: it belongs neither in logs nor in panics.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("conversation", &format_args!("{}", self.conversation))
            .field("sequence", &self.sequence.0)
            .field("sender", &format_args!("{}", self.sender_name))
            .field("text_bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// A user, as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct User {
    /// The account.
    pub user: UserId,
    /// The account's name.
    pub name: String,
}

/// Part of the list of users who are online, sorted by name without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnlinePage {
    /// The users of this page.
    pub users: Vec<User>,
    /// Pass it as `after` for the next page; `None` on the last.
    pub next: Option<String>,
    /// Whether a part of the cluster did not answer, so that users may be missing.
    pub partial: bool,
}
