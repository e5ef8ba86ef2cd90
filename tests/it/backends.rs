//! The cluster's backends against real services: the contracts, and what outages do to them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod durability;
mod etcd;
mod full;
mod lineage;
mod redis;
mod user_ids;

use std::time::Duration;

use im_common::backend::{Backend, EtcdConfig, Mode, RedisConfig};
use im_common::tasks::Tasks;

/// How long a test waits for what must happen.
const SOON: Duration = Duration::from_secs(30);

fn redis_config(urls: Vec<String>) -> RedisConfig {
    RedisConfig {
        urls,
        prefix: "test".to_owned(),
    }
}

fn etcd_config(url: String) -> EtcdConfig {
    EtcdConfig {
        endpoints: vec![url],
        prefix: "/test".to_owned(),
    }
}

async fn connect(redis: Vec<String>, etcd: String, tasks: &Tasks) -> Backend {
    let mode = Mode::Cluster(redis_config(redis), etcd_config(etcd));
    Backend::connect(&mode, tasks).await.unwrap()
}
