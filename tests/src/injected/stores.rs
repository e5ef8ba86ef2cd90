//! The stores, each behind its gate.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use im_common::backend::directory::{Account, Adopted, Directory, Login, Registered};
use im_common::backend::messages::{AppendError, Appended, MessageStore, Range};
use im_common::backend::sessions::{Attached, Renewed, SessionStore, SlotPolicy};
use im_common::backend::{BackendError, Result};
use im_common::id::{ConversationId, DeviceId, UserId};
use im_common::message::{Draft, Head, Page, Position, Session, StoredMessage};
use im_common::name::UserName;
use im_common::secret::Secret;
use tokio::time::sleep;

use super::gate::{Gate, Passage};

fn lost() -> BackendError {
    BackendError::unavailable("the store does not answer, on purpose")
}

pub(super) struct FaultyMessages {
    pub(super) inner: Arc<dyn MessageStore>,
    pub(super) gate: Gate,
}

#[async_trait]
impl MessageStore for FaultyMessages {
    async fn append(&self, drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>> {
        let count = drafts.len();
        let all_lost = || (0..count).map(|_| Err(lost().into())).collect();
        match self.gate.enter().await {
            Passage::Through | Passage::Shuffled => self.inner.append(drafts).await,
            Passage::Blocked => all_lost(),
            Passage::Unanswered => {
                self.inner.append(drafts).await;
                all_lost()
            }
            Passage::Answered(late) => {
                let answers = self.inner.append(drafts).await;
                sleep(late).await;
                answers
            }
            Passage::Twice => {
                self.inner.append(drafts.clone()).await;
                self.inner.append(drafts).await
            }
        }
    }

    async fn read(
        &self,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Page> {
        let call = || self.inner.read(conversation, range, limit);
        self.gate.guard(call, lost).await
    }

    async fn heads(&self, conversations: &[ConversationId]) -> Result<Vec<Position>> {
        self.gate
            .guard(|| self.inner.heads(conversations), lost)
            .await
    }

    async fn resume(&self, positions: &[Position]) -> Result<Vec<Head>> {
        let call = || self.inner.resume(positions);
        self.gate.guard(call, lost).await
    }

    async fn enlist(&self, conversation: &ConversationId, users: &[UserId]) -> Result<()> {
        let call = || self.inner.enlist(conversation, users);
        self.gate.guard(call, lost).await
    }

    async fn conversations(&self, user: UserId) -> Result<Vec<ConversationId>> {
        self.gate
            .guard(|| self.inner.conversations(user), lost)
            .await
    }

    async fn advance(&self, user: UserId, device: &DeviceId, positions: &[Position]) -> Result<()> {
        let call = || self.inner.advance(user, device, positions);
        self.gate.guard(call, lost).await
    }

    async fn begin_at(&self, user: UserId, positions: &[Position]) -> Result<()> {
        let call = || self.inner.begin_at(user, positions);
        self.gate.guard(call, lost).await
    }

    async fn begin(&self, user: UserId, device: &DeviceId) -> Result<Vec<Position>> {
        let call = || self.inner.begin(user, device);
        self.gate.guard(call, lost).await
    }

    async fn handled(
        &self,
        user: UserId,
        conversation: &ConversationId,
    ) -> Result<Option<Position>> {
        let call = || self.inner.handled(user, conversation);
        self.gate.guard(call, lost).await
    }

    async fn settle(&self, messages: &[Position]) -> Result<()> {
        self.gate.guard(|| self.inner.settle(messages), lost).await
    }

    async fn claim_unsettled(&self, waiting: Duration, limit: usize) -> Result<Vec<StoredMessage>> {
        let call = || self.inner.claim_unsettled(waiting, limit);
        self.gate.guard(call, lost).await
    }
}

pub(super) struct FaultySessions {
    pub(super) inner: Arc<dyn SessionStore>,
    pub(super) gate: Gate,
}

#[async_trait]
impl SessionStore for FaultySessions {
    async fn attach(&self, session: &Session, policy: SlotPolicy) -> Result<Attached> {
        let call = || self.inner.attach(session, policy);
        self.gate.guard(call, lost).await
    }

    async fn detach(&self, session: &Session) -> Result<()> {
        self.gate.guard(|| self.inner.detach(session), lost).await
    }

    async fn renew(&self, sessions: &[Session], policy: SlotPolicy) -> Result<Vec<Renewed>> {
        let call = || self.inner.renew(sessions, policy);
        self.gate.guard(call, lost).await
    }

    async fn locate(&self, users: &[UserId]) -> Result<Vec<Session>> {
        self.gate.guard(|| self.inner.locate(users), lost).await
    }
}

pub(super) struct FaultyDirectory {
    pub(super) inner: Arc<dyn Directory>,
    pub(super) gate: Gate,
}

#[async_trait]
impl Directory for FaultyDirectory {
    async fn register(&self, name: &UserName, password_hash: Secret<String>) -> Result<Registered> {
        let call = || self.inner.register(name, password_hash.clone());
        self.gate.guard(call, lost).await
    }

    async fn adopt(&self, account: &Account) -> Result<Adopted> {
        self.gate.guard(|| self.inner.adopt(account), lost).await
    }

    async fn find(&self, name: &UserName) -> Result<Option<Account>> {
        self.gate.guard(|| self.inner.find(name), lost).await
    }

    async fn name_of(&self, user: UserId) -> Result<Option<UserName>> {
        self.gate.guard(|| self.inner.name_of(user), lost).await
    }

    async fn log_in(&self, user: UserId, device: &DeviceId, token_digest: [u8; 32]) -> Result<u64> {
        let call = || self.inner.log_in(user, device, token_digest);
        self.gate.guard(call, lost).await
    }

    async fn login(&self, user: UserId, device: &DeviceId) -> Result<Option<Login>> {
        self.gate
            .guard(|| self.inner.login(user, device), lost)
            .await
    }

    async fn log_out(&self, user: UserId, device: &DeviceId, epoch: u64) -> Result<()> {
        let call = || self.inner.log_out(user, device, epoch);
        self.gate.guard(call, lost).await
    }
}
