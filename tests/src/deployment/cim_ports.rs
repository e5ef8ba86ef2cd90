//! Where a deployment lets clients of CIM in.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context as _;

use super::Plan;
use super::nodes::here;
use crate::cim::ports;

/// Which ports clients of CIM come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CimPorts {
    /// Any that are free.
    Free,
    /// Those of CIM, which its clients are configured with, at this address: 8083 for the route, 11211
    /// and 8081 for the first server, 11212 and 8082 for the second.
    Own(Ipv4Addr),
}

impl fmt::Display for CimPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("any ports"),
            Self::Own(address) => write!(f, "CIM's own ports of {address}"),
        }
    }
}

impl Plan {
    /// Moves the entrances for clients of CIM, if there are any, to CIM's own ports of an address of
    /// this machine. One route and two servers are left where there are several.
    ///
    /// # Errors
    /// When somebody has one of the ports.
    pub fn take_cims_ports(&mut self, address: Ipv4Addr) -> anyhow::Result<()> {
        if self.cim.is_none() {
            return Ok(());
        }
        (self.routes, self.servers) = (1, ports::SERVERS.len());
        self.cim = Some(CimPorts::Own(address));
        for port in ports::all() {
            TcpListener::bind((address, port))
                .with_context(|| format!("cannot have {address}:{port}, a port of CIM's"))?;
        }
        Ok(())
    }

    /// Where the route lets clients of CIM in.
    pub(super) fn cim_route(&self) -> Option<SocketAddr> {
        self.cim.map(|which| match which {
            CimPorts::Free => here(),
            CimPorts::Own(address) => (address, ports::ROUTE).into(),
        })
    }

    /// Where the server of this number listens for routes.
    pub(super) fn server_http(&self, number: usize) -> SocketAddr {
        match self.cim {
            Some(CimPorts::Own(address)) => (address, ports::SERVERS[number - 1].http).into(),
            _ => here(),
        }
    }

    /// Where the server of this number lets clients of CIM in.
    pub(super) fn cim_server(&self, number: usize) -> Option<SocketAddr> {
        self.cim.map(|which| match which {
            CimPorts::Free => here(),
            CimPorts::Own(address) => (address, ports::SERVERS[number - 1].clients).into(),
        })
    }
}
