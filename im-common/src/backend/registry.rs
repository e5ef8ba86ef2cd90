//! `ServerRegistry`: which servers and routes there are.

pub(super) mod embedded;
#[cfg(feature = "cluster")]
pub(super) mod etcd;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::Result;
use crate::id::ServerId;

/// What a server tells the others of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// This life of the server.
    pub id: ServerId,
    /// Where clients connect, `host:port`.
    pub client_address: String,
    /// Where routes send pushes, `host:port`.
    pub http_address: String,
    /// Whether it is about to stop and takes no more clients.
    pub draining: bool,
    /// Roughly how many connections it holds.
    pub connections: u64,
    /// Where clients that speak another protocol connect, `host:port` by the protocol's name.
    #[serde(default)]
    pub entrances: BTreeMap<String, String>,
}

/// What a route tells the others of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteInfo {
    /// This life of the route; ids of servers and routes look alike.
    pub id: ServerId,
    /// Where servers and clients send requests, `host:port`.
    pub http_address: String,
}

/// The servers, sorted by id.
pub type ServerList = Arc<Vec<ServerInfo>>;
/// The routes, sorted by id.
pub type RouteList = Arc<Vec<RouteInfo>>;

/// The list of nodes. Every entry is a lease that the implementation keeps alive for as long as
/// the process lives: an entry that a store loses is put back without anybody asking.
///
/// Lists are last-good: while the store does not answer, the newest list known stays. They may be
/// behind; whoever uses an address must be ready to find nobody there.
#[async_trait]
pub trait ServerRegistry: Send + Sync {
    /// Enters a server, or replaces its entry. Returns at the latest after a few seconds, also
    /// when the store is away: the entry then follows as soon as the store is back.
    async fn announce(&self, server: ServerInfo) -> Result<()>;

    /// Removes a server at once. Removing one that is not there is no error.
    async fn withdraw(&self, server: &ServerId) -> Result<()>;

    /// The servers, and every change of them.
    fn servers(&self) -> watch::Receiver<ServerList>;

    /// Enters a route; as [`ServerRegistry::announce`].
    async fn announce_route(&self, route: RouteInfo) -> Result<()>;

    /// Removes a route; as [`ServerRegistry::withdraw`].
    async fn withdraw_route(&self, route: &ServerId) -> Result<()>;

    /// The routes, and every change of them.
    fn routes(&self) -> watch::Receiver<RouteList>;
}
