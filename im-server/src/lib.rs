//! The node that holds client connections: it carries, routes decide.
//!
//! - [`Server`] binds, serves and drains; [`ServerConfig`] are its options;
//! - [`Connections`] is the table of attached devices, and the downlink of routes in the same
//!   process;
//! - [`HttpUplink`] is the way to routes in other processes;
//! - [`CimConfig`] are the options of the entrance for clients of CIM.
//!
//! A socket's way: `listener` -> `handshake` -> `connection/opening` -> `connection`, with
//! `connections` and `outbound` for what others have to say to it. A server knows the registry and
//! the routes, never a store; what it holds can be rebuilt from its own sockets.

mod acks;
mod announcement;
mod cim;
mod closing;
mod config;
mod connection;
mod connections;
mod detaches;
#[cfg(test)]
mod fixture;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod handshake;
mod heartbeat;
mod http;
mod lease;
mod listener;
mod outbound;
mod server;
mod uplink;
mod writing;

pub use self::cim::CimConfig;
pub use self::config::ServerConfig;
pub use self::connections::Connections;
pub use self::server::{Parts, Server};
pub use self::uplink::HttpUplink;
