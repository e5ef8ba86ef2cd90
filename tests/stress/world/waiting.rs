//! What a scenario can wait for.

use std::time::Duration;

use im_common::id::ConversationId;
use im_tests::PATIENCE;
use tokio::time::{interval, timeout};

use super::{Who, World};
use crate::patience;

impl World {
    /// Waits until every send has ended and everybody has everything.
    pub(crate) async fn settle(&self) {
        if !self.history.settle(patience::of(PATIENCE)).await {
            panic!("not settled in time: {}", self.history.verdict());
        }
    }

    /// Waits until a device's acks are with the store: nothing that it handled comes again,
    /// whatever becomes of it.
    pub(crate) async fn acked(&self, who: Who) {
        let messages = self.cluster.backend().await.messages;
        let (user, device) = (self[who].user(), self[who].device());
        let level = async || {
            let mut logs = messages.conversations(user).await.ok()?;
            logs.push(ConversationId::Lobby);
            let heads = messages.heads(&logs).await.ok()?;
            let positions = messages.begin(user, device).await.ok()?;
            let mut begun = heads.iter().filter(|head| head.sequence.0 > 0);
            Some(begun.all(|head| positions.contains(head)))
        };
        let mut look = interval(Duration::from_millis(20));
        let acked = async {
            while level().await != Some(true) {
                look.tick().await;
            }
        };
        if timeout(patience::of(PATIENCE), acked).await.is_err() {
            panic!("waited in vain until {} has acked", self[who].name());
        }
    }

    /// Waits until they are all attached.
    pub(crate) async fn all_attached(&self, who: &[Who]) {
        self.until("all are attached", || {
            who.iter().all(|who| self[*who].is_attached())
        })
        .await;
    }

    /// Waits until the cluster has accepted so many sends.
    pub(crate) async fn accepted(&self, count: u64) {
        self.until("enough is accepted", || self.history.accepted() >= count)
            .await;
    }

    /// Waits until something holds.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let mut look = interval(Duration::from_millis(5));
        let held = async {
            while !holds() {
                look.tick().await;
            }
        };
        if timeout(patience::of(PATIENCE), held).await.is_err() {
            panic!("waited in vain until {what}");
        }
    }
}
