//! Where the client stands with the cluster, as its user sees it.

use std::time::Duration;

use im_common::code::Code;
use im_common::id::ServerId;
use tokio::sync::watch;

use crate::events::EventSender;
use crate::handler::Event;

/// What the client is doing about its connection. Read it with [`Client::state`](crate::Client::state).
///
/// ```text
///              +------------+   nobody takes it    +------------+
///  connect --> | Connecting | -------------------> | BackingOff |
///              +------------+ <------------------- +------------+
///                 |      ^        after the delay        ^
///    a server     |      |                               | the connection is lost at once,
///    takes it     |      +---------------------+         | several times in a row
///                 v      the connection is lost|         |
///          +------------+                 +----------+   |
///          | CatchingUp | --------------> | Attached | --+
///          +------------+  every log is   +----------+
///                 ^        level               |
///                 +----------------------------+
///                   another server takes over, before this one stops
///
///  from each of them:  --> Closed     by Client::close, or with its last clone
///                      --> Refused    for good, as after a newer login on the device
/// ```
///
/// Without a handler nothing is caught up with: the client is `Attached` at once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Looking for a server.
    Connecting,
    /// Connected, and messages flow: those that were missed come first, so the newest may still be
    /// to come. Only after a connection began; a gap later on does not lead back here.
    CatchingUp {
        /// The server that holds the connection.
        server: ServerId,
    },
    /// Connected, with everything received that there was: messages come as they are sent.
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

    /// Whether there is a connection, so that messages flow; catching up or level.
    pub const fn is_attached(&self) -> bool {
        self.server().is_some()
    }

    /// The server that holds the connection, if there is one.
    pub const fn server(&self) -> Option<&ServerId> {
        match self {
            Self::CatchingUp { server } | Self::Attached { server } => Some(server),
            _ => None,
        }
    }
}

/// Where the tasks of a client tell how it stands and what happens.
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    pub(crate) state: watch::Sender<ConnectionState>,
    pub(crate) events: EventSender,
}

impl Reporter {
    /// Tells a state, unless it is known.
    pub(crate) fn publish(&self, state: ConnectionState) {
        let modified = self.state.send_if_modified(|current| {
            let differs = *current != state;
            current.clone_from(&state);
            differs
        });
        if modified {
            self.report(Event::StateChanged(state));
        }
    }

    /// Tells an event.
    pub(crate) fn report(&self, event: Event) {
        self.events.report(event);
    }
}
