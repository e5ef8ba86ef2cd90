//! Networks from which somebody may come.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// An address, or all that share a prefix with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

/// Text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither an address nor a network such as 10.0.0.0/8 or fd00::/8")]
pub struct InvalidNetwork;

impl Network {
    /// Whether an address belongs to it. An IPv4 address that came through an IPv6 socket is taken
    /// for what it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Whether an address belongs to one of these networks, or there is none to belong to.
    pub fn admit(networks: &[Self], address: IpAddr) -> bool {
        networks.is_empty() || networks.iter().any(|network| network.contains(address))
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let one_address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        let network = text.parse().ok().or_else(one_address);
        network.map(Self).ok_or(InvalidNetwork)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(networks: &[&str], address: &str) -> bool {
        let networks: Vec<Network> = networks.iter().map(|text| text.parse().unwrap()).collect();
        Network::admit(&networks, address.parse().unwrap())
    }

    #[test]
    fn only_addresses_of_the_networks_are_admitted() {
        assert!(admits(&["10.0.0.0/8"], "10.200.3.4"));
        assert!(!admits(&["10.0.0.0/8"], "11.0.0.1"));
        assert!(admits(&["192.0.2.7", "fd00::/8"], "fd12::1"));
        assert!(admits(&["192.0.2.7", "fd00::/8"], "192.0.2.7"));
        assert!(!admits(&["192.0.2.7", "fd00::/8"], "192.0.2.8"));
        assert!(admits(&["127.0.0.0/8"], "::ffff:127.0.0.1"));
        assert!(!admits(&["::/0"], "127.0.0.1"));
        assert!(admits(&[], "2001:db8::1"));
    }

    #[test]
    fn nonsense_is_no_network() {
        for text in ["", "10.0.0.0/33", "localhost", "10.0.0/8", "::1/129"] {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text:?}");
        }
    }
}
