//! A server node: binds its ports, serves until told to stop, then drains.

mod drain;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use im_common::backend::registry::{ServerInfo, ServerRegistry};
use im_common::cim::PROTOCOL;
use im_common::secret::ClusterSecret;
use im_common::serve::serve;
use im_common::tasks::Tasks;
use im_common::ticket::TicketKey;
use im_common::transport::Uplink;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::acks::Acks;
use crate::announcement::Announcement;
use crate::cim;
use crate::config::ServerConfig;
use crate::connection::Context;
use crate::connections::Connections;
use crate::detaches::{Detaches, Leavers};
use crate::handshake::Gate;
use crate::{http, lease, listener};

/// Idle connections of routes and halves of requests do not keep a server from stopping.
const HTTP_STOP_WITHIN: Duration = Duration::from_secs(1);

/// What a server is built on.
pub struct Parts {
    /// Where the server announces itself.
    pub registry: Arc<dyn ServerRegistry>,
    /// The way to the routes.
    pub uplink: Arc<dyn Uplink>,
    /// The table of connections; belongs to this server alone.
    pub connections: Connections,
    /// Verifies tickets and authenticates nodes.
    pub secret: ClusterSecret,
}

/// A server whose ports are bound.
pub struct Server {
    config: ServerConfig,
    clients: TcpListener,
    cim: Option<TcpListener>,
    http: Option<(TcpListener, axum::Router)>,
    client_address: SocketAddr,
    cim_address: Option<SocketAddr>,
    http_address: Option<SocketAddr>,
    announcement: Announcement,
    context: Arc<Context>,
    leavers: Leavers,
    /// Tasks of the node.
    tasks: Tasks,
    /// Tasks of clients: they end before those of the node.
    client_tasks: Tasks,
}

/// What runs, and what it takes to stop it.
struct Running {
    config: ServerConfig,
    announcement: Announcement,
    context: Arc<Context>,
    tasks: Tasks,
    client_tasks: Tasks,
    entrances: Vec<Stoppable>,
    refresh: Stoppable,
    lease: Stoppable,
    acks: Stoppable,
    http: Stoppable,
    leavers: JoinHandle<()>,
}

/// A task that ends when told to.
struct Stoppable {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Stoppable {
    fn start<F>(tasks: &Tasks, name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = tasks.token();
        let task = tasks.spawn(name, run(stop.clone()));
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        // Tasks catch their panics, so joining cannot fail.
        let _ = self.task.await;
    }
}

impl Server {
    /// Checks the options and binds the ports.
    pub async fn bind(config: ServerConfig, parts: Parts) -> anyhow::Result<Self> {
        config.check()?;
        let Parts {
            registry,
            uplink,
            connections,
            secret,
        } = parts;
        let clients = listener::listen(config.listen)?;
        let client_address = clients.local_addr()?;
        let cim = config.cim.listen.map(listener::listen).transpose()?;
        let cim_address = cim.as_ref().map(TcpListener::local_addr).transpose()?;
        let http = match config.http_listen {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .with_context(|| format!("cannot listen on {address}"))?,
            ),
            None => None,
        };
        let http_address = http.as_ref().map(TcpListener::local_addr).transpose()?;
        let advertised = |advertise: &Option<String>, real: Option<SocketAddr>| {
            let real = real.map(|address| address.to_string());
            advertise.clone().or(real).unwrap_or_default()
        };
        let announcement = Announcement::new(
            registry,
            connections.clone(),
            advertised(&config.advertise, Some(client_address)),
            advertised(&config.http_advertise, http_address),
            cim_address
                .map(|_| advertised(&config.cim.advertise, cim_address))
                .map(|address| (PROTOCOL.to_owned(), address))
                .into_iter()
                .collect(),
        );
        let client_tasks = Tasks::new();
        let router = http::router(connections.clone(), secret.node_credential());
        let (detaches, leavers) = Detaches::new();
        let context = Arc::new(Context {
            connections,
            uplink,
            acks: Acks::default(),
            detaches,
            gate: Gate {
                key: TicketKey::new(&secret),
                within: config.handshake_within,
                closing: client_tasks.token(),
            },
            ping_after: config.ping_after,
            pong_within: config.pong_within,
            write_within: config.write_within,
        });
        Ok(Self {
            config,
            clients,
            cim,
            http: http.map(|listener| (listener, router)),
            client_address,
            cim_address,
            http_address,
            announcement,
            context,
            leavers,
            tasks: Tasks::new(),
            client_tasks,
        })
    }

    /// What others are told of this server.
    pub fn info(&self) -> ServerInfo {
        self.announcement.info()
    }

    /// Where clients connect, with the real port.
    pub const fn client_address(&self) -> SocketAddr {
        self.client_address
    }

    /// Where clients of CIM connect, with the real port, if the server has an entrance for them.
    pub const fn cim_address(&self) -> Option<SocketAddr> {
        self.cim_address
    }

    /// Where routes reach this server, with the real port, if it listens for them.
    pub const fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// Serves until `shutdown` resolves, then drains. Fails when a part of the server broke.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let info = self.info();
        tracing::info!(server.id = %info.id, clients = info.client_address, http = info.http_address, "server started");
        let running = self.start();
        running.announcement.announce().await;
        let broke = tokio::select! {
            () = shutdown => false,
            () = running.tasks.cancelled() => true,
            () = running.client_tasks.cancelled() => true,
        };
        if broke {
            running.announcement.withdraw().await;
            bail!("a part of the server broke; see the log");
        }
        running.drain().await?;
        tracing::info!("server stopped");
        Ok(())
    }

    fn start(self) -> Running {
        let Self {
            config,
            context,
            announcement,
            tasks,
            client_tasks,
            ..
        } = self;
        let uplink = || Arc::clone(&context.uplink);
        let mut entrances = vec![Stoppable::start(&tasks, "entrance", |stop| {
            let take_in = listener::entrance(Arc::clone(&context), client_tasks.clone());
            listener::accept(self.clients, stop, take_in)
        })];
        if let Some(clients) = self.cim {
            cim::warn(&config.cim, &clients);
            let (config, context) = (config.cim.clone(), Arc::clone(&context));
            let take_in = cim::entrance(config, context, client_tasks.clone());
            let accept = |stop| listener::accept(clients, stop, take_in);
            entrances.push(Stoppable::start(&tasks, "cim entrance", accept));
        }
        let refresh = Stoppable::start(&tasks, "announcement", |stop| {
            announcement.clone().refresh(stop)
        });
        let lease = Stoppable::start(&tasks, "lease", |stop| {
            lease::keep(Arc::clone(&context), config.renew_every, stop)
        });
        let acks = Stoppable::start(&tasks, "acks", |stop| {
            context.acks.clone().run(uplink(), stop)
        });
        let http = Stoppable::start(&tasks, "http", |stop| serve_http(self.http, stop));
        let leavers = tasks.spawn("detaches", self.leavers.run(uplink()));
        Running {
            config,
            announcement,
            context,
            tasks,
            client_tasks,
            entrances,
            refresh,
            lease,
            acks,
            http,
            leavers,
        }
    }
}

async fn serve_http(http: Option<(TcpListener, axum::Router)>, stop: CancellationToken) {
    let Some((listener, router)) = http else {
        return stop.cancelled().await;
    };
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(HTTP_STOP_WITHIN).await;
    };
    tokio::select! {
        () = serve(listener, router, stop.clone()) => {}
        () = late => {}
    }
}
