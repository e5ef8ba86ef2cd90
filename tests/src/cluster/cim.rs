//! Clusters that let clients of CIM in.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU8, Ordering};

use im_common::backend::registry::ServerInfo;
use im_route::RouteConfig;
use im_server::ServerConfig;

use super::TestCluster;
use crate::cim::{CimRoute, ports};

/// Any free port of loopback.
fn free() -> Option<SocketAddr> {
    Some(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// An address of this machine that no other cluster has, here or in another process, so that a
/// port's number can be taken without taking it from anybody.
fn loopback_of_its_own() -> Ipv4Addr {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let cluster = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, cluster, high, low)
}

impl TestCluster {
    /// One route and some servers over an embedded backend.
    pub async fn embedded_for_cim(servers: usize) -> Self {
        Self::embedded_with(0, 0).await.let_cim_in(1, servers).await
    }

    /// Routes and servers over real Redis and etcd.
    pub async fn stores_for_cim(routes: usize, servers: usize) -> Self {
        let cluster = Self::stores_with(0, 0).await;
        cluster.let_cim_in(routes, servers).await
    }

    /// The standalone binary.
    pub async fn standalone_for_cim() -> Self {
        Self::standalone_with(&[
            "--cim-route-listen=127.0.0.1:0",
            "--cim-server-listen=127.0.0.1:0",
        ])
        .await
    }

    async fn let_cim_in(mut self, routes: usize, servers: usize) -> Self {
        for _ in 0..routes {
            self.add_cim_route().await;
        }
        for _ in 0..servers {
            self.add_cim_server().await;
        }
        self
    }

    /// Starts one more route with CIM's endpoints.
    pub async fn add_cim_route(&mut self) {
        let mut config = RouteConfig::for_tests();
        config.cim.listen = free();
        self.add_route(config).await;
    }

    /// Starts one more server with an entrance for clients of CIM.
    pub async fn add_cim_server(&mut self) -> ServerInfo {
        let mut config = ServerConfig::for_tests();
        config.cim.listen = free();
        self.add_server(config).await
    }

    /// As [`TestCluster::embedded_for_cim`] with two servers, on CIM's own ports.
    pub async fn embedded_on_cims_ports() -> Self {
        Self::embedded_with(0, 0).await.take_cims_ports().await
    }

    /// As [`TestCluster::stores_for_cim`] with one route and two servers, on CIM's own ports.
    pub async fn stores_on_cims_ports() -> Self {
        Self::stores_with(0, 0).await.take_cims_ports().await
    }

    /// # Panics
    /// When somebody has one of the ports on all addresses of the machine.
    async fn take_cims_ports(mut self) -> Self {
        let ip = loopback_of_its_own();
        for port in ports::all() {
            let is_free = TcpListener::bind((ip, port));
            is_free.unwrap_or_else(|error| panic!("{ip}:{port}, a port of CIM's: {error}"));
        }
        let on = |port| Some(SocketAddr::from((ip, port)));
        let mut config = RouteConfig::for_tests();
        config.cim.listen = on(ports::ROUTE);
        self.add_route(config).await;
        for server in ports::SERVERS {
            let mut config = ServerConfig::for_tests();
            config.cim.listen = on(server.clients);
            config.http_listen = on(server.http);
            self.add_server(config).await;
        }
        self
    }

    /// CIM's endpoints at the last route that was started.
    ///
    /// # Panics
    /// When it has none.
    pub fn cim(&self) -> CimRoute {
        CimRoute::new(&self.cim_url())
    }

    /// Where they are.
    ///
    /// # Panics
    /// When there are none.
    pub fn cim_url(&self) -> String {
        let route = self.routes.last().expect("there is a route");
        format!("http://{}", route.cim.expect("it speaks CIM"))
    }
}
