//! The connection to Redis: one node or a cluster of them, which nothing else needs to know.
//!
//! Every call ends within a bound. Concurrent calls share one socket for each node and travel
//! together, so asking for many things at once costs about one round trip.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::cluster_routing::Slot;
use redis::{Client, Cmd, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo};
use redis::{RedisError, RedisResult, ServerErrorKind, Value};
use tokio::time::{Instant, timeout_at};

use super::cluster::Cluster;
use super::durability;
use super::script::Call;
use crate::backend::{BackendError, Result};

/// Longest time for a call, waiting for a reconnect included. Far above the slowest healthy answer,
/// below the patience of whoever waits at the other end of a request.
const CALL_WITHIN: Duration = Duration::from_secs(2);
/// Longest time to open a connection: a node that is alive accepts within milliseconds.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// Most calls of one request in flight: fills a socket's buffers, and keeps the answers that wait
/// in memory few.
const IN_FLIGHT_MAX: usize = 256;
/// One line says it.
const LOG_REFUSALS_EVERY: Duration = Duration::from_secs(1);

/// A connection that reconnects by itself. Clones share it.
#[derive(Clone)]
pub(in crate::backend) struct Connection {
    link: Link,
    refusals: Arc<Refusals>,
}

#[derive(Clone)]
enum Link {
    Node(ConnectionManager),
    Cluster(Cluster),
}

impl Connection {
    /// Connects, or fails with an error that names the addresses, never a password.
    pub(in crate::backend) async fn connect(urls: &[String]) -> Result<Self> {
        let nodes = parse(urls)?;
        let addresses: Vec<_> = nodes.iter().map(|node| node.addr().to_string()).collect();
        let unreachable = |error: &dyn std::fmt::Display| {
            let addresses = addresses.join(", ");
            BackendError::Unavailable(format!("cannot reach redis at {addresses}: {error}"))
        };
        match tokio::time::timeout(CALL_WITHIN, open(nodes)).await {
            Ok(Ok(link)) => Ok(Self {
                link,
                refusals: Arc::default(),
            }),
            Ok(Err(error)) => Err(unreachable(&error)),
            Err(_) => Err(unreachable(&"no answer in time")),
        }
    }

    /// Warns of settings with which accepted messages may be lost. One that does not tell its
    /// settings, as managed ones do not, and a Redis Cluster are taken as they are.
    pub(in crate::backend) async fn warn_of_risks(&self) {
        let Link::Node(node) = &self.link else { return };
        let mut config = redis::cmd("CONFIG");
        config.arg("GET").arg(&durability::SETTINGS);
        let mut node = node.clone();
        let asked = config.query_async::<HashMap<String, String>>(&mut node);
        if let Ok(Ok(settings)) = tokio::time::timeout(CALL_WITHIN, asked).await {
            for risk in durability::risks(&settings) {
                tracing::warn!("{risk}");
            }
        }
    }

    /// Makes one call.
    pub(in crate::backend) async fn call<T: FromRedisValue>(&self, call: &Call) -> Result<T> {
        self.call_until(call, Instant::now() + CALL_WITHIN).await
    }

    /// Makes many calls at once, wherever their keys are; the answers are in their order. Between
    /// them there is no order.
    pub(in crate::backend) async fn each<T>(&self, calls: Vec<Call>) -> Vec<Result<T>>
    where
        T: FromRedisValue + Send,
    {
        let deadline = Instant::now() + CALL_WITHIN;
        stream::iter(calls)
            .map(|call| {
                let connection = self.clone();
                async move { connection.call_until(&call, deadline).await }
            })
            .buffered(IN_FLIGHT_MAX)
            .collect()
            .await
    }

    /// As [`Connection::each`], failing with the first call that fails.
    pub(in crate::backend) async fn all<T>(&self, calls: Vec<Call>) -> Result<Vec<T>>
    where
        T: FromRedisValue + Send,
    {
        self.each(calls).await.into_iter().collect()
    }

    async fn call_until<T: FromRedisValue>(&self, call: &Call, deadline: Instant) -> Result<T> {
        match timeout_at(deadline, self.link.call(call)).await {
            Ok(answer) => answer.map_err(|error| {
                self.refusals.note(&error);
                classify(&error)
            }),
            Err(_) => Err(BackendError::unavailable("redis did not answer in time")),
        }
    }
}

/// Says in the log what a Redis that answers does not do: its memory is full, its disk fails,
/// somebody else's value is at one of our keys. Whoever asked is told only to try again.
#[derive(Default)]
struct Refusals(Mutex<Option<Instant>>);

impl Refusals {
    fn note(&self, error: &RedisError) {
        if !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) {
            return;
        }
        let mut last_logged = self.0.lock();
        if last_logged.is_none_or(|last| last.elapsed() >= LOG_REFUSALS_EVERY) {
            *last_logged = Some(Instant::now());
            tracing::warn!(%error, "redis refuses");
        }
    }
}

impl Link {
    async fn call<T: FromRedisValue>(&self, call: &Call) -> RedisResult<T> {
        let answer = match self.send(call.slot(), call.command()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                match call.with_source() {
                    Some(command) => self.send(call.slot(), &command).await,
                    None => Err(error),
                }
            }
            answer => answer,
        };
        Ok(T::from_redis_value(answer?)?)
    }

    async fn send(&self, slot: Slot, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Node(connection) => command.query_async(&mut connection.clone()).await,
            Self::Cluster(cluster) => cluster.send(slot, command).await,
        }
    }
}

fn parse(urls: &[String]) -> Result<Vec<ConnectionInfo>> {
    if urls.is_empty() {
        return Err(BackendError::unavailable("no redis url is given"));
    }
    urls.iter()
        .enumerate()
        .map(|(index, url)| {
            url.as_str().into_connection_info().map_err(|error| {
                let number = index + 1;
                BackendError::Unavailable(format!("redis url number {number}: {error}"))
            })
        })
        .collect()
}

/// Several addresses, or a node that says it is part of one, mean a cluster.
async fn open(nodes: Vec<ConnectionInfo>) -> RedisResult<Link> {
    let [node] = nodes.as_slice() else {
        return Cluster::connect(nodes).await.map(Link::Cluster);
    };
    let client = Client::open(node.clone())?;
    let mut connection = ConnectionManager::new_with_config(client, reconnecting()).await?;
    let cluster: String = redis::cmd("INFO")
        .arg("cluster")
        .query_async(&mut connection)
        .await?;
    if cluster.contains("cluster_enabled:1") {
        Cluster::connect(nodes).await.map(Link::Cluster)
    } else {
        Ok(Link::Node(connection))
    }
}

/// How a connection to a node behaves: without retries, so that a call during an outage fails at
/// once instead of hanging until the last one; it starts the reconnect on its way.
pub(super) fn reconnecting() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_number_of_retries(0)
        .set_connection_timeout(Some(CONNECT_WITHIN))
        .set_response_timeout(Some(CALL_WITHIN))
}

fn classify(error: &RedisError) -> BackendError {
    match error.kind() {
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => BackendError::damaged(error),
        _ => BackendError::Unavailable(format!("redis: {error}")),
    }
}
