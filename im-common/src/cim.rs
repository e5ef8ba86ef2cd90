//! What nodes and tools agree on about clients of CIM.

use crate::id::DeviceId;
use crate::network::Network;

/// The name of the protocol, under which servers tell routes where their entrance is.
pub const PROTOCOL: &str = "cim";

/// The device that every client of CIM is, and to which nothing is delivered that it sent.
///
/// # Panics
/// Never: the name of the protocol can name a device.
pub fn device() -> DeviceId {
    DeviceId::new(PROTOCOL).expect("the name of the protocol can name a device")
}

/// From where clients of CIM may come, the same on every node.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Allowed {
    /// Networks that clients of CIM may come from, with commas between; without it any.
    #[arg(
        id = "cim-allow",
        long,
        env = "IM_CIM_ALLOW",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    pub networks: Vec<Network>,
}
