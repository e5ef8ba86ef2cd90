//! Who may be attached: one session for each device, or for each user, as the operator has chosen.
//!
//! Where a second login is refused, the store is never believed alone that the first one lives: the
//! server that it names is asked. So nobody is locked out by what a crash left behind.

use std::sync::Arc;

use im_common::backend::sessions::{Attached, SecondLogin, SessionStore, SlotPolicy};
use im_common::code::Code;
use im_common::id::{DeviceId, UserId};
use im_common::message::Session;
use im_common::transport::{Downlink, Refusal};

use crate::servers::Servers;

/// How often a slot is tried for. Each further try follows a session that was found dead; one more
/// in its place means that somebody is alive there.
const TRIES_MAX: usize = 3;

/// Hands out the slots.
#[derive(Clone)]
pub(crate) struct Slots {
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) downlink: Arc<dyn Downlink>,
    pub(crate) servers: Servers,
    pub(crate) policy: SlotPolicy,
}

impl Slots {
    /// Refuses a login with [`Code::ALREADY_ONLINE`] where another one holds the slot and lives.
    pub(crate) async fn admit(&self, user: UserId, device: &DeviceId) -> Result<(), Refusal> {
        if self.policy.second_login == SecondLogin::Displace {
            return Ok(());
        }
        for held in self.sessions.locate(&[user]).await? {
            if self.policy.is_shared(held.device == *device) {
                self.end_unless_alive(&held).await?;
            }
        }
        Ok(())
    }

    /// As these, but a second login is refused whatever the operator has chosen: for clients that
    /// would take the slot from each other for ever.
    pub(crate) fn refusing(&self) -> Self {
        let mut slots = self.clone();
        slots.policy.second_login = SecondLogin::Refuse;
        slots
    }

    /// Whether a user has a session that lives.
    pub(crate) async fn is_attached(&self, user: UserId) -> Result<bool, Refusal> {
        for session in self.sessions.locate(&[user]).await? {
            if self.is_alive(&session).await {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes the slot for a session and returns those that it displaces.
    pub(crate) async fn take(&self, session: &Session) -> Result<Vec<Session>, Refusal> {
        for _ in 0..TRIES_MAX {
            match self.sessions.attach(session, self.policy).await? {
                Attached::Holds(displaced) => return Ok(displaced),
                Attached::Superseded(_) => return Err(Code::DISPLACED.into()),
                Attached::Occupied(held) => self.end_unless_alive(&held).await?,
            }
        }
        Err(Code::ALREADY_ONLINE.into())
    }

    async fn end_unless_alive(&self, held: &Session) -> Result<(), Refusal> {
        if self.is_alive(held).await {
            return Err(Code::ALREADY_ONLINE.into());
        }
        tracing::info!(
            user.id = held.user.number(),
            device.id = held.device.as_str(),
            server.id = %held.server,
            "the session that held the slot is dead"
        );
        Ok(self.sessions.detach(held).await?)
    }

    /// A server that is gone or does not answer holds nobody: should it come back, renewing tells
    /// it who has taken over.
    async fn is_alive(&self, held: &Session) -> bool {
        let Some(server) = self.servers.find_reachable(&held.server) else {
            return false;
        };
        match self.downlink.holds(&server, held).await {
            Ok(holds) => holds,
            Err(error) => {
                self.servers.heard(&server.id, &error);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use im_common::backend::sessions::Renewed;
    use im_common::backend::{self, sessions::SessionsPer};
    use im_common::id::{ConnectionId, ServerId, SessionEpoch};
    use im_common::tasks::Tasks;

    use super::*;
    use crate::fixture::{self, FakeServers};

    /// Sessions of which another dead one is always in the way.
    #[derive(Default)]
    struct Haunted {
        attaches: AtomicUsize,
    }

    #[async_trait]
    impl SessionStore for Haunted {
        async fn attach(&self, session: &Session, _: SlotPolicy) -> backend::Result<Attached> {
            self.attaches.fetch_add(1, Ordering::Relaxed);
            Ok(Attached::Occupied(session.clone()))
        }

        async fn detach(&self, _: &Session) -> backend::Result<()> {
            Ok(())
        }

        async fn renew(&self, _: &[Session], _: SlotPolicy) -> backend::Result<Vec<Renewed>> {
            Ok(Vec::new())
        }

        async fn locate(&self, _: &[UserId]) -> backend::Result<Vec<Session>> {
            Ok(Vec::new())
        }
    }

    #[tokio::test]
    async fn a_slot_is_tried_for_so_often_and_then_somebody_is_online() {
        let tasks = Tasks::new();
        let backend = fixture::backend(&tasks).await;
        let (haunted, downlink) = (Arc::new(Haunted::default()), FakeServers::new(Vec::new()));
        let slots = Slots {
            sessions: haunted.clone(),
            downlink: downlink.clone(),
            servers: Servers::follow(&*backend.registry, downlink, &tasks),
            policy: SlotPolicy {
                second_login: SecondLogin::Refuse,
                sessions_per: SessionsPer::Device,
            },
        };
        let session = Session {
            user: UserId::new(1).unwrap(),
            device: DeviceId::new("desk").unwrap(),
            server: ServerId::fresh(),
            connection: ConnectionId(1),
            epoch: SessionEpoch::default(),
        };
        let refused = slots.take(&session).await.unwrap_err();
        assert_eq!(refused.code, Code::ALREADY_ONLINE);
        assert_eq!(haunted.attaches.load(Ordering::Relaxed), TRIES_MAX);
        tasks.cancel();
    }
}
