//! What the parts of the cluster agree on.
//!
//! For everybody, clients included:
//! - [`id`], [`name`], [`message`]: domain types;
//! - [`wire`], [`frame`], [`stream`]: how they travel;
//! - [`api`]: JSON bodies of the HTTP API;
//! - [`code`]: the table of error and close codes;
//! - [`backoff`], [`tasks`]: retrying, and starting tasks.
//!
//! For nodes (feature `backend`; Redis and etcd with `cluster`):
//! - [`backend`]: the seams to shared state and their implementations;
//! - [`transport`]: the seams between servers and routes;
//! - [`ticket`], [`secret`], [`telemetry`], [`network`], [`node`], [`serve`], [`cim`].

pub mod api;
#[cfg(feature = "backend")]
pub mod backend;
pub mod backoff;
#[cfg(feature = "backend")]
pub mod cim;
pub mod code;
pub mod frame;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
pub mod id;
pub mod message;
pub mod name;
#[cfg(feature = "backend")]
pub mod network;
#[cfg(feature = "backend")]
pub mod node;
pub mod planted;
#[cfg(feature = "backend")]
pub mod secret;
#[cfg(feature = "backend")]
pub mod serve;
pub mod stream;
pub mod tasks;
#[cfg(feature = "backend")]
pub mod telemetry;
#[cfg(feature = "backend")]
pub mod ticket;
#[cfg(feature = "backend")]
pub mod transport;
pub mod wire;
