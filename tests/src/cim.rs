//! A client of CIM (crossoverJie/cim), written from its protocol alone: frames by hand over raw
//! sockets, HTTP with JSON in which any key too many is an error, and the habits of CIM's Java SDK.
//! It shares no code with whatever answers it.

mod client;
mod frame;
mod inbox;
pub mod ports;
mod route;
mod socket;
mod store;

pub use client::{CimClient, Habits, NotBuilt};
pub use frame::{Command, FRAME_BYTES_MAX, Frame, Malformed};
pub use inbox::{Inbox, Listener, Received};
pub use route::{Account, CimRoute, NoReply, Nothing, Placed, Reply, code};
pub use socket::CimSocket;
pub use store::CimStore;
