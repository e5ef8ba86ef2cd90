//! `SessionStore`: who is attached where. Soft state: every entry is a lease.

pub(super) mod embedded;
#[cfg(feature = "cluster")]
pub(super) mod redis;

use std::time::Duration;

use async_trait::async_trait;

use super::Result;
use crate::id::UserId;
use crate::message::Session;

/// How long a session lives without being renewed.
pub const SESSION_LEASE: Duration = Duration::from_secs(60);

/// How an attempt to attach ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attached {
    /// The session holds; the older one of the same device, if any, is displaced.
    Holds(Option<Session>),
    /// A newer session of the same device holds, and nothing changed.
    Superseded(Session),
}

/// What became of a session that was to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// Its lease is extended.
    Extended,
    /// It had vanished and is back.
    Restored,
    /// A newer session of the same device holds.
    Superseded,
}

/// At most one session for each (user, device). Which of two is newer is decided by their epochs
/// alone, never by the order in which they arrive; with equal epochs the one that holds stays,
/// unless both name the same connection.
///
/// Every method that changes a session looks and acts in one step.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Makes a session hold, if it is newer than the one that does. Attaching the same session
    /// again succeeds and displaces nobody.
    async fn attach(&self, session: &Session) -> Result<Attached>;

    /// Ends a session, if it is the one that holds; has no effect otherwise.
    async fn detach(&self, session: &Session) -> Result<()>;

    /// Extends the leases of sessions; the answers are in their order.
    async fn renew(&self, sessions: &[Session]) -> Result<Vec<Renewed>>;

    /// Returns all sessions of some users, in one round trip, in no order.
    async fn locate(&self, users: &[UserId]) -> Result<Vec<Session>>;
}
