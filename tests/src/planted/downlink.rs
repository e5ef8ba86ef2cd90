//! A downlink that makes mistakes.

use std::sync::Arc;

use async_trait::async_trait;
use im_common::backend::registry::ServerInfo;
use im_common::code::Code;
use im_common::id::UserId;
use im_common::message::Session;
use im_common::transport::{Downlink, DownlinkError, OnlineQuery, OnlineUser, Push, ServerHealth};

use super::{OnceIn, SeamBug, is_awake};

pub(super) struct PlantedDownlink {
    inner: Arc<dyn Downlink>,
    turn: OnceIn,
}

impl PlantedDownlink {
    pub(super) fn over(inner: Arc<dyn Downlink>) -> Self {
        let turn = OnceIn::default();
        Self { inner, turn }
    }
}

#[async_trait]
impl Downlink for PlantedDownlink {
    async fn push(
        &self,
        server: &ServerInfo,
        pushes: Vec<Push>,
    ) -> Result<Vec<UserId>, DownlinkError> {
        if is_awake(SeamBug::DropPush) && self.turn.often(3) {
            return Ok(Vec::new());
        }
        self.inner.push(server, pushes).await
    }

    async fn kick(
        &self,
        server: &ServerInfo,
        session: &Session,
        code: Code,
    ) -> Result<(), DownlinkError> {
        self.inner.kick(server, session, code).await
    }

    async fn holds(&self, server: &ServerInfo, session: &Session) -> Result<bool, DownlinkError> {
        self.inner.holds(server, session).await
    }

    async fn online(
        &self,
        server: &ServerInfo,
        query: &OnlineQuery,
    ) -> Result<Vec<OnlineUser>, DownlinkError> {
        self.inner.online(server, query).await
    }

    async fn health(&self, server: &ServerInfo) -> Result<ServerHealth, DownlinkError> {
        self.inner.health(server).await
    }
}
