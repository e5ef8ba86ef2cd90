//! `MessageStore` in Redis: a stream for each conversation, changed by scripts only.

mod append;
mod positions;
mod read;
mod unsettled;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use prost::Message as _;

use super::{AppendError, Appended, MessageStore, Range};
use crate::backend::redis::{Call, Connection, Keys};
use crate::backend::{BackendError, Result};
use crate::id::{ConversationId, DeviceId, UserId};
use crate::message::{Draft, Head, Page, Position, StoredMessage};
use crate::wire;

/// Logs and positions in Redis, as durable as Redis is configured to be.
#[derive(Clone)]
pub(in crate::backend) struct RedisMessages {
    connection: Connection,
    keys: Keys,
}

impl RedisMessages {
    /// Uses a connection that others may share.
    pub(in crate::backend) fn new(connection: Connection, keys: Keys) -> Self {
        Self { connection, keys }
    }
}

#[async_trait]
impl MessageStore for RedisMessages {
    async fn append(&self, drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>> {
        self.append_all(drafts).await
    }

    async fn read(
        &self,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Page> {
        self.read_page(conversation, range, limit).await
    }

    async fn heads(&self, conversations: &[ConversationId]) -> Result<Vec<Position>> {
        self.read_heads(conversations).await
    }

    async fn resume(&self, positions: &[Position]) -> Result<Vec<Head>> {
        self.resume_at(positions).await
    }

    async fn enlist(&self, conversation: &ConversationId, users: &[UserId]) -> Result<()> {
        // Everybody is in the lobby; nobody needs to be told.
        if *conversation == ConversationId::Lobby {
            return Ok(());
        }
        let enlist = |user: &UserId| {
            Call::new("SADD", &self.keys.conversations(*user)).arg(conversation.to_string())
        };
        let calls = users.iter().map(enlist).collect();
        self.connection.all::<()>(calls).await.map(drop)
    }

    async fn conversations(&self, user: UserId) -> Result<Vec<ConversationId>> {
        let look = Call::new("SMEMBERS", &self.keys.conversations(user));
        let names: Vec<String> = self.connection.call(&look).await?;
        let parse = |name: &String| name.parse().map_err(BackendError::damaged);
        names.iter().map(parse).collect()
    }

    async fn advance(&self, user: UserId, device: &DeviceId, positions: &[Position]) -> Result<()> {
        let keys = [
            self.keys.positions(user),
            self.keys.positions_of(user, device),
        ];
        self.move_forward(&keys, positions).await
    }

    async fn begin_at(&self, user: UserId, positions: &[Position]) -> Result<()> {
        self.move_forward(&[self.keys.positions(user)], positions)
            .await
    }

    async fn begin(&self, user: UserId, device: &DeviceId) -> Result<Vec<Position>> {
        self.begin_device(user, device).await
    }

    async fn handled(
        &self,
        user: UserId,
        conversation: &ConversationId,
    ) -> Result<Option<Position>> {
        self.position_of(user, conversation).await
    }

    async fn settle(&self, messages: &[Position]) -> Result<()> {
        self.settle_all(messages).await
    }

    async fn claim_unsettled(&self, waiting: Duration, limit: usize) -> Result<Vec<StoredMessage>> {
        self.claim(waiting, limit).await
    }
}

/// Reads what a log holds at a position.
fn decode(entry: Vec<u8>, position: Position) -> Result<StoredMessage> {
    wire::LogEntry::decode(Bytes::from(entry))
        .map_err(BackendError::damaged)?
        .into_message(position)
        .map_err(BackendError::damaged)
}
