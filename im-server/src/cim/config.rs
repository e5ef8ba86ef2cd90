//! Options of the entrance for clients of CIM.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::ensure;
use humantime::parse_duration;
use im_common::cim::Allowed;
use im_common::node::check_dialable;

/// As CIM's own server: three pings of its SDK, and a little.
const SILENCE: Duration = Duration::from_secs(33);

/// An entrance for clients of CIM, off unless it is told where to listen.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "CIM")]
pub struct CimConfig {
    /// Where clients of CIM connect; 127.0.0.1:11211 when no address is given, nowhere without this
    /// option. CIM's protocol has no authentication: whoever reaches the port can be any user who
    /// has no password.
    #[arg(
        id = "cim-listen",
        long,
        env = "IM_CIM_LISTEN",
        value_name = "ADDRESS:PORT",
        num_args = 0..=1,
        default_missing_value = "127.0.0.1:11211"
    )]
    pub listen: Option<SocketAddr>,
    /// Address that clients of CIM are told to connect to; without it the one listened on.
    #[arg(
        id = "cim-advertise",
        long,
        env = "IM_CIM_ADVERTISE",
        value_name = "HOST:PORT"
    )]
    pub advertise: Option<String>,
    /// From where clients may come.
    #[command(flatten)]
    pub allow: Allowed,
    /// How long a client of CIM may be silent before it is taken as gone; it pings each 10 s.
    #[arg(
        id = "cim-silence",
        long,
        env = "IM_CIM_SILENCE",
        value_name = "TIME",
        value_parser = parse_duration,
        default_value = "33s"
    )]
    pub silence: Duration,
}

impl Default for CimConfig {
    fn default() -> Self {
        Self {
            listen: None,
            advertise: None,
            allow: Allowed::default(),
            silence: SILENCE,
        }
    }
}

impl CimConfig {
    /// Any free port.
    pub fn for_tests() -> Self {
        Self {
            listen: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)),
            ..Self::default()
        }
    }

    /// Refuses what can never work, before any port is bound.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        check_dialable(
            ("--cim-listen", self.listen),
            ("--cim-advertise", self.advertise.as_deref()),
        )?;
        ensure!(
            !self.silence.is_zero(),
            "--cim-silence must be longer than nothing"
        );
        Ok(())
    }
}
