//! The embedded `ServerRegistry`: the nodes of this process, alive for as long as it is.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;

use super::{RouteInfo, RouteList, ServerInfo, ServerList, ServerRegistry};
use crate::backend::Result;
use crate::id::ServerId;

/// Nodes in the memory of this process.
#[derive(Default)]
pub(in crate::backend) struct EmbeddedRegistry {
    servers: watch::Sender<ServerList>,
    routes: watch::Sender<RouteList>,
}

#[async_trait]
impl ServerRegistry for EmbeddedRegistry {
    async fn announce(&self, server: ServerInfo) -> Result<()> {
        enter(&self.servers, server, |server| &server.id);
        Ok(())
    }

    async fn withdraw(&self, server: &ServerId) -> Result<()> {
        remove(&self.servers, server, |server| &server.id);
        Ok(())
    }

    fn servers(&self) -> watch::Receiver<ServerList> {
        self.servers.subscribe()
    }

    async fn announce_route(&self, route: RouteInfo) -> Result<()> {
        enter(&self.routes, route, |route| &route.id);
        Ok(())
    }

    async fn withdraw_route(&self, route: &ServerId) -> Result<()> {
        remove(&self.routes, route, |route| &route.id);
        Ok(())
    }

    fn routes(&self) -> watch::Receiver<RouteList> {
        self.routes.subscribe()
    }
}

/// Watchers wake only when the list really changes.
fn enter<N: Clone + PartialEq>(
    list: &watch::Sender<Arc<Vec<N>>>,
    node: N,
    id: impl Fn(&N) -> &ServerId,
) {
    list.send_if_modified(
        |nodes| match nodes.binary_search_by(|held| id(held).cmp(id(&node))) {
            Ok(at) if nodes[at] == node => false,
            Ok(at) => {
                Arc::make_mut(nodes)[at] = node;
                true
            }
            Err(at) => {
                Arc::make_mut(nodes).insert(at, node);
                true
            }
        },
    );
}

fn remove<N: Clone>(
    list: &watch::Sender<Arc<Vec<N>>>,
    node: &ServerId,
    id: impl Fn(&N) -> &ServerId,
) {
    list.send_if_modified(|nodes| {
        let place = nodes.binary_search_by(|held| id(held).cmp(node));
        place.is_ok_and(|at| {
            Arc::make_mut(nodes).remove(at);
            true
        })
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::contract;

    #[tokio::test]
    async fn passes_the_suite() {
        contract::registry::suite(Arc::new(EmbeddedRegistry::default())).await;
    }

    #[tokio::test]
    async fn announcing_the_same_again_wakes_nobody() {
        let registry = EmbeddedRegistry::default();
        let route = RouteInfo {
            id: ServerId::fresh(),
            http_address: "192.0.2.1:80".to_owned(),
        };
        registry.announce_route(route.clone()).await.unwrap();
        let mut routes = registry.routes();
        routes.mark_unchanged();
        registry.announce_route(route).await.unwrap();
        registry.withdraw_route(&ServerId::fresh()).await.unwrap();
        assert!(!routes.has_changed().unwrap());
    }
}
