//! Reading logs: what a device missed, the past of a conversation, and how far devices are.

use std::sync::Arc;

use futures::future::try_join_all;
use im_common::backend::messages::{MessageStore, PAGE_MESSAGES_MAX, Range};
use im_common::code::Code;
use im_common::id::{ConversationId, UserId};
use im_common::message::{Page, Position};
use im_common::transport::{DeviceAck, Refusal, SyncRequest};

/// Reads logs on behalf of users.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) messages: Arc<dyn MessageStore>,
}

impl Reading {
    /// See [`im_common::transport::Uplink::sync`].
    pub(crate) async fn sync(&self, user: UserId, request: SyncRequest) -> Result<Page, Refusal> {
        let SyncRequest {
            conversation,
            epoch,
            after,
        } = request;
        permit(user, &conversation)?;
        let range = Range::Resume { epoch, after };
        let page = self.messages.read(&conversation, range, PAGE_MESSAGES_MAX);
        Ok(page.await?)
    }

    /// Reads part of a log for a person.
    pub(crate) async fn history(
        &self,
        user: UserId,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Page, Refusal> {
        permit(user, conversation)?;
        Ok(self.messages.read(conversation, range, limit).await?)
    }

    /// Returns how far the other user of a private conversation is; `None` when none of their
    /// devices has handled anything there.
    pub(crate) async fn delivered(
        &self,
        user: UserId,
        conversation: &ConversationId,
    ) -> Result<Option<Position>, Refusal> {
        permit(user, conversation)?;
        let Some(peer) = conversation.peer_of(user) else {
            let message = "only a private conversation tells what was delivered";
            return Err(Refusal::new(Code::MALFORMED, message));
        };
        Ok(self.messages.handled(peer, conversation).await?)
    }

    /// Records how far devices are.
    pub(crate) async fn ack(&self, acks: Vec<DeviceAck>) -> Result<(), Refusal> {
        let advances = acks.iter().map(|ack| {
            let is_own = |position: &&Position| position.conversation.admits(ack.user);
            let positions: Vec<Position> = ack.positions.iter().filter(is_own).cloned().collect();
            async move {
                self.messages
                    .advance(ack.user, &ack.device, &positions)
                    .await
            }
        });
        try_join_all(advances).await?;
        Ok(())
    }

    /// A new user begins with what the lobby says from now on, not with all it ever said.
    pub(crate) async fn begin_in_lobby(&self, user: UserId) -> Result<(), Refusal> {
        let heads = self.messages.heads(&[ConversationId::Lobby]).await?;
        Ok(self.messages.begin_at(user, &heads).await?)
    }
}

fn permit(user: UserId, conversation: &ConversationId) -> Result<(), Refusal> {
    if conversation.admits(user) {
        Ok(())
    } else {
        Err(Code::NOT_PERMITTED.into())
    }
}
