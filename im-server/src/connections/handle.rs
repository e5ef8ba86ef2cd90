//! How others reach a connection.

use std::sync::atomic::{AtomicBool, Ordering};

use im_common::id::{ConnectionId, SessionEpoch};
use im_common::message::{Identity, Session};
use im_common::name::UserName;

use crate::outbound::Outbound;

/// One attached connection, as seen from outside of its task.
#[derive(Debug)]
pub(crate) struct Handle {
    /// Whose connection it is.
    pub(crate) session: Session,
    /// The user's name.
    pub(crate) name: UserName,
    /// What waits to be written to it.
    pub(crate) outbound: Outbound,
    confirmed: AtomicBool,
}

impl Handle {
    pub(super) fn new(name: UserName, session: Session) -> Self {
        Self {
            session,
            name,
            outbound: Outbound::default(),
            confirmed: AtomicBool::new(false),
        }
    }

    /// Who speaks on this connection.
    pub(crate) fn identity(&self) -> Identity {
        Identity {
            user: self.session.user,
            name: self.name.clone(),
            device: self.session.device.clone(),
        }
    }

    /// Whether a route has agreed to the session.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::Relaxed)
    }

    /// Orders connections of one device: the greater one is the newer one.
    pub(super) fn age(&self) -> (SessionEpoch, ConnectionId) {
        (self.session.epoch, self.session.connection)
    }

    /// Returns whether this call changed it; as below, under the lock of the user's shard.
    pub(super) fn confirm(&self) -> bool {
        !self.confirmed.swap(true, Ordering::Relaxed)
    }

    pub(super) fn revoke(&self) -> bool {
        self.confirmed.swap(false, Ordering::Relaxed)
    }
}
