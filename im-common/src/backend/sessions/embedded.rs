//! The embedded `SessionStore`: a table of leases.

use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::slot::Meeting;
use super::{Attached, Renewed, SESSION_LEASE, SessionStore, SlotPolicy};
use crate::backend::Result;
use crate::id::{DeviceId, UserId};
use crate::message::Session;

/// Sessions in the memory of this process.
pub(in crate::backend) struct EmbeddedSessions {
    leases: Mutex<Leases>,
}

struct Leases {
    by_user: HashMap<UserId, HashMap<DeviceId, Lease>>,
    sweep_at: Instant,
}

struct Lease {
    session: Session,
    expires_at: Instant,
}

/// Whether a session holds its slot.
enum Held {
    /// It does now, and perhaps did before.
    Now {
        before: bool,
        displaced: Vec<Session>,
    },
    /// Another one stands against it.
    Not(Session, Meeting),
}

impl EmbeddedSessions {
    pub(in crate::backend) fn new() -> Self {
        let leases = Leases {
            by_user: HashMap::new(),
            sweep_at: Instant::now() + SESSION_LEASE,
        };
        Self {
            leases: Mutex::new(leases),
        }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.leases.lock().by_user.values().map(HashMap::len).sum()
    }
}

#[async_trait]
impl SessionStore for EmbeddedSessions {
    async fn attach(&self, session: &Session, policy: SlotPolicy) -> Result<Attached> {
        Ok(match self.leases.lock().hold(session, policy) {
            Held::Now { displaced, .. } => Attached::Holds(displaced),
            Held::Not(stays, Meeting::Occupied) => Attached::Occupied(stays),
            Held::Not(stays, _) => Attached::Superseded(stays),
        })
    }

    async fn detach(&self, session: &Session) -> Result<()> {
        let mut leases = self.leases.lock();
        if leases.held(session) == Some(session) {
            leases.end(session);
        }
        Ok(())
    }

    async fn renew(&self, sessions: &[Session], policy: SlotPolicy) -> Result<Vec<Renewed>> {
        let mut leases = self.leases.lock();
        let renewed = |session| match leases.hold(session, policy.for_renewals()) {
            Held::Now { before: true, .. } => Renewed::Extended,
            Held::Now { before: false, .. } => Renewed::Restored,
            Held::Not(..) => Renewed::Superseded,
        };
        Ok(sessions.iter().map(renewed).collect())
    }

    async fn locate(&self, users: &[UserId]) -> Result<Vec<Session>> {
        let now = Instant::now();
        let leases = self.leases.lock();
        let live = users
            .iter()
            .filter_map(|user| leases.by_user.get(user))
            .flat_map(HashMap::values)
            .filter(|lease| lease.expires_at > now);
        Ok(live.map(|lease| lease.session.clone()).collect())
    }
}

impl Leases {
    /// The session of the same device that holds now.
    fn held(&self, session: &Session) -> Option<&Session> {
        let lease = self.by_user.get(&session.user)?.get(&session.device)?;
        (lease.expires_at > Instant::now()).then_some(&lease.session)
    }

    /// Makes a session hold its slot, or says what stands against it.
    fn hold(&mut self, session: &Session, policy: SlotPolicy) -> Held {
        let now = Instant::now();
        let (mut before, mut displaced) = (false, Vec::new());
        let leases = self.by_user.get(&session.user).into_iter();
        for lease in leases.flat_map(HashMap::values) {
            if lease.expires_at <= now {
                continue;
            }
            match policy.meet(&lease.session, session) {
                Meeting::Apart => {}
                Meeting::Same => before = true,
                Meeting::Displaces => displaced.push(lease.session.clone()),
                stays => return Held::Not(lease.session.clone(), stays),
            }
        }
        for older in &displaced {
            self.end(older);
        }
        self.grant(session);
        Held::Now { before, displaced }
    }

    fn grant(&mut self, session: &Session) {
        self.sweep();
        let lease = Lease {
            session: session.clone(),
            expires_at: Instant::now() + SESSION_LEASE,
        };
        let devices = self.by_user.entry(session.user).or_default();
        devices.insert(session.device.clone(), lease);
    }

    fn end(&mut self, session: &Session) {
        if let Some(devices) = self.by_user.get_mut(&session.user) {
            devices.remove(&session.device);
            if devices.is_empty() {
                self.by_user.remove(&session.user);
            }
        }
    }

    /// Drops what has expired, once in each lease time: so the table holds no more than what was
    /// attached within two of them.
    fn sweep(&mut self) {
        let now = Instant::now();
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now + SESSION_LEASE;
        self.by_user.retain(|_, devices| {
            devices.retain(|_, lease| lease.expires_at > now);
            !devices.is_empty()
        });
    }
}

#[cfg(test)]
mod tests;
