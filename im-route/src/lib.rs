//! The node that decides: accounts, login, placement, delivery.
//!
//! Stateless: any route serves any request, and all state is behind the seams of
//! [`im_common::backend`]. Four entrances lead to the same logic: the public HTTP API under
//! `/v1`, the internal API for servers, [`im_common::transport::Uplink`] in process, and CIM's
//! endpoints where an operator opens them.

mod accounts;
mod attachments;
mod cim;
mod config;
mod counters;
mod delivery;
mod downlink;
mod fan_out;
#[cfg(test)]
mod fixture;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
mod http;
mod names;
mod password;
mod placement;
mod presence;
mod reading;
mod route;
mod servers;
mod slots;
mod uplink;

pub use cim::CimConfig;
pub use config::RouteConfig;
pub use counters::Counters;
pub use downlink::HttpDownlink;
pub use http::openapi;
pub use placement::Strategy;
pub use route::{Parts, Route};
