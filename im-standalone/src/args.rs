//! The command line.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use im_common::backend::sessions::SlotPolicy;
use im_common::node::{NotDialable, check_dialable};
use im_common::telemetry::TelemetryConfig;

/// A whole chat cluster in one process, with a chat prompt.
///
/// At a terminal the prompt opens at once and an echo bot is there to talk to. Without a terminal,
/// or with --headless, it only serves.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "im-standalone",
    version,
    after_help = "\
Examples:
  im-standalone                            chat on this machine; others join with `im`
  im-standalone --ephemeral                the same, keeping nothing
  im-standalone --headless --route-listen 0.0.0.0:8083 --server-listen 0.0.0.0:8084 --advertise chat.example.org:8084

Exit codes: 0 stopped as asked, 1 failed while running, 2 wrong usage or configuration."
)]
pub(crate) struct Args {
    /// Only serve, also at a terminal.
    #[arg(long, env = "IM_HEADLESS")]
    pub(crate) headless: bool,
    /// Where accounts and messages live; `im` in the XDG data folder when missing.
    #[arg(
        long,
        env = "IM_DATA_DIR",
        value_name = "DIR",
        conflicts_with = "ephemeral"
    )]
    pub(crate) data_dir: Option<PathBuf>,
    /// Keep nothing: accounts and messages end with the process.
    #[arg(long, env = "IM_EPHEMERAL")]
    pub(crate) ephemeral: bool,
    /// Where the HTTP API listens. Port 0 takes any free port.
    #[arg(
        long,
        env = "IM_ROUTE_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8083"
    )]
    pub(crate) route_listen: SocketAddr,
    /// Where clients connect. Port 0 takes any free port.
    #[arg(
        long,
        env = "IM_SERVER_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8084"
    )]
    pub(crate) server_listen: SocketAddr,
    /// How clients reach the server, when that is not the listen address.
    #[arg(long, env = "IM_ADVERTISE", value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    #[command(flatten)]
    pub(crate) slots: SlotPolicy,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryConfig,
}

impl Args {
    /// Refuses what can never work, before anything is opened.
    pub(crate) fn check(&self) -> Result<(), NotDialable> {
        let advertise = ("--advertise", self.advertise.as_deref());
        check_dialable(("--server-listen", Some(self.server_listen)), advertise)
    }

    /// Whether a person is there to chat with.
    pub(crate) fn wants_chat(&self) -> bool {
        !self.headless && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
    }
}
