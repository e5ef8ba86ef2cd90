//! Clusters that let clients of CIM in.

use std::net::SocketAddr;

use im_common::backend::registry::ServerInfo;
use im_route::RouteConfig;
use im_server::ServerConfig;

use super::TestCluster;
use crate::cim::CimRoute;

/// Any free port of loopback.
fn free() -> Option<SocketAddr> {
    Some(SocketAddr::from(([127, 0, 0, 1], 0)))
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

    /// As [`TestCluster::embedded_for_cim`] with two servers, on CIM's own ports: 8083 for the route, 11211 and 8081 for
    /// the first server, 11212 and 8082 for the second.
    pub async fn on_cims_ports() -> Self {
        let on = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        let mut cluster = Self::embedded_with(0, 0).await;
        let mut config = RouteConfig::for_tests();
        config.cim.listen = on(8083);
        cluster.add_route(config).await;
        for number in 0..2 {
            let mut config = ServerConfig::for_tests();
            config.cim.listen = on(11_211 + number);
            config.http_listen = on(8081 + number);
            cluster.add_server(config).await;
        }
        cluster
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
