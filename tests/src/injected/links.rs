//! Both links between servers and routes, behind their gates.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use im_common::backend::registry::ServerInfo;
use im_common::code::Code;
use im_common::id::{DeviceId, ServerId, UserId};
use im_common::message::{Identity, Page, Position, Receipt, Session, Submission};
use im_common::transport::{
    DeviceAck, Downlink, DownlinkError, Heads, OnlineQuery, OnlineUser, OpenLogin, Push, Refusal,
    Renewal, ServerHealth, SyncRequest, Uplink,
};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::gate::{Gate, Passage};

fn unreachable() -> DownlinkError {
    DownlinkError::Unreachable("no answer, on purpose".to_owned())
}

fn unavailable() -> Refusal {
    Code::UNAVAILABLE.into()
}

pub(super) struct FaultyDownlink {
    pub(super) inner: Arc<dyn Downlink>,
    pub(super) pushes: Gate,
    pub(super) kicks: Gate,
    pub(super) probes: Gate,
    pub(super) handed_over: HandedOver,
}

/// How many pushes each server has taken while all was well. Clones share it.
#[derive(Clone, Default)]
pub(super) struct HandedOver(Arc<Mutex<HashMap<ServerId, usize>>>);

impl HandedOver {
    pub(super) fn to(&self, server: &ServerId) -> usize {
        self.0.lock().get(server).copied().unwrap_or(0)
    }
}

impl FaultyDownlink {
    async fn push_well(
        &self,
        server: &ServerInfo,
        pushes: Vec<Push>,
    ) -> Result<Vec<UserId>, DownlinkError> {
        let count = pushes.len();
        let absent = self.inner.push(server, pushes).await?;
        let mut handed_over = self.handed_over.0.lock();
        *handed_over.entry(server.id.clone()).or_default() += count;
        Ok(absent)
    }

    /// One after another in any order, as by several routes at once.
    async fn push_shuffled(
        &self,
        server: &ServerInfo,
        mut pushes: Vec<Push>,
    ) -> Result<Vec<UserId>, DownlinkError> {
        self.pushes.shuffle(&mut pushes);
        let mut absent = Vec::new();
        for push in pushes {
            absent.extend(self.inner.push(server, vec![push]).await?);
        }
        absent.sort_unstable();
        absent.dedup();
        Ok(absent)
    }
}

#[async_trait]
impl Downlink for FaultyDownlink {
    async fn push(
        &self,
        server: &ServerInfo,
        pushes: Vec<Push>,
    ) -> Result<Vec<UserId>, DownlinkError> {
        match self.pushes.enter().await {
            Passage::Through => self.push_well(server, pushes).await,
            Passage::Shuffled => self.push_shuffled(server, pushes).await,
            Passage::Blocked => Err(unreachable()),
            Passage::Unanswered => {
                self.inner.push(server, pushes).await?;
                Err(unreachable())
            }
            Passage::Answered(late) => {
                let absent = self.inner.push(server, pushes).await;
                sleep(late).await;
                absent
            }
            Passage::Twice => {
                self.inner.push(server, pushes.clone()).await?;
                self.inner.push(server, pushes).await
            }
        }
    }

    async fn kick(
        &self,
        server: &ServerInfo,
        session: &Session,
        code: Code,
    ) -> Result<(), DownlinkError> {
        let call = || self.inner.kick(server, session, code);
        self.kicks.guard(call, unreachable).await
    }

    async fn holds(&self, server: &ServerInfo, session: &Session) -> Result<bool, DownlinkError> {
        let call = || self.inner.holds(server, session);
        self.probes.guard(call, unreachable).await
    }

    async fn online(
        &self,
        server: &ServerInfo,
        query: &OnlineQuery,
    ) -> Result<Vec<OnlineUser>, DownlinkError> {
        let call = || self.inner.online(server, query);
        self.probes.guard(call, unreachable).await
    }

    async fn health(&self, server: &ServerInfo) -> Result<ServerHealth, DownlinkError> {
        let call = || self.inner.health(server);
        self.probes.guard(call, unreachable).await
    }
}

pub(super) struct FaultyUplink {
    pub(super) inner: Arc<dyn Uplink>,
    pub(super) submits: Gate,
    pub(super) calls: Gate,
}

#[async_trait]
impl Uplink for FaultyUplink {
    async fn submit(&self, offers: Vec<(Identity, Submission)>) -> Vec<Result<Receipt, Refusal>> {
        let count = offers.len();
        let all_lost = || (0..count).map(|_| Err(unavailable())).collect();
        match self.submits.enter().await {
            Passage::Through | Passage::Shuffled => self.inner.submit(offers).await,
            Passage::Blocked => all_lost(),
            Passage::Unanswered => {
                self.inner.submit(offers).await;
                all_lost()
            }
            Passage::Answered(late) => {
                let answers = self.inner.submit(offers).await;
                sleep(late).await;
                answers
            }
            Passage::Twice => {
                self.inner.submit(offers.clone()).await;
                self.inner.submit(offers).await
            }
        }
    }

    async fn login(&self, user: UserId, device: &DeviceId) -> Result<OpenLogin, Refusal> {
        let call = || self.inner.login(user, device);
        self.calls.guard(call, unavailable).await
    }

    async fn attach(&self, session: &Session, positions: Vec<Position>) -> Result<Heads, Refusal> {
        let call = || self.inner.attach(session, positions.clone());
        self.calls.guard(call, unavailable).await
    }

    async fn detach(&self, session: &Session) -> Result<(), Refusal> {
        let call = || self.inner.detach(session);
        self.calls.guard(call, unavailable).await
    }

    async fn renew(&self, sessions: Vec<Session>) -> Result<Renewal, Refusal> {
        let call = || self.inner.renew(sessions.clone());
        self.calls.guard(call, unavailable).await
    }

    async fn heads(
        &self,
        user: UserId,
        device: &DeviceId,
        positions: Vec<Position>,
    ) -> Result<Heads, Refusal> {
        let call = || self.inner.heads(user, device, positions.clone());
        self.calls.guard(call, unavailable).await
    }

    async fn ack(&self, acks: Vec<DeviceAck>) -> Result<(), Refusal> {
        let call = || self.inner.ack(acks.clone());
        self.calls.guard(call, unavailable).await
    }

    async fn sync(&self, user: UserId, request: SyncRequest) -> Result<Page, Refusal> {
        let call = || self.inner.sync(user, request.clone());
        self.calls.guard(call, unavailable).await
    }
}
