//! What an operator can set on a route.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use im_common::backend::sessions::SlotPolicy;
use im_common::node::{NotDialable, check_dialable};

use crate::cim::CimConfig;
use crate::placement::Strategy;

/// Options of a route.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Route")]
pub struct RouteConfig {
    /// Where clients and servers send requests. Port 0 takes any free port.
    #[arg(
        long = "listen",
        env = "IM_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8083"
    )]
    pub listen: SocketAddr,
    /// How servers reach this route, when that is not the listen address.
    #[arg(long = "advertise", env = "IM_ADVERTISE", value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// How a server is chosen for a client.
    #[arg(long, env = "IM_PLACEMENT", value_enum, default_value_t)]
    pub placement: Strategy,
    /// How long a ticket lets a client connect without asking a route again.
    #[arg(long, env = "IM_TICKET_LIFETIME", value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
    pub ticket_lifetime: Duration,
    /// How the users of the cluster may be attached.
    #[command(flatten)]
    pub slots: SlotPolicy,
    /// How many passwords are hashed at the same time; each takes 19 MiB and some 25 ms of a core.
    #[arg(
        long,
        env = "IM_PASSWORD_HASHES",
        value_name = "N",
        default_value = "2"
    )]
    pub password_hashes: NonZeroUsize,
    /// CIM's HTTP endpoints.
    #[command(flatten)]
    pub cim: CimConfig,
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8083)),
            advertise: None,
            placement: Strategy::default(),
            ticket_lifetime: Duration::from_secs(60 * 60),
            slots: SlotPolicy::default(),
            password_hashes: NonZeroUsize::new(2).expect("2 is not 0"),
            cim: CimConfig::default(),
        }
    }
}

impl RouteConfig {
    /// Refuses what can never work, before any port is bound.
    pub fn check(&self) -> Result<(), NotDialable> {
        check_dialable(
            ("--listen", Some(self.listen)),
            ("--advertise", self.advertise.as_deref()),
        )
    }

    /// Any free port of loopback, everything else as by default.
    pub fn for_tests() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..Self::default()
        }
    }
}
