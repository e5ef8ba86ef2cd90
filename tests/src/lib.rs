//! Harness of the end-to-end tests: clusters in one process, real processes, users on the real SDK.

pub mod cim;
pub mod circumstances;
pub mod cluster;
pub mod deployment;
pub mod dice;
pub mod disk;
pub mod history;
pub mod home;
pub mod hostile;
pub mod http;
pub mod injected;
pub mod liar;
pub mod planted;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod raw;
pub mod scene;
pub mod services;
pub mod standalone;
pub mod terminal;
pub mod tty;
pub mod user;

use std::time::Duration;

/// How long anything may take on a busy machine before a test calls it lost.
pub const PATIENCE: Duration = Duration::from_secs(30);
