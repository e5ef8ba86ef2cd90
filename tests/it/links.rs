//! The contracts of `Uplink` and `Downlink`, each checked in process and over HTTP.

mod downlink;
mod uplink;

use std::sync::Arc;

use im_common::backend::directory::Registered;
use im_common::backend::registry::ServerInfo;
use im_common::backend::{Backend, Mode};
use im_common::id::DeviceId;
use im_common::message::Identity;
use im_common::name::UserName;
use im_common::secret::{ClusterSecret, Secret};
use im_common::tasks::Tasks;
use im_common::transport::{Downlink, Uplink};
use im_route::{HttpDownlink, Route, RouteConfig};
use im_server::{Connections, HttpUplink, Server, ServerConfig};
use tokio_util::sync::CancellationToken;

/// A route and a server in this process, and all four ways between them.
struct Links {
    backend: Backend,
    near_uplink: Arc<dyn Uplink>,
    far_uplink: Arc<dyn Uplink>,
    near_downlink: Arc<dyn Downlink>,
    far_downlink: Arc<dyn Downlink>,
    server: ServerInfo,
    urls: Vec<String>,
    tasks: Tasks,
    _stop: tokio_util::sync::DropGuard,
}

impl Links {
    async fn open() -> Self {
        let (tasks, stop, secret) = (
            Tasks::new(),
            CancellationToken::new(),
            ClusterSecret::fresh(),
        );
        let backend = Backend::connect(&Mode::Embedded(None), &tasks)
            .await
            .expect("a backend");
        let config = ServerConfig::for_tests();
        let connections = Connections::new(config.connections_max);
        let near_downlink: Arc<dyn Downlink> = Arc::new(connections.clone());
        let parts = im_route::Parts {
            backend: backend.clone(),
            downlink: Arc::clone(&near_downlink),
            secret: secret.clone(),
        };
        let route = Route::bind(RouteConfig::for_tests(), parts)
            .await
            .expect("a route");
        let (near_uplink, urls) = (route.uplink(), vec![format!("http://{}", route.address())]);
        let routes = backend.registry.routes();
        let far_uplink = HttpUplink::new(routes, secret.node_credential(), tasks.clone());
        let parts = im_server::Parts {
            registry: Arc::clone(&backend.registry),
            uplink: Arc::clone(&near_uplink),
            connections,
            secret: secret.clone(),
        };
        let server = Server::bind(config, parts).await.expect("a server");
        let info = server.info();
        let (until, until_too) = (stop.clone(), stop.clone());
        tasks.spawn("route", async move {
            route
                .run(until.cancelled_owned())
                .await
                .expect("a route serves");
        });
        tasks.spawn("server", async move {
            server
                .run(until_too.cancelled_owned())
                .await
                .expect("a server serves");
        });
        backend
            .registry
            .routes()
            .wait_for(|routes| !routes.is_empty())
            .await
            .expect("the route is listed");
        Self {
            backend,
            near_uplink,
            far_uplink: Arc::new(far_uplink),
            near_downlink,
            far_downlink: Arc::new(HttpDownlink::new(&secret.node_credential())),
            server: info,
            urls,
            tasks,
            _stop: stop.drop_guard(),
        }
    }

    /// A user that is logged in on one device, and an identity to speak with.
    async fn somebody(&self, name: &str) -> (Identity, u64) {
        let name = UserName::new(name).expect("a name");
        let registered = self
            .backend
            .directory
            .register(&name, Secret("hash".into()))
            .await;
        let Ok(Registered::New(account)) = registered else {
            panic!("{name} is registered")
        };
        let device = DeviceId::new("laptop").expect("a device");
        let login = self
            .backend
            .directory
            .log_in(account.user, &device, [0; 32])
            .await
            .expect("logged in");
        (
            Identity {
                user: account.user,
                name,
                device,
            },
            login,
        )
    }
}
