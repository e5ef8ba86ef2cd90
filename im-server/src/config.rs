//! Options of a server, parsed by clap and built by hand in tests.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::bail;
use humantime::parse_duration;
use im_common::node::check_dialable;

use crate::cim::CimConfig;

/// Where clients connect when nothing else is said.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8084);
/// Memory for this many idle connections is a few hundred megabytes.
const CONNECTIONS_MAX: usize = 100_000;
/// With the time for a pong: a connection that died in silence is freed after 12 s, well within the
/// 15 s after which its user may expect to be taken as gone.
const PING_AFTER: Duration = Duration::from_secs(8);
/// Covers a network that loses a packet or two; longer would only delay the reconnect.
const PONG_WITHIN: Duration = Duration::from_secs(4);
/// A healthy client answers within a few round trips.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(5);
/// A socket that takes nothing for this long belongs to a client that is gone or overwhelmed.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// Long enough to move every client without a rush, short enough for a rolling upgrade.
const DRAIN: Duration = Duration::from_secs(30);

/// A store that has lost its sessions has them back within 5 s. Five of these are a third of a
/// session's lease.
const RENEW_EVERY: Duration = Duration::from_secs(4);

/// Options of a server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub struct ServerConfig {
    /// Where clients connect.
    #[arg(long, env = "IM_LISTEN", value_name = "ADDRESS:PORT", default_value_t = LISTEN)]
    pub listen: SocketAddr,
    /// Where routes reach this server; `im-server` takes 127.0.0.1:8085 when it is not given.
    #[arg(long, env = "IM_HTTP_LISTEN", value_name = "ADDRESS:PORT")]
    pub http_listen: Option<SocketAddr>,
    /// Address that clients are told to connect to; without it the one listened on.
    #[arg(long, env = "IM_ADVERTISE", value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Address that routes are told to use; without it the one listened on.
    #[arg(long, env = "IM_HTTP_ADVERTISE", value_name = "HOST:PORT")]
    pub http_advertise: Option<String>,
    /// Clients beyond this many are sent away, to try another server.
    #[arg(long, env = "IM_CONNECTIONS_MAX", value_name = "N", default_value_t = CONNECTIONS_MAX)]
    pub connections_max: usize,
    /// How long a client may be silent before it is pinged.
    #[arg(long, env = "IM_PING_AFTER", value_name = "TIME", value_parser = parse_duration, default_value = "8s")]
    pub ping_after: Duration,
    /// How long a client may take to answer a ping.
    #[arg(long, env = "IM_PONG_WITHIN", value_name = "TIME", value_parser = parse_duration, default_value = "4s")]
    pub pong_within: Duration,
    /// How long a client may take to say hello.
    #[arg(long, env = "IM_HANDSHAKE_WITHIN", value_name = "TIME", value_parser = parse_duration, default_value = "5s")]
    pub handshake_within: Duration,
    /// How long a client may take in nothing of what it is sent.
    #[arg(long, env = "IM_WRITE_WITHIN", value_name = "TIME", value_parser = parse_duration, default_value = "10s")]
    pub write_within: Duration,
    /// How long clients have to move to another server when this one stops.
    #[arg(long, env = "IM_DRAIN", value_name = "TIME", value_parser = parse_duration, default_value = "30s")]
    pub drain: Duration,
    /// How often sessions are renewed: at least the first 500 each time, all of them in five times
    /// this. What a store has lost is missed for this long, and a little.
    #[arg(skip = RENEW_EVERY)]
    pub renew_every: Duration,
    /// The entrance for clients of CIM.
    #[command(flatten)]
    pub cim: CimConfig,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: LISTEN,
            http_listen: None,
            advertise: None,
            http_advertise: None,
            connections_max: CONNECTIONS_MAX,
            ping_after: PING_AFTER,
            pong_within: PONG_WITHIN,
            handshake_within: HANDSHAKE_WITHIN,
            write_within: WRITE_WITHIN,
            drain: DRAIN,
            renew_every: RENEW_EVERY,
            cim: CimConfig::default(),
        }
    }
}

impl ServerConfig {
    /// Any free ports, and times short enough for tests that run in real time.
    pub fn for_tests() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            listen: free,
            http_listen: Some(free),
            connections_max: 10_000,
            ping_after: Duration::from_secs(5),
            pong_within: Duration::from_secs(2),
            handshake_within: Duration::from_secs(2),
            write_within: Duration::from_secs(2),
            drain: Duration::from_secs(2),
            renew_every: Duration::from_millis(500),
            ..Self::default()
        }
    }

    /// Refuses what can never work, before any port is bound.
    pub fn check(&self) -> anyhow::Result<()> {
        check_dialable(
            ("--listen", Some(self.listen)),
            ("--advertise", self.advertise.as_deref()),
        )?;
        check_dialable(
            ("--http-listen", self.http_listen),
            ("--http-advertise", self.http_advertise.as_deref()),
        )?;
        self.cim.check()?;
        let times = [
            ("--ping-after", self.ping_after),
            ("--pong-within", self.pong_within),
            ("--handshake-within", self.handshake_within),
            ("--write-within", self.write_within),
        ];
        for (option, time) in times {
            if time.is_zero() {
                bail!("{option} must be longer than nothing");
            }
        }
        if self.connections_max == 0 {
            bail!("--connections-max must be at least 1");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        server: ServerConfig,
    }

    #[test]
    fn the_defaults_of_clap_and_of_the_struct_agree() {
        let parsed = Arguments::parse_from(["im-server"]).server;
        assert_eq!(
            format!("{parsed:?}"),
            format!("{:?}", ServerConfig::default())
        );
        parsed.check().unwrap();
        ServerConfig::for_tests().check().unwrap();
    }

    #[test]
    fn the_entrance_for_cim_is_closed_unless_opened_and_on_loopback_unless_told() {
        let parse = |args: &[&str]| Arguments::try_parse_from([&["im-server"], args].concat());
        let listen = |args: &[&str]| parse(args).ok().and_then(|parsed| parsed.server.cim.listen);
        assert_eq!(listen(&[]), None);
        let loopback = "127.0.0.1:11211".parse().ok();
        assert_eq!(listen(&["--cim-listen"]), loopback);
        assert_eq!(listen(&["--cim-listen", "[::1]:9"]), "[::1]:9".parse().ok());
        let nets = parse(&["--cim-allow", "10.0.0.0/8,::1"]).ok();
        assert_eq!(
            nets.map(|parsed| parsed.server.cim.allow.networks.len()),
            Some(2)
        );
        assert!(parse(&["--cim-allow", "somewhere"]).is_err());
        let everywhere = parse(&["--cim-listen", "0.0.0.0:11211"]).ok().unwrap();
        let error = everywhere.server.check().unwrap_err().to_string();
        assert!(error.contains("--cim-advertise HOST:PORT"), "{error}");
    }

    #[test]
    fn listening_everywhere_needs_an_address_to_advertise() {
        let mut config = ServerConfig {
            listen: "0.0.0.0:8084".parse().unwrap(),
            ..ServerConfig::default()
        };
        let error = config.check().unwrap_err().to_string();
        assert!(error.contains("--advertise HOST:PORT"), "{error}");
        config.advertise = Some("chat-1".to_owned());
        assert!(config.check().is_err(), "no port");
        config.advertise = Some("chat-1:8084".to_owned());
        config.check().unwrap();
    }
}
