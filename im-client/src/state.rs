//! Where the client stands with the cluster, as its user sees it.

use std::time::Duration;

use im_common::code::Code;
use im_common::id::ServerId;

/// What the client is doing about its connection. Read it with [`Client::state`](crate::Client::state).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Looking for a server.
    Connecting,
    /// Connected: messages flow.
    Attached {
        /// The server that holds the connection.
        server: ServerId,
    },
    /// Nobody could take the connection; trying again after the delay.
    BackingOff {
        /// How long until the next attempt.
        delay: Duration,
        /// The code of the table, when the cluster gave one.
        code: Option<Code>,
        /// For a person: what went wrong.
        reason: String,
    },
    /// The cluster does not want this client, and trying again would not help. The end.
    Refused(Code),
    /// Closed by its user. The end.
    Closed,
}

impl ConnectionState {
    /// Whether the client will never be attached again.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Closed)
    }

    /// Whether messages flow.
    pub const fn is_attached(&self) -> bool {
        matches!(self, Self::Attached { .. })
    }
}
