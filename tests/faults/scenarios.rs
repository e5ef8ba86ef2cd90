//! The scenarios, by what they break. Each table is part of the catalogue.

pub(crate) mod cim;
pub(crate) mod clients;
pub(crate) mod clocks;
pub(crate) mod disk;
pub(crate) mod etcd;
pub(crate) mod links;
pub(crate) mod logins;
pub(crate) mod redis;
pub(crate) mod routes;
pub(crate) mod servers;

use std::time::Duration;

/// For tables and bounds.
pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// For tables and bounds.
pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
