//! One route and one server over an embedded backend, joined in process.

use std::sync::Arc;

use anyhow::Context as _;
use im_common::backend::{Backend, Mode};
use im_common::secret::ClusterSecret;
use im_common::tasks::Tasks;
use im_route::{Route, RouteConfig};
use im_server::{Connections, Server, ServerConfig};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::STOP_WITHIN;
use crate::args::Args;
use crate::folder::Folder;

/// The running parts.
pub(crate) struct Node {
    route: String,
    server: String,
    cim: Vec<(&'static str, String)>,
    stop_server: CancellationToken,
    stop_route: CancellationToken,
    server_ended: oneshot::Receiver<anyhow::Result<()>>,
    route_ended: oneshot::Receiver<anyhow::Result<()>>,
    tasks: Tasks,
}

impl Node {
    /// Opens the store, binds both listeners and starts serving. Cancels `shutdown` when a part
    /// ends by itself.
    pub(crate) async fn start(
        args: &Args,
        folder: &Folder,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let tasks = Tasks::new();
        let secret = ClusterSecret::new(&folder.secret("cluster-secret")?)?;
        let backend = Backend::connect(&Mode::Embedded(folder.store()), &tasks).await?;
        let server_config = ServerConfig {
            listen: args.server_listen,
            http_listen: None,
            advertise: args.advertise.clone(),
            cim: args.cim.server(),
            ..ServerConfig::default()
        };
        let connections = Connections::new(server_config.connections_max);
        let route_config = RouteConfig {
            listen: args.route_listen,
            slots: args.slots,
            cim: args.cim.route(),
            ..RouteConfig::default()
        };
        let parts = im_route::Parts {
            backend: backend.clone(),
            downlink: Arc::new(connections.clone()),
            secret: secret.clone(),
        };
        let route = Route::bind(route_config, parts)
            .await
            .context("use --route-listen ADDR, or --cim-route-listen ADDR, for another address")?;
        let parts = im_server::Parts {
            registry: Arc::clone(&backend.registry),
            uplink: route.uplink(),
            connections,
            secret,
        };
        let server = Server::bind(server_config, parts).await.context(
            "use --server-listen ADDR, or --cim-server-listen ADDR, for another address",
        )?;
        Ok(Self::serve(route, server, tasks, shutdown))
    }

    fn serve(route: Route, server: Server, tasks: Tasks, shutdown: &CancellationToken) -> Self {
        let (route_address, server_address) = (route.address(), server.client_address());
        let cim = [
            ("cim-route", route.cim_address()),
            ("cim-clients", server.cim_address()),
        ];
        let cim = cim.into_iter().filter_map(|(name, address)| {
            let address = address?.to_string();
            Some((name, address))
        });
        let cim = cim.collect();
        let (stop_route, stop_server) = (CancellationToken::new(), CancellationToken::new());
        let (server_done, server_ended) = oneshot::channel();
        let (route_done, route_ended) = oneshot::channel();
        let (until, ended) = (stop_server.clone(), shutdown.clone().drop_guard());
        tasks.spawn("server", async move {
            let _ended = ended;
            server_done
                .send(server.run(until.cancelled_owned()).await)
                .ok();
        });
        let (until, ended) = (stop_route.clone(), shutdown.clone().drop_guard());
        tasks.spawn("route", async move {
            let _ended = ended;
            route_done
                .send(route.run(until.cancelled_owned()).await)
                .ok();
        });
        Self {
            route: format!("http://{route_address}"),
            server: server_address.to_string(),
            cim,
            stop_server,
            stop_route,
            server_ended,
            route_ended,
            tasks,
        }
    }

    /// The base of the HTTP API.
    pub(crate) fn route_url(&self) -> &str {
        &self.route
    }

    /// Where both listen.
    pub(crate) fn addresses(&self) -> Vec<(&'static str, String)> {
        let mut addresses = vec![
            ("route", self.route.clone()),
            ("clients", self.server.clone()),
        ];
        addresses.extend(self.cim.iter().cloned());
        addresses
    }

    /// Stops the server, which tells its clients, then the route, then what they stood on.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop_server.cancel();
        let server = self.server_ended.await.context("the server panicked")?;
        self.stop_route.cancel();
        let route = self.route_ended.await.context("the route panicked")?;
        self.tasks.wait(STOP_WITHIN).await?;
        server.and(route)
    }
}
