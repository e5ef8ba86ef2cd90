//! The product: a message on its way from an offer to a numbered place in a log.
//!
//! Private or lobby, from a socket or over HTTP: every message goes through [`Delivery::submit`].
//! Permitted? -> appended, durably -> accepted -> fanned out. The answer does not wait for the
//! fan-out; a fan-out that never happens is claimed by [`crate::fan_out`]'s sweeper on any route.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;
use im_common::backend::BackendError;
use im_common::backend::messages::{AppendError, Appended, MessageStore};
use im_common::code::Code;
use im_common::id::{ConversationId, UserId};
use im_common::message::{
    Draft, Identity, Receipt, Recipient, StoredMessage, Submission, TEXT_BYTES_MAX,
};
use im_common::transport::Refusal;

use crate::counters::Counters;
use crate::fan_out::FanOut;
use crate::names::Names;

/// What became of an offer.
type Outcome = Result<Receipt, Refusal>;

/// Takes messages into the cluster.
#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) messages: Arc<dyn MessageStore>,
    pub(crate) names: Names,
    pub(crate) fan_out: FanOut,
    pub(crate) counters: Arc<Counters>,
}

impl Delivery {
    /// Stores messages and starts their fan-out; see [`im_common::transport::Uplink::submit`].
    pub(crate) async fn submit(&self, offers: Vec<(Identity, Submission)>) -> Vec<Outcome> {
        let drafts = self.permit(offers).await;
        let outcomes = self.append(drafts).await;
        self.count(&outcomes);
        outcomes
    }

    /// Turns offers into drafts. Once a sender's offer fails for lack of an answer, so do all that
    /// follow it: one that overtook it could not be put back in order.
    async fn permit(&self, offers: Vec<(Identity, Submission)>) -> Vec<Result<Draft, Refusal>> {
        let permits = offers.into_iter().map(|(sender, submission)| async {
            (sender.user, self.permit_one(sender, submission).await)
        });
        let mut stuck = HashSet::new();
        let in_order = join_all(permits).await.into_iter().map(|(sender, permit)| {
            if stuck.contains(&sender) {
                return Err(Code::UNAVAILABLE.into());
            }
            if matches!(&permit, Err(refusal) if refusal.code == Code::UNAVAILABLE) {
                stuck.insert(sender);
            }
            permit
        });
        in_order.collect()
    }

    async fn permit_one(&self, sender: Identity, offer: Submission) -> Result<Draft, Refusal> {
        if offer.text.is_empty() {
            return Err(Code::TEXT_EMPTY.into());
        }
        if offer.text.len() > TEXT_BYTES_MAX {
            return Err(Code::TEXT_TOO_LONG.into());
        }
        let conversation = self.conversation(&sender, &offer.to).await?;
        Ok(Draft {
            conversation,
            id: offer.id,
            sender,
            text: offer.text,
        })
    }

    async fn conversation(
        &self,
        sender: &Identity,
        to: &Recipient,
    ) -> Result<ConversationId, Refusal> {
        let user = match to {
            Recipient::Lobby => return Ok(ConversationId::Lobby),
            Recipient::User(user) => self.exists(*user, sender).await?.then_some(*user),
            Recipient::Name(name) => self.names.user(name).await?,
        };
        let unknown = || Refusal::new(Code::USER_UNKNOWN, format!("there is no user {to}"));
        user.map(|user| ConversationId::private(sender.user, user))
            .ok_or_else(unknown)
    }

    /// A directory that does not even know the sender, who has proven who it is, has lost accounts:
    /// it is not believed that the other one does not exist, so those who are attached go on.
    async fn exists(&self, user: UserId, sender: &Identity) -> Result<bool, BackendError> {
        Ok(self.names.name(user).await?.is_some() || !self.names.is_stored(sender.user).await?)
    }

    /// Appends what is permitted, in one call, and hands what is new to the fan-out.
    async fn append(&self, permits: Vec<Result<Draft, Refusal>>) -> Vec<Outcome> {
        let drafts: Vec<Draft> = permits
            .iter()
            .filter_map(|permit| permit.as_ref().ok().cloned())
            .collect();
        let mut appended = self.messages.append(drafts).await.into_iter();
        permits
            .into_iter()
            .map(|permit| {
                let draft = permit?;
                let answer = appended.next().unwrap_or_else(|| Err(unanswered().into()));
                self.accept(draft, answer)
            })
            .collect()
    }

    fn accept(&self, draft: Draft, appended: Result<Appended, AppendError>) -> Outcome {
        match appended {
            Ok(Appended::New(receipt)) => {
                self.fan_out.offer(stored(draft, &receipt));
                Ok(receipt)
            }
            // Its fan-out was begun with the original, or is about to be claimed.
            Ok(Appended::Duplicate(receipt)) => {
                Counters::add(&self.counters.duplicates, 1);
                Ok(receipt)
            }
            Err(AppendError::Conflict) => Err(Code::ID_CONFLICT.into()),
            Err(AppendError::Backend(error)) => Err(error.into()),
        }
    }

    fn count(&self, outcomes: &[Outcome]) {
        let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        Counters::add(&self.counters.accepted, accepted);
        Counters::add(&self.counters.refused, outcomes.len() - accepted);
    }
}

pub(crate) fn stored(draft: Draft, receipt: &Receipt) -> StoredMessage {
    StoredMessage {
        conversation: draft.conversation,
        epoch: receipt.position.epoch,
        sequence: receipt.position.sequence,
        id: draft.id,
        sender: draft.sender,
        accepted_at_ms: receipt.accepted_at_ms,
        text: draft.text,
    }
}

fn unanswered() -> BackendError {
    BackendError::unavailable("the store answered fewer drafts than it was given")
}
