//! The route's logic as servers see it: [`Uplink`] in process. The internal HTTP API ends here too.

use async_trait::async_trait;
use im_common::id::{DeviceId, UserId};
use im_common::message::{Identity, Page, Position, Receipt, Session, Submission};
use im_common::transport::{DeviceAck, Heads, OpenLogin, Refusal, Renewal, SyncRequest, Uplink};

use crate::attachments::Attachments;
use crate::delivery::Delivery;
use crate::reading::Reading;

/// What servers may ask of a route.
#[derive(Clone)]
pub(crate) struct LocalUplink {
    pub(crate) delivery: Delivery,
    pub(crate) attachments: Attachments,
    pub(crate) reading: Reading,
}

#[async_trait]
impl Uplink for LocalUplink {
    async fn submit(&self, offers: Vec<(Identity, Submission)>) -> Vec<Result<Receipt, Refusal>> {
        self.delivery.submit(offers).await
    }

    async fn login(&self, user: UserId, device: &DeviceId) -> Result<OpenLogin, Refusal> {
        self.attachments.open_login(user, device).await
    }

    async fn attach(&self, session: &Session, positions: Vec<Position>) -> Result<Heads, Refusal> {
        self.attachments.attach(session, positions).await
    }

    async fn detach(&self, session: &Session) -> Result<(), Refusal> {
        self.attachments.detach(session).await
    }

    async fn renew(&self, sessions: Vec<Session>) -> Result<Renewal, Refusal> {
        self.attachments.renew(sessions).await
    }

    async fn heads(
        &self,
        user: UserId,
        device: &DeviceId,
        positions: Vec<Position>,
    ) -> Result<Heads, Refusal> {
        self.attachments.heads(user, device, positions).await
    }

    async fn ack(&self, acks: Vec<DeviceAck>) -> Result<(), Refusal> {
        self.reading.ack(acks).await
    }

    async fn sync(&self, user: UserId, request: SyncRequest) -> Result<Page, Refusal> {
        self.reading.sync(user, request).await
    }
}
