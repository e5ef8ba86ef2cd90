//! The command line.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use im_common::backend::sessions::SlotPolicy;
use im_common::cim::Allowed;
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
  im-standalone --headless --cim-route-listen --cim-server-listen    also for clients of CIM, on its ports
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
    pub(crate) cim: CimArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryConfig,
}

/// Both entrances for clients of CIM, each off unless it is told where to listen.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "CIM")]
pub(crate) struct CimArgs {
    /// Where clients of CIM send requests; 127.0.0.1:8083 when no address is given. At the address
    /// of --route-listen they share its port. CIM's protocol has no authentication: whoever reaches
    /// the port can speak as any user who has no password.
    #[arg(
        long,
        env = "IM_CIM_ROUTE_LISTEN",
        value_name = "ADDR",
        num_args = 0..=1,
        default_missing_value = "127.0.0.1:8083"
    )]
    cim_route_listen: Option<SocketAddr>,
    /// Where clients of CIM connect; 127.0.0.1:11211 when no address is given.
    #[arg(
        long,
        env = "IM_CIM_SERVER_LISTEN",
        value_name = "ADDR",
        num_args = 0..=1,
        default_missing_value = "127.0.0.1:11211"
    )]
    cim_server_listen: Option<SocketAddr>,
    /// How clients of CIM reach the server, when that is not where it listens for them.
    #[arg(long, env = "IM_CIM_ADVERTISE", value_name = "HOST:PORT")]
    cim_advertise: Option<String>,
    #[command(flatten)]
    cim_allow: Allowed,
    /// File with a secret that requests of CIM must bear, as `authorization: Bearer SECRET`.
    #[arg(long, env = "IM_CIM_SECRET_FILE", value_name = "FILE")]
    cim_secret_file: Option<PathBuf>,
    /// How long a client of CIM may be silent before it is taken as gone; it pings each 10 s.
    #[arg(
        long,
        env = "IM_CIM_SILENCE",
        value_name = "TIME",
        value_parser = humantime::parse_duration,
        default_value = "33s"
    )]
    cim_silence: Duration,
}

impl CimArgs {
    /// The route's part.
    pub(crate) fn route(&self) -> im_route::CimConfig {
        im_route::CimConfig {
            listen: self.cim_route_listen,
            allow: self.cim_allow.clone(),
            secret_file: self.cim_secret_file.clone(),
        }
    }

    /// The server's part.
    pub(crate) fn server(&self) -> im_server::CimConfig {
        im_server::CimConfig {
            listen: self.cim_server_listen,
            advertise: self.cim_advertise.clone(),
            allow: self.cim_allow.clone(),
            silence: self.cim_silence,
        }
    }
}

impl Args {
    /// Refuses what can never work, before anything is opened.
    pub(crate) fn check(&self) -> Result<(), NotDialable> {
        let advertise = ("--advertise", self.advertise.as_deref());
        check_dialable(("--server-listen", Some(self.server_listen)), advertise)?;
        let advertise = ("--cim-advertise", self.cim.cim_advertise.as_deref());
        check_dialable(
            ("--cim-server-listen", self.cim.cim_server_listen),
            advertise,
        )
    }

    /// Whether a person is there to chat with.
    pub(crate) fn wants_chat(&self) -> bool {
        !self.headless && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
    }
}
