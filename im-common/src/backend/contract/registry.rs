//! What every `ServerRegistry` must do while its store is there.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::timeout;

use super::SOON;
use crate::backend::registry::{RouteInfo, ServerInfo, ServerRegistry};
use crate::id::ServerId;

/// Runs every check.
pub async fn suite(registry: Arc<dyn ServerRegistry>) {
    let registry = &*registry;
    an_announced_server_is_seen(registry).await;
    announcing_again_replaces_the_entry(registry).await;
    lists_are_sorted(registry).await;
    whoever_comes_later_sees_what_is_there(registry).await;
    withdrawing_what_is_not_there_is_no_error(registry).await;
    routes_and_servers_do_not_mix(registry).await;
}

/// Returns a server that no other check has.
pub fn fresh_server() -> ServerInfo {
    ServerInfo {
        id: ServerId::fresh(),
        client_address: "192.0.2.1:4000".to_owned(),
        http_address: "[2001:db8::1]:4001".to_owned(),
        draining: false,
        connections: 0,
        entrances: Default::default(),
    }
}

fn fresh_route() -> RouteInfo {
    RouteInfo {
        id: ServerId::fresh(),
        http_address: "192.0.2.2:8080".to_owned(),
    }
}

/// Waits until a list is as it should be.
async fn until<N>(list: &mut watch::Receiver<Arc<Vec<N>>>, is_so: impl Fn(&[N]) -> bool) {
    let seen = timeout(SOON, list.wait_for(|nodes| is_so(nodes))).await;
    seen.expect("the list changes in time")
        .expect("the registry lives");
}

/// Watchers see a server come and go.
pub async fn an_announced_server_is_seen(registry: &dyn ServerRegistry) {
    let mut servers = registry.servers();
    let server = fresh_server();
    registry.announce(server.clone()).await.unwrap();
    until(&mut servers, |list| list.contains(&server)).await;
    registry.withdraw(&server.id).await.unwrap();
    until(&mut servers, |list| {
        list.iter().all(|held| held.id != server.id)
    })
    .await;
}

/// The newest announcement of a server is the one that counts.
pub async fn announcing_again_replaces_the_entry(registry: &dyn ServerRegistry) {
    let mut servers = registry.servers();
    let server = fresh_server();
    let draining = ServerInfo {
        draining: true,
        connections: 12,
        ..server.clone()
    };
    registry.announce(server).await.unwrap();
    registry.announce(draining.clone()).await.unwrap();
    until(&mut servers, |list| list.contains(&draining)).await;
    let entries = |list: &[ServerInfo]| list.iter().filter(|s| s.id == draining.id).count();
    assert_eq!(entries(&servers.borrow()), 1);
    registry.withdraw(&draining.id).await.unwrap();
    until(&mut servers, |list| entries(list) == 0).await;
}

/// In whatever order nodes come.
pub async fn lists_are_sorted(registry: &dyn ServerRegistry) {
    let mut servers = registry.servers();
    let mut nodes: Vec<_> = (0..4).map(|_| fresh_server()).collect();
    nodes.reverse();
    for server in &nodes {
        registry.announce(server.clone()).await.unwrap();
    }
    until(&mut servers, |list| {
        nodes.iter().all(|server| list.contains(server))
    })
    .await;
    assert!(servers.borrow().is_sorted_by_key(|server| &server.id));
    for server in &nodes {
        registry.withdraw(&server.id).await.unwrap();
    }
    until(&mut servers, |list| {
        !nodes.iter().any(|server| list.contains(server))
    })
    .await;
}

/// A watch begins with the list as it is.
pub async fn whoever_comes_later_sees_what_is_there(registry: &dyn ServerRegistry) {
    let server = fresh_server();
    registry.announce(server.clone()).await.unwrap();
    until(&mut registry.servers(), |list| list.contains(&server)).await;
    assert!(registry.servers().borrow().contains(&server));
    registry.withdraw(&server.id).await.unwrap();
}

/// As the name says, for both kinds of node.
pub async fn withdrawing_what_is_not_there_is_no_error(registry: &dyn ServerRegistry) {
    registry.withdraw(&ServerId::fresh()).await.unwrap();
    registry.withdraw_route(&ServerId::fresh()).await.unwrap();
}

/// Routes come and go as servers do, in a list of their own, even under the same id.
pub async fn routes_and_servers_do_not_mix(registry: &dyn ServerRegistry) {
    let (mut routes, mut servers) = (registry.routes(), registry.servers());
    let route = fresh_route();
    let server = ServerInfo {
        id: route.id.clone(),
        ..fresh_server()
    };
    registry.announce(server.clone()).await.unwrap();
    registry.announce_route(route.clone()).await.unwrap();
    until(&mut routes, |list| list.contains(&route)).await;
    until(&mut servers, |list| list.contains(&server)).await;
    let moved = RouteInfo {
        http_address: "192.0.2.3:8080".to_owned(),
        ..route
    };
    registry.announce_route(moved.clone()).await.unwrap();
    until(&mut routes, |list| list.contains(&moved)).await;
    registry.withdraw_route(&moved.id).await.unwrap();
    until(&mut routes, |list| {
        list.iter().all(|held| held.id != moved.id)
    })
    .await;
    assert!(servers.borrow().contains(&server));
    registry.withdraw(&server.id).await.unwrap();
}
