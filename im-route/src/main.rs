//! The `im-route` node.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use im_common::backend::{Backend, EtcdConfig, Mode, RedisConfig};
use im_common::node;
use im_common::secret::{ClusterSecret, SecretConfig};
use im_common::tasks::Tasks;
use im_common::telemetry::TelemetryConfig;
use im_route::{HttpDownlink, Parts, Route, RouteConfig};
use tokio_util::sync::CancellationToken;

/// The registry revokes its lease within a second.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// A route of the cluster: accounts, login, placement of clients on servers, delivery of messages.
///
/// Any number of routes may run; each serves any request.
#[derive(Debug, Parser)]
#[command(
    name = "im-route",
    version,
    after_help = "\
Examples:
  openssl rand -hex 32 > secret
  im-route --secret-file secret --redis redis://127.0.0.1:6379 --etcd http://127.0.0.1:2379
  IM_LISTEN=0.0.0.0:8083 IM_REDIS=... IM_ETCD=... IM_SECRET_FILE=secret im-route --placement least-connections

Exit codes: 0 stopped as asked, 1 failed while running, 2 wrong usage or configuration."
)]
struct Args {
    #[command(flatten)]
    route: RouteConfig,
    #[command(flatten)]
    redis: RedisConfig,
    #[command(flatten)]
    etcd: EtcdConfig,
    #[command(flatten)]
    secret: SecretConfig,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = args.route.check() {
        return node::refuse(&error);
    }
    match args.secret.load() {
        Ok(secret) => {
            let telemetry = args.telemetry.clone();
            node::run(&telemetry, |shutdown| serve(args, secret, shutdown)).await
        }
        Err(error) => node::refuse(&error),
    }
}

async fn serve(
    args: Args,
    secret: ClusterSecret,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let tasks = Tasks::new();
    let backend = Backend::connect(&Mode::Cluster(args.redis, args.etcd), &tasks).await?;
    let downlink = Arc::new(HttpDownlink::new(&secret.node_credential()));
    let route = Route::bind(
        args.route,
        Parts {
            backend,
            downlink,
            secret,
        },
    )
    .await?;
    let mut addresses = vec![("http", route.address().to_string())];
    let cim = route.cim_address();
    addresses.extend(cim.map(|address| ("cim", address.to_string())));
    node::announce_ready(&args.telemetry, "im-route", &addresses);
    route.run(shutdown.cancelled_owned()).await?;
    Ok(tasks.wait(STOP_WITHIN).await?)
}
