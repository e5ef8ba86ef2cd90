//! A route node: its parts put together, its listener, its life.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use im_common::backend::Backend;
use im_common::backend::registry::RouteInfo;
use im_common::id::ServerId;
use im_common::secret::ClusterSecret;
use im_common::serve::serve;
use im_common::tasks::Tasks;
use im_common::ticket::TicketKey;
use im_common::transport::{Downlink, Uplink};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::accounts::Accounts;
use crate::attachments::Attachments;
use crate::cim::{self, Gate};
use crate::config::RouteConfig;
use crate::counters::Counters;
use crate::delivery::Delivery;
use crate::fan_out::FanOut;
use crate::http::{self, App};
use crate::names::Names;
use crate::password::Passwords;
use crate::placement::Placement;
use crate::presence::Presence;
use crate::reading::Reading;
use crate::servers::Servers;
use crate::slots::Slots;
use crate::uplink::LocalUplink;

/// Requests under way may take this long to end once the route stops.
const REQUESTS_END_WITHIN: Duration = Duration::from_secs(5);
/// Background tasks only have to put down what they hold.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What a route needs of the world.
pub struct Parts {
    /// Shared state.
    pub backend: Backend,
    /// How it reaches the servers.
    pub downlink: Arc<dyn Downlink>,
    /// What the nodes of the cluster share.
    pub secret: ClusterSecret,
}

/// A route, bound but not yet serving.
pub struct Route {
    backend: Backend,
    listener: TcpListener,
    cim: Cim,
    info: RouteInfo,
    app: App,
    tasks: Tasks,
}

/// Where CIM's endpoints are.
enum Cim {
    Off,
    /// On the listener of everything else.
    Shared(Gate),
    Apart(TcpListener, Gate),
}

impl Cim {
    async fn bind(config: &RouteConfig) -> anyhow::Result<Self> {
        let Some(listen) = config.cim.listen else {
            return Ok(Self::Off);
        };
        let gate = Gate::new(&config.cim)?;
        if listen == config.listen && listen.port() != 0 {
            return Ok(Self::Shared(gate));
        }
        Ok(Self::Apart(bind(listen).await?, gate))
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

impl Route {
    /// Binds the listener and starts the background tasks.
    pub async fn bind(config: RouteConfig, parts: Parts) -> anyhow::Result<Self> {
        let cim = Cim::bind(&config).await?;
        let listener = bind(config.listen).await?;
        let http_address = match &config.advertise {
            Some(address) => address.clone(),
            None => listener.local_addr()?.to_string(),
        };
        let info = RouteInfo {
            id: ServerId::fresh(),
            http_address,
        };
        let tasks = Tasks::new();
        let app = assemble(&config, &parts, &tasks)?;
        let route = Self {
            backend: parts.backend,
            listener,
            cim,
            info,
            app,
            tasks,
        };
        if let Some(address) = route.cim_address() {
            cim::warn(&config.cim, address);
        }
        Ok(route)
    }

    /// The address it really listens on.
    pub fn address(&self) -> SocketAddr {
        self.listener
            .local_addr()
            .expect("a bound listener has an address")
    }

    /// Where CIM's endpoints are, if it has them.
    pub fn cim_address(&self) -> Option<SocketAddr> {
        match &self.cim {
            Cim::Off => None,
            Cim::Shared(_) => Some(self.address()),
            Cim::Apart(listener, _) => listener.local_addr().ok(),
        }
    }

    /// The route's logic, for a server in the same process.
    pub fn uplink(&self) -> Arc<dyn Uplink> {
        Arc::new(self.app.uplink.clone())
    }

    /// Everything it serves, without its listener.
    #[cfg(any(test, feature = "fuzz"))]
    pub(crate) fn router(&self) -> axum::Router {
        http::router(self.app.clone())
    }

    /// What its handlers use.
    #[cfg(test)]
    pub(crate) fn app(&self) -> App {
        self.app.clone()
    }

    /// What the route has done so far.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.app.uplink.delivery.counters)
    }

    /// Serves until `shutdown` resolves, then stops taking requests, ends those under way and
    /// returns.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> anyhow::Result<()> {
        let Self {
            backend,
            listener,
            cim,
            info,
            app,
            tasks,
        } = self;
        backend.registry.announce_route(info.clone()).await?;
        tracing::info!(route.id = %info.id, address = info.http_address, "route started");
        let (stop, token) = (CancellationToken::new(), tasks.token());
        let registry = Arc::clone(&backend.registry);
        let leave = async {
            tokio::select! {
                () = shutdown => {}
                () = token.cancelled() => {}
            }
            // Leaving the list first: servers turn to other routes while this one still answers.
            if let Err(error) = registry.withdraw_route(&info.id).await {
                tracing::warn!(%error, "cannot leave the list of routes, the lease will end");
            }
            stop.cancel();
            sleep(REQUESTS_END_WITHIN).await;
        };
        let serving = serve_all(listener, cim, app, stop.clone());
        tokio::select! {
            () = serving => {}
            // A client that never finishes its request keeps nobody from stopping.
            () = leave => {}
        }
        let panicked = token.is_cancelled();
        tasks.wait(STOP_WITHIN).await?;
        tracing::info!("route stopped");
        anyhow::ensure!(!panicked, "a task of the route panicked");
        Ok(())
    }
}

