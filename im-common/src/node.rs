//! What the `main` of every node does alike: exit codes, signals, the ready line.

use std::fmt::Display;
use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use futures::FutureExt as _;
use futures::future::select_all;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::telemetry::TelemetryConfig;

/// Wrong usage or configuration.
pub const EXIT_USAGE: u8 = 2;
/// Failed while starting or running.
pub const EXIT_FAILURE: u8 = 1;

/// As [`run_until`], until SIGINT or SIGTERM.
pub async fn run<F, E>(
    telemetry: &TelemetryConfig,
    node: impl FnOnce(CancellationToken) -> F,
) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    run_until(
        &[SignalKind::interrupt(), SignalKind::terminate()],
        telemetry,
        node,
    )
    .await
}

/// Starts logging, runs a node until it ends, and turns its result into an exit code. The token
/// is cancelled by the first of these signals; a second one ends the process at once.
pub async fn run_until<F, E>(
    kinds: &[SignalKind],
    telemetry: &TelemetryConfig,
    node: impl FnOnce(CancellationToken) -> F,
) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: Display,
{
    if let Err(error) = telemetry.start() {
        return refuse(&error);
    }
    let shutdown = CancellationToken::new();
    let mut running = std::pin::pin!(node(shutdown.clone()));
    let mut signals = std::pin::pin!(signals(kinds, shutdown));
    let result = tokio::select! {
        result = &mut running => result,
        () = &mut signals => {
            tracing::warn!("second signal, leaving at once");
            return ExitCode::from(EXIT_FAILURE);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            if telemetry.is_to_file() {
                tell(&error);
            }
            ExitCode::from(EXIT_FAILURE)
        }
    }
}

/// Listening everywhere without an address that others can dial: a node that is listed and never
/// reached.
#[derive(Debug, thiserror::Error)]
pub enum NotDialable {
    /// "All interfaces" is no address to dial.
    #[error("{option} {listen} needs {advertise_option} HOST:PORT: others cannot dial {}", listen.ip())]
    Unspecified {
        /// Which option said where to listen.
        option: &'static str,
        /// Where it said.
        listen: SocketAddr,
        /// Which option helps.
        advertise_option: &'static str,
    },
    /// The address to dial is none.
    #[error("{advertise_option} {address:?} is not HOST:PORT")]
    Malformed {
        /// Which option gave it.
        advertise_option: &'static str,
        /// What it gave.
        address: String,
    },
}

/// Checks that others can dial a node that listens there and advertises that.
pub fn check_dialable(
    (option, listen): (&'static str, Option<SocketAddr>),
    (advertise_option, advertise): (&'static str, Option<&str>),
) -> Result<(), NotDialable> {
    match (listen, advertise) {
        (Some(listen), None) if listen.ip().is_unspecified() => Err(NotDialable::Unspecified {
            option,
            listen,
            advertise_option,
        }),
        (_, Some(address)) if !is_host_and_port(address) => Err(NotDialable::Malformed {
            advertise_option,
            address: address.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn is_host_and_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else {
        return false;
    };
    !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// Reports wrong usage or configuration.
pub fn refuse(error: &impl Display) -> ExitCode {
    // Logging may not have started.
    tell(error);
    ExitCode::from(EXIT_USAGE)
}

/// Says it to the person who is looking, for whom the log is not.
fn tell(error: &impl Display) {
    writeln!(std::io::stderr(), "error: {error:#}").ok();
}

/// Prints the line that says that the node is ready.
pub fn announce_ready(telemetry: &TelemetryConfig, role: &str, addresses: &[(&str, String)]) {
    let mut stdout = std::io::stdout();
    // Whoever started the node may have closed its end.
    writeln!(stdout, "{}", telemetry.ready_line(role, addresses)).ok();
    stdout.flush().ok();
}

/// Cancels the token at the first signal, and returns at the second.
async fn signals(kinds: &[SignalKind], shutdown: CancellationToken) {
    let Ok(mut signals) = kinds
        .iter()
        .copied()
        .map(signal)
        .collect::<io::Result<Vec<_>>>()
    else {
        tracing::warn!("cannot listen for signals");
        return std::future::pending().await;
    };
    for is_first in [true, false] {
        select_all(signals.iter_mut().map(|signal| signal.recv().boxed())).await;
        if is_first {
            tracing::info!("stopping");
            shutdown.cancel();
        }
    }
}
