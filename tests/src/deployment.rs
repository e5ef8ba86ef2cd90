//! A deployment of real processes: nodes, Redis and etcd, with a proxy on every way between them.
//!
//! Nodes come back to the ports they had. What each of them says goes to a file of a folder, and is
//! searched for what nobody may say ([`Deployment::alarms`]). Everything ends when it is dropped.

mod cim_ports;
mod daemon;
mod figures;
mod mount;
mod nodes;
mod saying;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use futures::future::try_join_all;
use tokio::time::{Instant, sleep};

pub use cim_ports::CimPorts;
pub use daemon::{Daemon, READY_WITHIN};
pub use figures::Figures;
pub use mount::{CannotMount, Mount};
pub use nodes::{RouteNode, ServerNode, Standalone};

use crate::proxy::Proxy;
use crate::services::{Etcd, Redis, RedisCluster};

/// How often a route is asked how many servers it sees.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a deployment is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Profile {
    /// One standalone with a durable folder.
    Embedded,
    /// Servers and routes over one durable Redis and etcd.
    Cluster,
    /// Servers and routes over a Redis Cluster and etcd.
    RedisCluster,
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Cluster => "cluster",
            Self::RedisCluster => "redis-cluster",
        })
    }
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Of what kind.
    pub profile: Profile,
    /// How many servers, where there are several.
    pub servers: usize,
    /// How many routes, where there are several.
    pub routes: usize,
    /// Where clients of CIM are let in, if they are.
    pub cim: Option<CimPorts>,
    /// Further options of every server, or of the standalone.
    pub server_options: Vec<String>,
    /// The standalone keeps its data on a file system of this size of its own.
    pub data_bytes_max: Option<u64>,
    /// Where the binaries are.
    pub binaries: PathBuf,
    /// Where logs and data go. It must exist, and stays.
    pub folder: PathBuf,
}

impl Plan {
    /// The standard deployment: three servers and two routes, where there are several.
    pub const fn new(profile: Profile, binaries: PathBuf, folder: PathBuf) -> Self {
        Self {
            profile,
            servers: 3,
            routes: 2,
            cim: None,
            server_options: Vec::new(),
            data_bytes_max: None,
            binaries,
            folder,
        }
    }
}

/// What holds the shared state of several nodes.
pub struct Stores {
    /// One Redis, unless there is a Redis Cluster.
    pub redis: Option<Redis>,
    /// A Redis Cluster.
    pub redis_cluster: Option<RedisCluster>,
    /// The registry.
    pub etcd: Etcd,
}

/// Everything that runs. Which parts there are depends on the profile.
pub struct Deployment {
    /// What was asked for.
    pub plan: Plan,
    /// The routes; none where there is a standalone.
    pub routes: Vec<RouteNode>,
    /// The servers; none where there is a standalone.
    pub servers: Vec<ServerNode>,
    /// The one process that is both.
    pub standalone: Option<Standalone>,
    /// Redis and etcd, where there are several nodes.
    pub stores: Option<Stores>,
}

impl Deployment {
    /// Starts everything and waits until every route can place clients on every server.
    pub async fn start(plan: Plan) -> anyhow::Result<Self> {
        let mut deployment = Self {
            routes: Vec::new(),
            servers: Vec::new(),
            standalone: None,
            stores: None,
            plan,
        };
        if deployment.plan.profile == Profile::Embedded {
            deployment.standalone = Some(Standalone::start(&deployment.plan).await?);
            return Ok(deployment);
        }
        let stores = Stores::start(deployment.plan.profile).await;
        nodes::write_secret(&deployment.plan.folder)?;
        let plan = &deployment.plan;
        let routes = (1..=plan.routes).map(|number| RouteNode::start(plan, &stores, number));
        let servers = (1..=plan.servers).map(|number| ServerNode::start(plan, &stores, number));
        (deployment.routes, deployment.servers) =
            futures::try_join!(try_join_all(routes), try_join_all(servers))?;
        deployment.stores = Some(stores);
        deployment.placeable(deployment.servers.len()).await?;
        Ok(deployment)
    }

    /// Starts one more server.
    pub async fn add_server(&mut self) -> anyhow::Result<&mut ServerNode> {
        let stores = self.stores.as_ref().context("a standalone stays alone")?;
        let number = self.servers.len() + 1;
        let server = ServerNode::start(&self.plan, stores, number).await?;
        self.servers.push(server);
        Ok(self.servers.last_mut().expect("it was just added"))
    }

    /// Addresses of the HTTP API as clients reach it, through proxies.
    pub fn urls(&self) -> Vec<String> {
        let standalone = self.standalone.iter().map(|node| node.http.address());
        let routes = self.routes.iter().map(|route| route.for_clients.address());
        standalone
            .chain(routes)
            .map(|address| format!("http://{address}"))
            .collect()
    }

