//! `SessionStore`: who is attached where. Soft state: every entry is a lease.

pub(super) mod embedded;
#[cfg(feature = "cluster")]
pub(super) mod redis;
mod slot;

use std::time::Duration;

use async_trait::async_trait;

pub use self::slot::{SecondLogin, SessionsPer, SlotPolicy};
use super::Result;
use crate::id::UserId;
use crate::message::Session;

/// How long a session lives without being renewed.
pub const SESSION_LEASE: Duration = Duration::from_secs(60);

/// How an attempt to attach ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attached {
    /// The session holds; the older ones in the same slot, if any, are displaced.
    Holds(Vec<Session>),
    /// A newer session in the same slot holds, and nothing changed.
    Superseded(Session),
    /// A session of another device holds the slot, and nothing changed. Whether it is alive, only
    /// its server can tell.
    Occupied(Session),
}

/// What became of a session that was to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewed {
    /// Its lease is extended.
    Extended,
    /// It had vanished and is back.
    Restored,
    /// A newer session in the same slot holds.
    Superseded,
}

/// At most one session for each slot: for each device of a user, or for each user. Which of two is
/// newer is decided by their epochs alone, never by the order in which they arrive; with equal
/// epochs the one that holds stays, unless both name the same connection.
///
/// With [`SecondLogin::Refuse`] a session of another device in the same slot stays, whichever is
/// newer, until it is detached or its lease ends. Between sessions of one device, and between
/// sessions that are renewed, the newer one always holds.
///
/// Every method that changes a session looks and acts in one step.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Makes a session hold, if nothing in its slot stands against it. Attaching the same session
    /// again succeeds.
    async fn attach(&self, session: &Session, policy: SlotPolicy) -> Result<Attached>;

    /// Ends a session, if it is the one that holds; has no effect otherwise.
    async fn detach(&self, session: &Session) -> Result<()>;

    /// Extends the leases of sessions; the answers are in their order. Older sessions in the slots
    /// of those that hold end.
    async fn renew(&self, sessions: &[Session], policy: SlotPolicy) -> Result<Vec<Renewed>>;

    /// Returns all sessions of some users, in one round trip, in no order.
    async fn locate(&self, users: &[UserId]) -> Result<Vec<Session>>;
}
