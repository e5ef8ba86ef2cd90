//! `TestCluster`: routes and servers in this process, on port 0, over any kind of shared state; or
//! the standalone binary behind the same face.

mod cim;
mod home;
mod nodes;
mod shared;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use im_common::backend::{Backend, Mode};
use im_common::id::{DeviceId, MessageId, UserId};
use im_common::message::Identity;
use im_common::name::UserName;
use im_common::secret::{ClusterSecret, NodeCredential};
use im_common::tasks::Tasks;
use im_common::ticket::{Ticket, TicketKey};
use im_route::RouteConfig;
use im_server::ServerConfig;

use self::nodes::Running;
pub use self::nodes::{RouteNode, ServerNode};
use self::shared::Shared;
use crate::injected::Injected;
use crate::services::{Etcd, Redis, RedisCluster};
use crate::standalone::Standalone;
use crate::user::TestUser;

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
        let options = [&["--ephemeral"], options].concat();
        let standalone = Standalone::start(&options).await;
        let cim = standalone.address("cim-route");
        let route = RouteNode {
            url: standalone.url(),
            cim: cim.map(|address| address.parse().expect("an address")),
            counters: Arc::default(),
            running: Running::elsewhere(),
        };
        Self {
            shared: Shared::Standalone {
                _process: Box::new(standalone),
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

    /// The routes' addresses, that of `first` at the front.
    pub fn urls(&self, first: usize) -> Vec<String> {
        let mut urls: Vec<String> = self.routes.iter().map(|route| route.url.clone()).collect();
        let count = urls.len();
        urls.rotate_left(first % count);
        urls
    }

    /// The routes.
    pub fn routes(&self) -> &[RouteNode] {
        &self.routes
    }

    /// The servers.
    pub fn servers(&self) -> &[ServerNode] {
        &self.servers
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
