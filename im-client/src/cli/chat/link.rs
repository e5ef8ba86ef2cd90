//! The way to the cluster: the prompt is there before it.

use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::{Client, ClientBuilder, ConnectionState, Error};

/// What happened on the way.
pub(super) enum LinkNews {
    /// The first connection is there.
    Connected,
    /// There will be none.
    Failed(Error),
    /// The connection is in another state.
    State(ConnectionState),
}

/// A client, once there is one.
pub(super) enum Link {
    /// Logging in and looking for a server.
    Dialling(BoxFuture<'static, Result<Client, Error>>),
    /// Connected once; the client reconnects by itself.
    Up {
        client: Client,
        state: watch::Receiver<ConnectionState>,
    },
    /// It failed.
    Down,
}

impl Link {
    pub(super) fn dial(builder: ClientBuilder) -> Self {
        Self::Dialling(Box::pin(builder.connect()))
    }

    pub(super) const fn client(&self) -> Option<&Client> {
        match self {
            Self::Up { client, .. } => Some(client),
            _ => None,
        }
    }

    /// Resolves at the next news. Cancel-safe.
    pub(super) async fn next(&mut self) -> LinkNews {
        match self {
            Self::Dialling(connecting) => match connecting.await {
                Ok(client) => {
                    let state = client.state();
                    *self = Self::Up { client, state };
                    LinkNews::Connected
                }
                Err(error) => {
                    *self = Self::Down;
                    LinkNews::Failed(error)
                }
            },
            Self::Up { state, .. } => match state.changed().await {
                Ok(()) => LinkNews::State(state.borrow_and_update().clone()),
                // The sender lives as long as the client.
                Err(_) => LinkNews::State(ConnectionState::Closed),
            },
            Self::Down => std::future::pending().await,
        }
    }
}
