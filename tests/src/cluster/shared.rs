//! What the nodes of a cluster keep together, and each node's own way to it.

use im_common::backend::{Backend, EtcdConfig, Mode, RedisConfig};

use super::TestCluster;
use crate::services::{Etcd, Redis, RedisCluster};
use crate::standalone::Standalone;

/// What a cluster keeps its shared state in.
pub(super) enum Shared {
    /// One backend in this process, shared by all nodes.
    Embedded(Box<Backend>),
    /// Real Redis and etcd, which each node reaches by itself.
    Stores(Box<(Redis, Etcd)>),
    /// The same with a Redis Cluster.
    Sharded(Box<(RedisCluster, Etcd)>),
    /// The standalone binary, which has its own.
    Standalone { _process: Box<Standalone> },
}

impl TestCluster {
    /// A node's own way to the shared state.
    pub async fn backend(&self) -> Backend {
        match &self.shared {
            Shared::Embedded(backend) => Backend::clone(backend),
            Shared::Stores(stores) => self.reach(vec![stores.0.url()], &stores.1).await,
            Shared::Sharded(stores) => self.reach(stores.0.urls(), &stores.1).await,
            Shared::Standalone { .. } => panic!("the standalone keeps its backend to itself"),
        }
    }

    async fn reach(&self, redis: Vec<String>, etcd: &Etcd) -> Backend {
        let redis = RedisConfig {
            urls: redis,
            prefix: "im".into(),
        };
        let etcd = EtcdConfig {
            endpoints: vec![etcd.url()],
            prefix: "/im".into(),
        };
        let mode = Mode::Cluster(redis, etcd);
        Backend::connect(&mode, &self.tasks)
            .await
            .expect("Redis and etcd answer")
    }

    /// The Redis behind it, for tests that meddle.
    pub fn redis(&mut self) -> &mut Redis {
        match &mut self.shared {
            Shared::Stores(stores) => &mut stores.0,
            _ => panic!("only a cluster over real stores has a Redis"),
        }
    }

    /// The Redis Cluster behind it, for tests that meddle.
    pub fn redis_cluster(&mut self) -> &mut RedisCluster {
        match &mut self.shared {
            Shared::Sharded(stores) => &mut stores.0,
            _ => panic!("only a sharded cluster has a Redis Cluster"),
        }
    }
}