/// Serves on one listener or two.
async fn serve_all(listener: TcpListener, cim: Cim, app: App, stop: CancellationToken) {
    let router = http::router(app.clone());
    match cim {
        Cim::Off => serve(listener, router, stop).await,
        Cim::Shared(gate) => serve(listener, router.merge(cim::router(app, gate)), stop).await,
        Cim::Apart(other, gate) => {
            let others = serve(other, cim::router_alone(app, gate), stop.clone());
            tokio::join!(serve(listener, router, stop), others);
        }
    }
}

fn assemble(config: &RouteConfig, parts: &Parts, tasks: &Tasks) -> anyhow::Result<App> {
    let Parts {
        backend,
        downlink,
        secret,
    } = parts;
    let counters = Arc::new(Counters::default());
    let servers = Servers::follow(&*backend.registry, Arc::clone(downlink), tasks);
    let names = Names::new(Arc::clone(&backend.directory));
    let reading = Reading {
        messages: Arc::clone(&backend.messages),
    };
    let fan_out = FanOut::start(
        backend,
        Arc::clone(downlink),
        servers.clone(),
        &counters,
        tasks,
    );
    let attachments = Attachments {
        directory: Arc::clone(&backend.directory),
        sessions: Arc::clone(&backend.sessions),
        messages: Arc::clone(&backend.messages),
        downlink: Arc::clone(downlink),
        servers: servers.clone(),
        slots: Slots {
            sessions: Arc::clone(&backend.sessions),
            downlink: Arc::clone(downlink),
            servers: servers.clone(),
            policy: config.slots,
        },
        tasks: tasks.clone(),
    };
    let delivery = Delivery {
        messages: Arc::clone(&backend.messages),
        names: names.clone(),
        fan_out,
        counters,
    };
    let accounts = Accounts {
        directory: Arc::clone(&backend.directory),
        names,
        passwords: Passwords::new(config.password_hashes).context("cannot start a thread")?,
        tickets: TicketKey::new(secret),
        ticket_lifetime: config.ticket_lifetime,
        placement: Arc::new(Placement::new(config.placement)),
        servers: servers.clone(),
        attachments: attachments.clone(),
        reading: reading.clone(),
    };
    Ok(App {
        accounts,
        presence: Presence {
            servers,
            downlink: Arc::clone(downlink),
        },
        uplink: LocalUplink {
            delivery,
            attachments,
            reading,
        },
        credential: secret.node_credential(),
    })
}
