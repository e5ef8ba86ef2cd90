//! `TestCluster`: routes and servers in this process, on port 0, over any kind of shared state; or
//! the standalone binary behind the same face.

mod cim;
mod home;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use im_common::backend::registry::ServerInfo;
use im_common::backend::{Backend, EtcdConfig, Mode, RedisConfig};
use im_common::id::{DeviceId, MessageId, UserId};
use im_common::message::Identity;
use im_common::name::UserName;
use im_common::secret::{ClusterSecret, NodeCredential};
use im_common::tasks::Tasks;
use im_common::ticket::{Ticket, TicketKey};
use im_common::transport::{Downlink, Uplink};
use im_route::{Counters, HttpDownlink, Route, RouteConfig};
use im_server::{Connections, HttpUplink, Server, ServerConfig};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::home::Home;
use crate::PATIENCE;
use crate::injected::Injected;
use crate::planted::{spoil_backend, spoil_downlink};
use crate::process::Process;
use crate::services::{Etcd, Redis, RedisCluster};
use crate::user::TestUser;

/// What a cluster keeps its shared state in.
enum Shared {
    /// One backend in this process, shared by all nodes.
    Embedded(Box<Backend>),
    /// Real Redis and etcd, which each node reaches by itself.
    Stores(Box<(Redis, Etcd)>),
    /// The same with a Redis Cluster.
    Sharded(Box<(RedisCluster, Etcd)>),
    /// The standalone binary, which has its own.
    Standalone { _process: Box<Process> },
}

/// A cluster under test. Dropping it ends everything it started.
pub struct TestCluster {
    shared: Shared,
    routes: Vec<RouteNode>,
    servers: Vec<ServerNode>,
    secret_text: String,
    secret: ClusterSecret,
    tasks: Tasks,
    /// Nodes have threads of their own, and faults between them.
    injected: Option<Injected>,
    leftovers: Vec<String>,
}

/// A route in this process.
pub struct RouteNode {
    /// The base of its HTTP API.
    pub url: String,
    /// Where CIM's endpoints are, if it has them.
    pub cim: Option<SocketAddr>,
    /// What it has done.
    pub counters: Arc<Counters>,
    running: Running,
}

/// A server in this process.
pub struct ServerNode {
    /// What it announced.
    pub info: ServerInfo,
    /// Where it really listens for clients, whatever it announced.
    pub client_address: SocketAddr,
    /// Its table.
    pub connections: Connections,
    running: Running,
}

