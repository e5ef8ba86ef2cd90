//! The nodes of a cluster: how they start, and how they end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use im_common::backend::registry::ServerInfo;
use im_common::transport::{Downlink, Uplink};
use im_route::{Counters, HttpDownlink, Route, RouteConfig};
use im_server::{Connections, HttpUplink, Server, ServerConfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::TestCluster;
use super::home::Home;
use super::shared::Shared;
use crate::PATIENCE;
use crate::planted::{spoil_backend, spoil_downlink};
use crate::process::Process;

/// A route in this process.
pub struct RouteNode {
    /// The base of its HTTP API.
    pub url: String,
    /// Where CIM's endpoints are, if it has them.
    pub cim: Option<SocketAddr>,
    /// What it has done.
    pub counters: Arc<Counters>,
    pub(super) running: Running,
}

/// A server in this process.
pub struct ServerNode {
    /// What it announced.
    pub info: ServerInfo,
    /// Where it really listens for clients, whatever it announced.
    pub client_address: SocketAddr,
    /// Its table.
    pub connections: Connections,
    pub(super) running: Running,
}

/// What ends with a node.
pub(super) struct Running {
    home: Home,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Running {
    /// In a process of its own, which is not ended from here.
    pub(super) fn elsewhere() -> Self {
        Self {
            home: Home::Here,
            stop: CancellationToken::new(),
            ended: tokio::task::spawn_blocking(|| ()),
        }
    }

    /// Stops it as an operator would, and returns how many of its tasks do not end.
    async fn stop(self) -> usize {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.ended)
            .await
            .expect("a node stops in time")
            .expect("no panic");
        self.home.leave().await
    }
}

impl TestCluster {
    /// Starts one more route.
    pub async fn add_route(&mut self, config: RouteConfig) {
        let downlink: Arc<dyn Downlink> =
            Arc::new(HttpDownlink::new(&self.secret.node_credential()));
        let backend = self.backend().await;
        let (backend, downlink) = match &self.injected {
            Some(injected) => (
                injected.around_backend(&spoil_backend(backend)),
                injected.around_downlink(spoil_downlink(downlink)),
            ),
            None => (backend, downlink),
        };
        let parts = im_route::Parts {
            backend,
            downlink,
            secret: self.secret.clone(),
        };
        let home = self.home();
        let bound = home.run(Route::bind(config, parts)).await;
        let route = bound.expect("a route binds");
        let (url, counters) = (format!("http://{}", route.address()), route.counters());
        let cim = route.cim_address();
        let running = self.run(home, move |stop| async move {
            route.run(stop.cancelled_owned()).await
        });
        self.routes.push(RouteNode {
            url,
            cim,
            counters,
            running,
        });
    }

    /// Starts one more server and waits until every route can place clients there.
    pub async fn add_server(&mut self, config: ServerConfig) -> ServerInfo {
        let registry = self.backend().await.registry;
        let uplink: Arc<dyn Uplink> = Arc::new(HttpUplink::new(
            registry.routes(),
            self.secret.node_credential(),
            self.tasks.clone(),
        ));
        let uplink = match &self.injected {
            Some(injected) => injected.around_uplink(uplink),
            None => uplink,
        };
        let connections = Connections::new(config.connections_max);
        let parts = im_server::Parts {
            registry,
            uplink,
            connections: connections.clone(),
            secret: self.secret.clone(),
        };
        let home = self.home();
        let bound = home.run(Server::bind(config, parts)).await;
        let server = bound.expect("a server binds");
        let (info, client_address) = (server.info(), server.client_address());
        let running = self.run(home, move |stop| async move {
            server.run(stop.cancelled_owned()).await
        });
        self.servers.push(ServerNode {
            info: info.clone(),
            client_address,
            connections,
            running,
        });
        self.placeable(self.servers.len()).await;
        info
    }

    /// Starts one more server as a process of its own, which can be killed. Returns before a route
    /// knows it.
    pub async fn server_process(&self, args: &[&str]) -> Process {
        let Shared::Stores(stores) = &self.shared else {
            panic!("a process needs stores that it can reach");
        };
        let etcd = format!("--etcd={}", stores.1.url());
        let defaults = ["--listen=127.0.0.1:0", "--http-listen=127.0.0.1:0", &etcd];
        let args: Vec<&str> = defaults.into_iter().chain(args.iter().copied()).collect();
        let secret = [("IM_SECRET", self.secret_text.as_str())];
        let mut process = Process::start_with("im-server", &args, &secret).await;
        process.ready().await;
        process
    }

    fn home(&self) -> Home {
        match self.injected {
            Some(_) => Home::apart(),
            None => Home::Here,
        }
    }

    fn run<F, R>(&self, home: Home, node: F) -> Running
    where
        F: FnOnce(CancellationToken) -> R,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let node = node(stop.clone());
        let ended = home.enter(|| {
            self.tasks.spawn("node", async move {
                node.await.expect("a node ends without error");
            })
        });
        Running { home, stop, ended }
    }

    /// Waits until every route reports this many servers that take clients.
    pub async fn placeable(&self, servers: usize) {
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        for route in &self.routes {
            let url = format!("{}/v1/health", route.url);
            let seen = async || {
                let health = http
                    .get(&url)
                    .send()
                    .await
                    .ok()?
                    .json::<serde_json::Value>()
                    .await
                    .ok()?;
                health["servers"].as_u64()
            };
            let mut look = tokio::time::interval(Duration::from_millis(20));
            let wait = async {
                while seen().await != Some(servers as u64) {
                    look.tick().await;
                }
            };
            let route = &route.url;
            tokio::time::timeout(PATIENCE, wait)
                .await
                .unwrap_or_else(|_| panic!("{route} does not see {servers} servers"));
        }
    }

    /// Stops a server as an operator would: its clients move.
    pub async fn drain_server(&mut self, index: usize) {
        let left = self.servers.remove(index).running.stop().await;
        self.note_leftovers("server", left);
    }

    /// Stops a route gracefully.
    pub async fn stop_route(&mut self, index: usize) {
        let left = self.routes.remove(index).running.stop().await;
        self.note_leftovers("route", left);
    }

    /// Ends a server without a word, with all its sockets and whatever it was doing. Its entry in
    /// the registry stays until [`TestCluster::end_lease`].
    ///
    /// # Panics
    /// Unless nodes have threads of their own.
    pub fn crash_server(&mut self, index: usize) -> ServerInfo {
        let server = self.servers.remove(index);
        server.running.home.crash();
        server.info
    }

    /// Ends a route without a word; as [`TestCluster::crash_server`], but its entry ends too: what
    /// an etcd lease does is tested where there is an etcd.
    pub async fn crash_route(&mut self, index: usize) {
        let route = self.routes.remove(index);
        route.running.home.crash();
        let registry = self.backend().await.registry;
        let routes = Arc::clone(&registry.routes().borrow());
        for info in routes.iter() {
            if route.url.ends_with(&info.http_address) {
                let gone = registry.withdraw_route(&info.id).await;
                gone.expect("an embedded registry answers");
            }
        }
    }

    /// What a registry with leases does by itself some time after a crash.
    pub async fn end_lease(&self, server: &ServerInfo) {
        let registry = self.backend().await.registry;
        let gone = registry.withdraw(&server.id).await;
        gone.expect("an embedded registry answers");
    }

    /// Stops all nodes, and says what they leave behind.
    pub async fn stop(mut self) -> Vec<String> {
        while !self.servers.is_empty() {
            self.drain_server(0).await;
        }
        while !self.routes.is_empty() {
            self.stop_route(0).await;
        }
        self.leftovers
    }

    fn note_leftovers(&mut self, node: &str, tasks: usize) {
        if tasks > 0 {
            let what = format!("a {node} has stopped and {tasks} of its tasks have not");
            self.leftovers.push(what);
        }
    }
}
