//! The cluster's backend: Redis for what is stored, etcd for who is there.

use std::sync::Arc;

use super::directory::redis::RedisDirectory;
use super::messages::redis::RedisMessages;
use super::redis::{Connection, Keys};
use super::registry::ServerRegistry;
use super::registry::etcd::EtcdRegistry;
use super::sessions::redis::RedisSessions;
use super::{Backend, EtcdConfig, RedisConfig, Result, Stores};
use crate::tasks::Tasks;

/// Connects to both, or fails with an error that says which of them cannot be reached.
pub(super) async fn connect(
    redis: &RedisConfig,
    etcd: &EtcdConfig,
    tasks: &Tasks,
) -> Result<Backend> {
    let keys = Keys::new(&redis.prefix)?;
    let connection = Connection::connect(&redis.urls).await?;
    connection.warn_of_risks().await;
    Ok(Backend {
        directory: Arc::new(RedisDirectory::new(connection.clone(), keys.clone())),
        messages: Arc::new(RedisMessages::new(connection.clone(), keys.clone())),
        sessions: Arc::new(RedisSessions::new(connection, keys)),
        registry: connect_registry(etcd, tasks).await?,
    })
}

/// Connects to Redis alone, for a tool that works on what is stored.
pub(super) async fn connect_stores(redis: &RedisConfig) -> Result<Stores> {
    let keys = Keys::new(&redis.prefix)?;
    let connection = Connection::connect(&redis.urls).await?;
    Ok(Stores {
        directory: Arc::new(RedisDirectory::new(connection.clone(), keys.clone())),
        messages: Arc::new(RedisMessages::new(connection, keys)),
    })
}

/// Connects to etcd alone, for a server, which has no other shared state.
pub async fn connect_registry(etcd: &EtcdConfig, tasks: &Tasks) -> Result<Arc<dyn ServerRegistry>> {
    Ok(Arc::new(EtcdRegistry::connect(etcd, tasks).await?))
}
