//! A message store that makes mistakes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use im_common::backend::Result;
use im_common::backend::messages::{AppendError, Appended, MessageStore, Range};
use im_common::id::{ConversationId, DeviceId, LogEpoch, MessageId, Sequence, UserId};
use im_common::message::{Draft, Head, Page, Position, Receipt, StoredMessage};

use super::{OnceIn, SeamBug, is_awake};

pub(super) struct PlantedMessages {
    inner: Arc<dyn MessageStore>,
    turn: OnceIn,
}

type Answers = Vec<Result<Appended, AppendError>>;

impl PlantedMessages {
    pub(super) fn over(inner: Arc<dyn MessageStore>) -> Self {
        let turn = OnceIn::default();
        Self { inner, turn }
    }

    /// Whether the bug is awake and it is time to show it.
    fn strikes(&self, bug: SeamBug, once_in: u64) -> bool {
        is_awake(bug) && self.turn.often(once_in)
    }

    async fn accept_unseen(&self, drafts: Vec<Draft>) -> Answers {
        let mut answers = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let heads = self.inner.heads(std::slice::from_ref(&draft.conversation));
            let claim = |heads: Vec<Position>| {
                let position = heads.into_iter().next().map(|head| Position {
                    sequence: head.sequence.next(),
                    ..head
                });
                Appended::Duplicate(Receipt {
                    id: draft.id,
                    position: position.expect("a head for each conversation"),
                    accepted_at_ms: 0,
                })
            };
            answers.push(heads.await.map(claim).map_err(AppendError::from));
        }
        answers
    }

    async fn append_in_conflict(&self, drafts: Vec<Draft>) -> Answers {
        let answers = self.inner.append(drafts.clone()).await;
        let known = drafts.into_iter().zip(answers).map(|(draft, answer)| {
            let Err(AppendError::Conflict) = answer else {
                return answer;
            };
            Ok(Appended::Duplicate(Receipt {
                id: draft.id,
                position: Position {
                    conversation: draft.conversation,
                    epoch: LogEpoch(1),
                    sequence: Sequence(1),
                },
                accepted_at_ms: 0,
            }))
        });
        known.collect()
    }
}

fn spoil(draft: &mut Draft) {
    if is_awake(SeamBug::ForgetDedupe) {
        draft.id = MessageId::fresh();
    }
    if is_awake(SeamBug::CorruptText) {
        draft.text.push('\u{0}');
    }
    if is_awake(SeamBug::WrongSender)
        && let Some(peer) = draft.conversation.peer_of(draft.sender.user)
    {
        draft.sender.user = peer;
    }
}

/// Gives the answer the id that was asked for, and the number of its predecessor if it is to.
fn answer(appended: Appended, id: MessageId, repeats: bool) -> Appended {
    let is_new = matches!(appended, Appended::New(_));
    let mut receipt = appended.into_receipt();
    receipt.id = id;
    if repeats && receipt.position.sequence > Sequence(1) {
        receipt.position.sequence = Sequence(receipt.position.sequence.0 - 1);
    }
    if is_new {
        Appended::New(receipt)
    } else {
        Appended::Duplicate(receipt)
    }
}

#[async_trait]
impl MessageStore for PlantedMessages {
    async fn append(&self, mut drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>> {
        if self.strikes(SeamBug::AcceptBeforeCommit, 10) {
            return self.accept_unseen(drafts).await;
        }
        if is_awake(SeamBug::ForgetConflict) {
            return self.append_in_conflict(drafts).await;
        }
        let ids: Vec<MessageId> = drafts.iter().map(|draft| draft.id).collect();
        drafts.iter_mut().for_each(spoil);
        let swaps = is_awake(SeamBug::SwapDrafts);
        if swaps {
            drafts.reverse();
        }
        let mut answers = self.inner.append(drafts).await;
        if swaps {
            answers.reverse();
        }
        let repeats = self.strikes(SeamBug::RepeatNumber, 5);
        let answers = answers.into_iter().zip(ids);
        answers
            .map(|(result, id)| result.map(|appended| answer(appended, id, repeats)))
            .collect()
    }

    async fn read(
        &self,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Page> {
        let mut page = self.inner.read(conversation, range, limit).await?;
        if is_awake(SeamBug::SkipInPage) && page.messages.len() > 2 {
            page.messages.remove(1);
            for message in &mut page.messages[1..] {
                message.sequence = Sequence(message.sequence.0 - 1);
            }
        }
        Ok(page)
    }

    async fn heads(&self, conversations: &[ConversationId]) -> Result<Vec<Position>> {
        let mut heads = self.inner.heads(conversations).await?;
        if is_awake(SeamBug::ShortHeads) {
            for head in &mut heads {
                head.sequence = Sequence(head.sequence.0.saturating_sub(1));
            }
        }
        Ok(heads)
    }

    async fn resume(&self, positions: &[Position]) -> Result<Vec<Head>> {
        self.inner.resume(positions).await
    }

    async fn enlist(&self, conversation: &ConversationId, users: &[UserId]) -> Result<()> {
        self.inner.enlist(conversation, users).await
    }

    async fn conversations(&self, user: UserId) -> Result<Vec<ConversationId>> {
        if is_awake(SeamBug::ForgetConversations) {
            return Ok(Vec::new());
        }
        self.inner.conversations(user).await
    }

    async fn advance(&self, user: UserId, device: &DeviceId, positions: &[Position]) -> Result<()> {
        let mut positions = positions.to_vec();
        if is_awake(SeamBug::AdvanceTooFar) {
            for position in &mut positions {
                position.sequence = position.sequence.next();
            }
        }
        self.inner.advance(user, device, &positions).await
    }

    async fn begin_at(&self, user: UserId, positions: &[Position]) -> Result<()> {
        self.inner.begin_at(user, positions).await
    }

    async fn begin(&self, user: UserId, device: &DeviceId) -> Result<Vec<Position>> {
        let positions = self.inner.begin(user, device).await?;
        if is_awake(SeamBug::ForgetPositions) {
            return Ok(Vec::new());
        }
        Ok(positions)
    }

    async fn handled(
        &self,
        user: UserId,
        conversation: &ConversationId,
    ) -> Result<Option<Position>> {
        self.inner.handled(user, conversation).await
    }

    async fn settle(&self, messages: &[Position]) -> Result<()> {
        self.inner.settle(messages).await
    }

    async fn claim_unsettled(&self, waiting: Duration, limit: usize) -> Result<Vec<StoredMessage>> {
        if is_awake(SeamBug::ForgetUnsettled) {
            return Ok(Vec::new());
        }
        self.inner.claim_unsettled(waiting, limit).await
    }
}