    /// Addresses of CIM's endpoints, if there are any; without proxies.
    pub fn cim_urls(&self) -> Vec<String> {
        let standalone = self.standalone.iter().filter_map(|node| node.cim);
        let routes = self.routes.iter().filter_map(|route| route.cim);
        standalone
            .chain(routes)
            .map(|address| format!("http://{address}"))
            .collect()
    }

    /// The proxies that carry the clients' long connections.
    pub fn client_links(&self) -> Vec<&Proxy> {
        let standalone = self.standalone.iter().map(|node| &node.clients);
        let servers = self.servers.iter().map(|server| &server.for_clients);
        standalone.chain(servers).collect()
    }

    /// The proxies that carry the clients' HTTP requests.
    pub fn http_links(&self) -> Vec<&Proxy> {
        let standalone = self.standalone.iter().map(|node| &node.http);
        let routes = self.routes.iter().map(|route| &route.for_clients);
        standalone.chain(routes).collect()
    }

    /// Every proxy there is.
    pub fn links(&self) -> Vec<&Proxy> {
        let mut links = self.client_links();
        links.extend(self.http_links());
        for server in &self.servers {
            links.extend([&server.for_routes, &server.to_etcd]);
        }
        for route in &self.routes {
            links.extend([&route.for_servers, &route.to_etcd]);
            links.extend(route.to_redis.as_ref());
        }
        links
    }

    /// Every process of ours, running or not.
    pub fn daemons(&self) -> impl Iterator<Item = &Daemon> {
        let standalone = self.standalone.iter().map(|node| &node.daemon);
        let routes = self.routes.iter().map(|route| &route.daemon);
        let servers = self.servers.iter().map(|server| &server.daemon);
        standalone.chain(routes).chain(servers)
    }

    /// As [`Deployment::daemons`], to do something to them.
    pub fn daemons_mut(&mut self) -> impl Iterator<Item = &mut Daemon> {
        let standalone = self.standalone.iter_mut().map(|node| &mut node.daemon);
        let routes = self.routes.iter_mut().map(|route| &mut route.daemon);
        let servers = self.servers.iter_mut().map(|server| &mut server.daemon);
        standalone.chain(routes).chain(servers)
    }

    /// Which server goes by this id, as its log says.
    pub fn server_by_id(&self, id: &str) -> Option<usize> {
        let says = |server: &ServerNode| {
            let said = std::fs::read_to_string(&server.daemon.log);
            said.is_ok_and(|said| said.contains(id))
        };
        self.servers.iter().position(says)
    }

    /// Makes every wire plain again and starts again what does not run.
    pub async fn heal(&mut self) -> anyhow::Result<()> {
        self.links().into_iter().for_each(Proxy::heal);
        try_join_all(self.daemons_mut().map(Daemon::ensure_running)).await?;
        Ok(())
    }

    /// Waits until every route reports this many servers that take clients.
    pub async fn placeable(&self, servers: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        for route in &self.routes {
            while placeable_of(route.address).await != Some(servers as u64) {
                let name = &route.daemon.name;
                anyhow::ensure!(Instant::now() < deadline, "{name}: not {servers} servers");
                sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    }

    /// What processes said that none may ever say, and which ended without being asked to.
    pub fn alarms(&mut self, is_expected: impl Fn(&str) -> bool) -> Vec<String> {
        let mut alarms = Vec::new();
        for daemon in self.daemons_mut() {
            let said = saying::alarms_in(&daemon.log);
            let ends = daemon.crashes().iter();
            let ends: Vec<String> = ends.map(|how| format!("ended by itself: {how}")).collect();
            let unexpected = said
                .into_iter()
                .chain(ends)
                .filter(|line| !is_expected(line));
            let name = &daemon.name;
            alarms.extend(unexpected.map(|line| format!("{name}: {line}")));
        }
        alarms
    }

    /// Where logs and data are.
    pub fn folder(&self) -> &Path {
        &self.plan.folder
    }
}

impl Stores {
    async fn start(profile: Profile) -> Self {
        let (redis, redis_cluster) = match profile {
            Profile::RedisCluster => (None, Some(RedisCluster::start().await)),
            _ => (Some(Redis::start_durable().await), None),
        };
        Self {
            redis,
            redis_cluster,
            etcd: Etcd::start().await,
        }
    }

    /// The one Redis.
    ///
    /// # Panics
    /// In a profile without one.
    pub fn redis(&mut self) -> &mut Redis {
        self.redis.as_mut().expect("this profile has one Redis")
    }
}

async fn placeable_of(route: SocketAddr) -> Option<u64> {
    let health = reqwest::Client::builder().no_proxy().build().ok()?;
    let answer = health.get(format!("http://{route}/v1/health")).send().await;
    let health: serde_json::Value = answer.ok()?.json().await.ok()?;
    health["servers"].as_u64()
}
