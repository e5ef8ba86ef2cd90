//! `ServerRegistry` in etcd: every entry a key under a lease that one task keeps alive.
//!
//! The seam's methods never talk to etcd: they say what is wanted, and wait until the task has seen
//! it in the list.

mod keeper;
mod listing;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use tokio::sync::watch;

use self::keeper::Keeper;
use self::store::Store;
use super::{RouteInfo, RouteList, ServerInfo, ServerList, ServerRegistry};
use crate::backend::{BackendError, EtcdConfig, Result};
use crate::id::ServerId;
use crate::tasks::Tasks;

/// How long a caller waits to see its change in the list. Several times what a healthy etcd needs;
/// the change follows later when it is away.
const CONFIRM_WITHIN: Duration = Duration::from_secs(2);

const SERVERS: &str = "servers";
const ROUTES: &str = "routes";

/// What this process wants to be in etcd, by `<kind>/<id>`: a value, or nothing.
type Wanted = BTreeMap<String, Option<String>>;

/// The list of nodes in etcd.
pub(in crate::backend) struct EtcdRegistry {
    wanted: watch::Sender<Wanted>,
    servers: watch::Receiver<ServerList>,
    routes: watch::Receiver<RouteList>,
}

impl EtcdRegistry {
    /// Reads the list once, or fails with an error that names the endpoints. From then on a task
    /// follows it until it is cancelled.
    pub(in crate::backend) async fn connect(config: &EtcdConfig, tasks: &Tasks) -> Result<Self> {
        let (store, listed) = Store::connect(config).await?;
        let (wanted, wishes) = watch::channel(Wanted::new());
        let keeper = Keeper::new(store, listed, wishes);
        let registry = Self {
            wanted,
            servers: keeper.servers(),
            routes: keeper.routes(),
        };
        tasks.spawn("registry", keeper.run(tasks.token()));
        Ok(registry)
    }

    fn want(&self, kind: &str, id: &ServerId, value: Option<String>) {
        self.wanted.send_modify(|wanted| {
            wanted.insert(format!("{kind}/{id}"), value);
        });
    }
}

#[async_trait]
impl ServerRegistry for EtcdRegistry {
    async fn announce(&self, server: ServerInfo) -> Result<()> {
        self.want(SERVERS, &server.id, Some(render(&server)));
        let listed = |list: &ServerList| list.contains(&server);
        let _follows_later = seen(self.servers.clone(), listed).await;
        Ok(())
    }

    async fn withdraw(&self, server: &ServerId) -> Result<()> {
        self.want(SERVERS, server, None);
        let gone = |list: &ServerList| list.iter().all(|entry| entry.id != *server);
        seen(self.servers.clone(), gone).await
    }

    fn servers(&self) -> watch::Receiver<ServerList> {
        self.servers.clone()
    }

    async fn announce_route(&self, route: RouteInfo) -> Result<()> {
        self.want(ROUTES, &route.id, Some(render(&route)));
        let listed = |list: &RouteList| list.contains(&route);
        let _follows_later = seen(self.routes.clone(), listed).await;
        Ok(())
    }

    async fn withdraw_route(&self, route: &ServerId) -> Result<()> {
        self.want(ROUTES, route, None);
        let gone = |list: &RouteList| list.iter().all(|entry| entry.id != *route);
        seen(self.routes.clone(), gone).await
    }

    fn routes(&self) -> watch::Receiver<RouteList> {
        self.routes.clone()
    }
}

fn render(node: &impl Serialize) -> String {
    serde_json::to_string(node).expect("a struct of strings and numbers has a JSON form")
}

/// Waits until a list shows a change.
async fn seen<T>(
    mut list: watch::Receiver<Arc<Vec<T>>>,
    shows: impl Fn(&Arc<Vec<T>>) -> bool,
) -> Result<()> {
    match tokio::time::timeout(CONFIRM_WITHIN, list.wait_for(shows)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(BackendError::unavailable("the registry has stopped")),
        Err(_) => Err(BackendError::unavailable("etcd did not answer in time")),
    }
}
