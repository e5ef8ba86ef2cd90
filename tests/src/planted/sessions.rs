//! A session store that makes mistakes.

use std::sync::Arc;

use async_trait::async_trait;
use im_common::backend::Result;
use im_common::backend::sessions::{Attached, Renewed, SessionStore, SlotPolicy};
use im_common::id::UserId;
use im_common::message::Session;

use super::{SeamBug, is_awake};

pub(super) struct PlantedSessions {
    inner: Arc<dyn SessionStore>,
}

impl PlantedSessions {
    pub(super) fn over(inner: Arc<dyn SessionStore>) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl SessionStore for PlantedSessions {
    async fn attach(&self, session: &Session, policy: SlotPolicy) -> Result<Attached> {
        let attached = self.inner.attach(session, policy).await?;
        Ok(if is_awake(SeamBug::SkipFence) {
            Attached::Holds(Vec::new())
        } else {
            attached
        })
    }

    async fn detach(&self, session: &Session) -> Result<()> {
        self.inner.detach(session).await
    }

    async fn renew(&self, sessions: &[Session], policy: SlotPolicy) -> Result<Vec<Renewed>> {
        let mut renewed = self.inner.renew(sessions, policy).await?;
        if is_awake(SeamBug::SkipFence) {
            renewed.fill(Renewed::Extended);
        }
        Ok(renewed)
    }

    async fn locate(&self, users: &[UserId]) -> Result<Vec<Session>> {
        if is_awake(SeamBug::LocateNobody) {
            return Ok(Vec::new());
        }
        self.inner.locate(users).await
    }
}
