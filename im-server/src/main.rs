//! The `im-server` node.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::Parser;
use im_common::backend::{EtcdConfig, connect_registry};
use im_common::node;
use im_common::secret::{ClusterSecret, SecretConfig};
use im_common::tasks::Tasks;
use im_common::telemetry::TelemetryConfig;
use im_server::{Connections, HttpUplink, Parts, Server, ServerConfig};
use tokio_util::sync::CancellationToken;

/// Routes on the same machine find it here.
const HTTP_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8085);
/// The registry revokes its lease within a second.
const STOP_WITHIN: Duration = Duration::from_secs(3);

/// A server of the cluster: holds the connections of clients.
///
/// Any number of servers may run; they find the routes, and the routes find them, through etcd.
/// SIGTERM moves the clients to other servers before it stops.
#[derive(Debug, Parser)]
#[command(
    name = "im-server",
    version,
    after_help = "\
Examples:
  im-server --secret-file secret --etcd http://127.0.0.1:2379
  im-server --secret-file secret --etcd http://etcd-1:2379,http://etcd-2:2379 \\
      --listen 0.0.0.0:8084 --advertise chat-1.example.org:8084 \\
      --http-listen 10.0.0.5:8085

Exit codes: 0 stopped as asked, 1 failed while running, 2 wrong usage or configuration."
)]
struct Args {
    #[command(flatten)]
    server: ServerConfig,
    #[command(flatten)]
    etcd: EtcdConfig,
    #[command(flatten)]
    secret: SecretConfig,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = Args::parse();
    args.server.http_listen.get_or_insert(HTTP_LISTEN);
    if let Err(error) = args.server.check() {
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
    let registry = connect_registry(&args.etcd, &tasks).await?;
    let uplink = HttpUplink::new(registry.routes(), secret.node_credential(), tasks.clone());
    let connections = Connections::new(args.server.connections_max);
    let parts = Parts {
        registry,
        uplink: Arc::new(uplink),
        connections,
        secret,
    };
    let server = Server::bind(args.server, parts).await?;
    let info = server.info();
    let mut addresses = vec![
        ("clients", info.client_address),
        ("http", info.http_address),
    ];
    let cim = server.cim_address();
    addresses.extend(cim.map(|address| ("cim", address.to_string())));
    node::announce_ready(&args.telemetry, "im-server", &addresses);
    // A node that has lost its registry tasks or its requests stops, to be restarted whole.
    let stop = async {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tasks.cancelled() => {}
        }
    };
    server.run(stop).await?;
    if !shutdown.is_cancelled() {
        bail!("a part of the node broke; see the log");
    }
    Ok(tasks.wait(STOP_WITHIN).await?)
}