struct Running {
    home: Home,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Running {
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
    /// One route and one server over an embedded backend, joined by HTTP.
    pub async fn embedded() -> Self {
        Self::embedded_with(1, 1).await
    }

    /// Routes and servers over an embedded backend.
    pub async fn embedded_with(routes: usize, servers: usize) -> Self {
        let tasks = Tasks::new();
        let backend = Backend::connect(&Mode::Embedded(None), &tasks)
            .await
            .expect("embedded backend");
        Self::start(Shared::Embedded(Box::new(backend)), routes, servers, tasks).await
    }

    /// Routes and servers over real Redis and etcd.
    pub async fn stores_with(routes: usize, servers: usize) -> Self {
        let shared = Shared::Stores(Box::new((Redis::start().await, Etcd::start().await)));
        Self::start(shared, routes, servers, Tasks::new()).await
    }

    /// As [`TestCluster::stores_with`], over a Redis that answers a change once it is on the disk.
    pub async fn durable_stores_with(routes: usize, servers: usize) -> Self {
        let redis = Redis::start_durable().await;
        let shared = Shared::Stores(Box::new((redis, Etcd::start().await)));
        Self::start(shared, routes, servers, Tasks::new()).await
    }

    /// Routes and servers over a real Redis Cluster of three masters, and etcd.
    pub async fn sharded_with(routes: usize, servers: usize) -> Self {
        let stores = (RedisCluster::start().await, Etcd::start().await);
        Self::start(
            Shared::Sharded(Box::new(stores)),
            routes,
            servers,
            Tasks::new(),
        )
        .await
    }

    /// The standalone binary.
    pub async fn standalone() -> Self {
        Self::standalone_with(&[]).await
    }

    /// The standalone binary, with further options.
    pub async fn standalone_with(options: &[&str]) -> Self {
        let defaults = [
            "--headless",
            "--ephemeral",
            "--route-listen=127.0.0.1:0",
            "--server-listen=127.0.0.1:0",
        ];
        let options: Vec<&str> = defaults.iter().chain(options).copied().collect();
        let mut process = Process::start("im-standalone", &options).await;
        let ready = process.ready().await;
        let url = ready["route"].as_str().expect("a route address").to_owned();
        let cim = ready["cim-route"].as_str();
        let cim = cim.map(|address| address.parse().expect("an address"));
        let running = Running {
            home: Home::Here,
            stop: CancellationToken::new(),
            ended: tokio::task::spawn_blocking(|| ()),
        };
        let route = RouteNode {
            url,
            cim,
            counters: Arc::default(),
            running,
        };
        Self {
            shared: Shared::Standalone {
                _process: Box::new(process),
            },
            routes: vec![route],
            servers: Vec::new(),
            secret_text: String::new(),
            secret: ClusterSecret::fresh(),
            tasks: Tasks::new(),
            injected: None,
            leftovers: Vec::new(),
        }
    }

    /// No node yet, over an embedded backend. Each node gets threads of its own, so that it can
    /// [crash](TestCluster::crash_server), and what goes wrong between them is decided by the gates.
    pub async fn with_faults(injected: &Injected) -> Self {
        let tasks = Tasks::new();
        let backend = Backend::connect(&Mode::Embedded(None), &tasks)
            .await
            .expect("embedded backend");
        let cluster = Self::start(Shared::Embedded(Box::new(backend)), 0, 0, tasks).await;
        Self {
            injected: Some(injected.clone()),
            ..cluster
        }
    }

    async fn start(shared: Shared, routes: usize, servers: usize, tasks: Tasks) -> Self {
        let secret_text = format!("{}{}", MessageId::fresh(), MessageId::fresh());
        let secret = ClusterSecret::new(&secret_text).expect("long enough");
        let mut cluster = Self {
            shared,
            routes: Vec::new(),
            servers: Vec::new(),
            secret_text,
            secret,
            tasks,
            injected: None,
            leftovers: Vec::new(),
        };
        for _ in 0..routes {
            cluster.add_route(RouteConfig::for_tests()).await;
        }
        for _ in 0..servers {
            cluster.add_server(ServerConfig::for_tests()).await;
        }
        cluster
    }

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

    /// A node's own way to the shared state.
    pub async fn backend(&self) -> Backend {
        match &self.shared {
            Shared::Embedded(backend) => Backend::clone(backend),
            Shared::Stores(stores) => self.reach(vec![stores.0.url()], &stores.1).await,
            Shared::Sharded(stores) => self.reach(stores.0.urls(), &stores.1).await,
            Shared::Standalone { .. } => panic!("the standalone keeps its backend to itself"),
        }
    }

    async fn reach(&self, redis: Vec<String>, etcd: &Etcd) -> Backend {
        let redis = RedisConfig {
            urls: redis,
            prefix: "im".into(),
        };
        let etcd = EtcdConfig {
            endpoints: vec![etcd.url()],
            prefix: "/im".into(),
        };
        let mode = Mode::Cluster(redis, etcd);
        Backend::connect(&mode, &self.tasks)
            .await
            .expect("Redis and etcd answer")
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

    /// The routes' addresses, that of `first` at the front.
    pub fn urls(&self, first: usize) -> Vec<String> {
        let mut urls: Vec<String> = self.routes.iter().map(|route| route.url.clone()).collect();
        let count = urls.len();
        urls.rotate_left(first % count);
        urls
    }

    /// The Redis behind it, for tests that meddle.
    pub fn redis(&mut self) -> &mut Redis {
        match &mut self.shared {
            Shared::Stores(stores) => &mut stores.0,
            _ => panic!("only a cluster over real stores has a Redis"),
        }
    }

    /// The Redis Cluster behind it, for tests that meddle.
    pub fn redis_cluster(&mut self) -> &mut RedisCluster {
        match &mut self.shared {
            Shared::Sharded(stores) => &mut stores.0,
            _ => panic!("only a sharded cluster has a Redis Cluster"),
        }
    }

    /// The routes.
    pub fn routes(&self) -> &[RouteNode] {
        &self.routes
    }

    /// The servers.
    pub fn servers(&self) -> &[ServerNode] {
        &self.servers
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

    /// What nodes of this cluster know each other by.
    pub fn node_credential(&self) -> NodeCredential {
        self.secret.node_credential()
    }

    /// A genuine ticket that ended this long ago.
    pub fn ticket_expired_for(&self, age: Duration, name: &str) -> Bytes {
        let identity = Identity {
            user: UserId::new(1).expect("a valid id"),
            name: UserName::new(name).expect("a valid name"),
            device: DeviceId::new("test").expect("a valid device"),
        };
        let expires_at = SystemTime::now() - age;
        TicketKey::new(&self.secret).issue(&Ticket {
            identity,
            login_epoch: 1,
            expires_at,
        })
    }

    /// Registers and connects a user.
    pub async fn user(&self, name: &str) -> TestUser {
        TestUser::register(&self.urls(0), name).await
    }

    /// Registers and connects several users at once.
    pub async fn users<const N: usize>(&self, names: [&str; N]) -> [TestUser; N] {
        let users = futures::future::join_all(names.map(|name| self.user(name))).await;
        users
            .try_into()
            .unwrap_or_else(|_| unreachable!("as many users as names"))
    }
}
