//! The nodes of a deployment, each behind its proxies.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::{CimPorts, Daemon, Mount, Plan, Stores};
use crate::ports;
use crate::proxy::Proxy;

/// The file with the cluster's secret.
const SECRET_FILE: &str = "secret";
/// Any 32 bytes do: nobody else can reach these nodes.
const SECRET: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A server and the ways to and from it.
pub struct ServerNode {
    /// The process.
    pub daemon: Daemon,
    /// Between clients and it.
    pub for_clients: Proxy,
    /// Between routes and it, unless its port is CIM's own.
    pub for_routes: Proxy,
    /// Between it and etcd.
    pub to_etcd: Proxy,
}

/// A route and the ways to and from it.
pub struct RouteNode {
    /// The process.
    pub daemon: Daemon,
    /// Its real address, past all proxies.
    pub address: SocketAddr,
    /// Where CIM's endpoints are, if it has them.
    pub cim: Option<SocketAddr>,
    /// Between clients and it.
    pub for_clients: Proxy,
    /// Between servers and it.
    pub for_servers: Proxy,
    /// Between it and Redis; a Redis Cluster names its nodes itself, and is reached directly.
    pub to_redis: Option<Proxy>,
    /// Between it and etcd.
    pub to_etcd: Proxy,
}

/// A standalone and the ways to it.
pub struct Standalone {
    /// The process.
    pub daemon: Daemon,
    /// Between clients and its server.
    pub clients: Proxy,
    /// Between clients and its route.
    pub http: Proxy,
    /// The real address of its HTTP API, past all proxies.
    pub route: SocketAddr,
    /// Where CIM's endpoints are, if it has them.
    pub cim: Option<SocketAddr>,
    /// Where it keeps everything.
    pub data: std::path::PathBuf,
    /// The file system of its own, where it has one; goes after the process.
    _mount: Option<Mount>,
}

pub(super) fn write_secret(folder: &Path) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::File::options();
    let file = options.create(true).truncate(true).write(true).mode(0o600);
    file.open(folder.join(SECRET_FILE))?
        .write_all(SECRET.as_bytes())?;
    Ok(())
}

/// A free port of loopback.
pub(super) fn here() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()))
}

fn on_loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

impl ServerNode {
    pub(super) async fn start(plan: &Plan, stores: &Stores, number: usize) -> anyhow::Result<Self> {
        let (clients, http) = (here(), plan.server_http(number));
        let for_clients = Proxy::start(clients).await;
        let for_routes = Proxy::start(http).await;
        let to_etcd = Proxy::start(on_loopback(stores.etcd.port())).await;
        // Clients of CIM are told this port too.
        let advertised = match plan.cim {
            Some(CimPorts::Own(_)) => http,
            _ => for_routes.address(),
        };
        let mut arguments = vec![
            format!("--listen={clients}"),
            format!("--http-listen={http}"),
            format!("--advertise={}", for_clients.address()),
            format!("--http-advertise={}", advertised),
            format!("--etcd=http://{}", to_etcd.address()),
            format!("--secret-file={}", plan.folder.join(SECRET_FILE).display()),
        ];
        let cim = plan.cim_server(number);
        arguments.extend(cim.map(|address| format!("--cim-listen={address}")));
        arguments.extend(plan.server_options.iter().cloned());
        let binary = plan.binaries.join("im-server");
        let name = format!("server-{number}");
        let mut daemon = Daemon::new(binary, name, &plan.folder, arguments);
        daemon.start().await?;
        Ok(Self {
            daemon,
            for_clients,
            for_routes,
            to_etcd,
        })
    }
}

impl RouteNode {
    pub(super) async fn start(plan: &Plan, stores: &Stores, number: usize) -> anyhow::Result<Self> {
        let address = here();
        let for_clients = Proxy::start(address).await;
        let for_servers = Proxy::start(address).await;
        let to_etcd = Proxy::start(on_loopback(stores.etcd.port())).await;
        let to_redis = match &stores.redis {
            Some(redis) => Some(Proxy::start(on_loopback(redis.port())).await),
            None => None,
        };
        let redis = match (&to_redis, &stores.redis_cluster) {
            (Some(proxy), _) => format!("redis://{}", proxy.address()),
            (None, Some(cluster)) => cluster.urls().join(","),
            (None, None) => anyhow::bail!("a route needs a Redis"),
        };
        let cim = plan.cim_route();
        let mut arguments = vec![
            format!("--listen={address}"),
            format!("--advertise={}", for_servers.address()),
            format!("--redis={redis}"),
            format!("--etcd=http://{}", to_etcd.address()),
            format!("--secret-file={}", plan.folder.join(SECRET_FILE).display()),
        ];
        arguments.extend(cim.map(|address| format!("--cim-listen={address}")));
        let binary = plan.binaries.join("im-route");
        let name = format!("route-{number}");
        let mut daemon = Daemon::new(binary, name, &plan.folder, arguments);
        daemon.start().await?;
        Ok(Self {
            daemon,
            address,
            cim,
            for_clients,
            for_servers,
            to_redis,
            to_etcd,
        })
    }
}

impl Standalone {
    pub(super) async fn start(plan: &Plan) -> anyhow::Result<Self> {
        let (listen, route) = (here(), here());
        let clients = Proxy::start(listen).await;
        let http = Proxy::start(route).await;
        let data = plan.folder.join("data");
        let mount = match plan.data_bytes_max {
            Some(bytes) => Some(Mount::new(&data, bytes)?),
            None => None,
        };
        let (cim, cim_server) = (plan.cim_route(), plan.cim_server(1));
        let mut arguments = vec![
            "--headless".to_owned(),
            format!("--data-dir={}", data.display()),
            format!("--route-listen={route}"),
            format!("--server-listen={listen}"),
            format!("--advertise={}", clients.address()),
        ];
        arguments.extend(cim.map(|address| format!("--cim-route-listen={address}")));
        arguments.extend(cim_server.map(|address| format!("--cim-server-listen={address}")));
        let binary = plan.binaries.join("im-standalone");
        let mut daemon = Daemon::new(binary, "standalone".to_owned(), &plan.folder, arguments);
        daemon.start().await?;
        Ok(Self {
            daemon,
            clients,
            http,
            route,
            cim,
            data,
            _mount: mount,
        })
    }
}
