//! `MessageStore`: one log for each conversation, and how far each device is in it.

pub(super) mod embedded;
mod lineage;
#[cfg(feature = "cluster")]
pub(super) mod redis;

use std::time::Duration;

use async_trait::async_trait;

use super::{BackendError, Result};
use crate::id::{ConversationId, DeviceId, LogEpoch, Sequence, UserId};
use crate::message::{Draft, Head, Page, Position, Receipt, StoredMessage};

/// Most messages on one page.
pub const PAGE_MESSAGES_MAX: usize = 100;
/// A page ends with the message that passes this many bytes of text: with one more text of the
/// largest size it still fits a frame.
pub const PAGE_TEXT_BYTES: usize = 128 * 1024;
/// How long a message may wait for its fan-out before somebody else takes it over.
pub const FAN_OUT_WITHIN: Duration = Duration::from_secs(2);

/// What became of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is stored, durably, and waits for its fan-out.
    New(Receipt),
    /// The same sender stored the same message under this id before; this is where.
    Duplicate(Receipt),
}

impl Appended {
    /// Where the message is.
    pub fn into_receipt(self) -> Receipt {
        match self {
            Self::New(receipt) | Self::Duplicate(receipt) => receipt,
        }
    }
}

/// Why a draft is not stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The same sender used the id for another message.
    #[error("the message id was used for another message")]
    Conflict,
    /// The store did not answer; whether the message is stored is unknown.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// Which part of a log to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// The messages that follow a sequence.
    After(Sequence),
    /// The messages that follow a position, in whatever epoch it was reached. When the log was cut
    /// before that position, there are none, and [`Page::fork`] tells where.
    Resume {
        /// The epoch of the position; 0 for a reader that knows nothing of the log.
        epoch: LogEpoch,
        /// Its sequence.
        after: Sequence,
    },
    /// The messages that end before a sequence; still in rising order.
    Before(Sequence),
    /// The newest messages; still in rising order.
    Newest,
}

/// The logs. In each: sequences from 1, strictly rising, no gaps; every reader sees the same.
///
/// A log begins with its first message and draws its epoch then. A store that cannot know whether a
/// log still has everything that was ever read from it begins a later epoch with the next message,
/// and remembers where each epoch ended. So a (epoch, sequence) is given to one message only, and a
/// position of an earlier epoch is good up to the end of that epoch: beyond, the log was cut, and
/// what was there is lost. All messages of a log are read with its newest epoch. A log that was lost
/// as a whole begins anew, with a later epoch that has nothing in common with those before.
#[async_trait]
pub trait MessageStore: Send + Sync {
    /// Appends drafts; the answers are in their order, and so are the drafts of each conversation
    /// in its log. When a draft ends as [`AppendError::Backend`], so do all behind it in the same
    /// conversation.
    ///
    /// (sender, id) is appended once: again with the same conversation and text it is a duplicate,
    /// with another text a conflict. Ids are compared within a conversation.
    async fn append(&self, drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>>;

    /// Reads at most `limit` messages, [`PAGE_MESSAGES_MAX`] and [`PAGE_TEXT_BYTES`].
    async fn read(&self, conversation: &ConversationId, range: Range, limit: usize)
    -> Result<Page>;

    /// Returns the newest position of each log, in the order given; epoch 0 and sequence 0 for a
    /// log that does not exist.
    async fn heads(&self, conversations: &[ConversationId]) -> Result<Vec<Position>>;

    /// Returns for each position, in the order given, the head of its log: `handled` is as far as
    /// the position is good in the newest epoch.
    async fn resume(&self, positions: &[Position]) -> Result<Vec<Head>>;

    /// Notes that users take part in a conversation, so that [`MessageStore::conversations`] finds
    /// it. Idempotent.
    async fn enlist(&self, conversation: &ConversationId, users: &[UserId]) -> Result<()>;

    /// Returns the conversations that a user was enlisted in, in no order. The lobby, which is
    /// everybody's, is not among them.
    async fn conversations(&self, user: UserId) -> Result<Vec<ConversationId>>;

    /// Records how far a device is. Within an epoch a position never moves back; a later epoch
    /// replaces it. The user's own position, with which a new device begins, moves along. A device
    /// that has not begun begins, as with [`MessageStore::begin`].
    async fn advance(&self, user: UserId, device: &DeviceId, positions: &[Position]) -> Result<()>;

    /// Records with which positions a new device of a user begins, without any device. As
    /// [`MessageStore::advance`] otherwise.
    async fn begin_at(&self, user: UserId, positions: &[Position]) -> Result<()>;

    /// Has a device begin where its user is now, unless it has begun, and returns how far it is, in
    /// no order. From then on it has positions of its own, also if there are none: what other
    /// devices handle later does not move it. A conversation that is missing was never handled.
    async fn begin(&self, user: UserId, device: &DeviceId) -> Result<Vec<Position>>;

    /// Returns how far a user is in a conversation: as far as any device has advanced, or as the user
    /// began. `None` where nothing was handled. One read.
    async fn handled(
        &self,
        user: UserId,
        conversation: &ConversationId,
    ) -> Result<Option<Position>>;

    /// Notes that messages have reached every server that must have them. Idempotent. A position of
    /// an earlier epoch settles the message that was there then; if that was lost, it settles
    /// nothing, whatever has taken its sequence since.
    async fn settle(&self, messages: &[Position]) -> Result<()>;

    /// Returns at most `limit` messages that were not settled within `waiting` of being stored
    /// or claimed, and claims them: the next call returns them only after another `waiting`, and
    /// later each time, up to half a minute.
    async fn claim_unsettled(&self, waiting: Duration, limit: usize) -> Result<Vec<StoredMessage>>;

    /// Whether the store can serve: it answers, and would take messages as far as it can tell.
    async fn ready(&self) -> Result<()> {
        self.heads(&[ConversationId::Lobby]).await.map(drop)
    }
}
