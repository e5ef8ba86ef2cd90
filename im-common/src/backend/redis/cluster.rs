//! The nodes of a Redis Cluster: which one has a slot, and a connection to each.
//!
//! Nodes do not wait for each other: while one is down, only calls for its slots fail, at once. (The
//! client library's own cluster connection stops for good when a master dies under concurrent calls,
//! for the calls to all other masters too.)

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::aio::ConnectionManager;
use redis::cluster_routing::Slot;
use redis::{Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult};
use redis::{ServerErrorKind, Value};
use tokio::time::{Instant, timeout};

use super::connection::reconnecting;

/// How long one node may take to say who has which slots, before another one is asked.
const ASK_WITHIN: Duration = Duration::from_millis(500);
/// Failing calls look for a new master no more often than this.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Host and port.
type Address = (String, u16);

/// A Redis Cluster. Clones share it.
#[derive(Clone)]
pub(super) struct Cluster(Arc<Shared>);

struct Shared {
    /// The nodes that the operator named.
    seeds: Vec<ConnectionInfo>,
    topology: Mutex<Topology>,
    /// When the topology was last looked up; held by the one call that looks.
    looked: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Topology {
    masters: HashMap<Slot, Address>,
    connections: HashMap<Address, ConnectionManager>,
}

/// The first and the last of some slots, and their master.
type SlotRange = (u16, u16, Address);

impl Cluster {
    /// Asks the nodes in turn who has which slots; fails when none can tell.
    pub(super) async fn connect(seeds: Vec<ConnectionInfo>) -> RedisResult<Self> {
        let cluster = Self(Arc::new(Shared {
            seeds,
            topology: Mutex::default(),
            looked: tokio::sync::Mutex::default(),
        }));
        cluster.look().await?;
        Ok(cluster)
    }

    /// Sends a command to the node that has a slot, following one redirection.
    pub(super) async fn send(&self, slot: Slot, command: &Cmd) -> RedisResult<Value> {
        let error = match self.master_of(slot) {
            Some(master) => match self.ask(&master, command).await {
                Err(error) => error,
                answer => return answer,
            },
            None => (ErrorKind::ClusterConnectionNotFound, "slot has no master").into(),
        };
        match (error.kind(), redirection(&error)) {
            (ErrorKind::Server(ServerErrorKind::Moved), Some(master)) => {
                self.learn(slot, &master);
                self.look_again().await;
                self.ask(&master, command).await
            }
            (ErrorKind::Server(ServerErrorKind::Ask), Some(importing)) => {
                self.ask_importing(&importing, command).await
            }
            _ => {
                if is_lost(&error) {
                    self.look_again().await;
                }
                Err(error)
            }
        }
    }

    async fn ask(&self, address: &Address, command: &Cmd) -> RedisResult<Value> {
        let mut connection = self.connection(address)?;
        command.query_async(&mut connection).await
    }

    /// As [`Cluster::ask`], for a slot that is on its way to that node.
    async fn ask_importing(&self, address: &Address, command: &Cmd) -> RedisResult<Value> {
        let mut connection = self.connection(address)?;
        let mut both = redis::pipe();
        both.cmd("ASKING").ignore().add_command(command.clone());
        // One error for the whole pipeline would hide that a script is not known there.
        let mut answers: Vec<RedisResult<Value>> =
            both.ignore_errors().query_async(&mut connection).await?;
        let nothing = || Err((ErrorKind::UnexpectedReturnType, "no answer").into());
        answers.pop().unwrap_or_else(nothing)
    }

    fn master_of(&self, slot: Slot) -> Option<Address> {
        self.0.topology.lock().masters.get(&slot).cloned()
    }

    fn learn(&self, slot: Slot, master: &Address) {
        let mut topology = self.0.topology.lock();
        topology.masters.insert(slot, master.clone());
    }

    fn connection(&self, address: &Address) -> RedisResult<ConnectionManager> {
        let mut topology = self.0.topology.lock();
        if let Some(connection) = topology.connections.get(address) {
            return Ok(connection.clone());
        }
        // All nodes of a cluster have the same users, so any seed's settings will do.
        let (host, port) = address.clone();
        let node = self.0.seeds[0]
            .clone()
            .set_addr(ConnectionAddr::Tcp(host, port));
        let connection =
            ConnectionManager::new_lazy_with_config(Client::open(node)?, reconnecting())?;
        topology
            .connections
            .insert(address.clone(), connection.clone());
        Ok(connection)
    }

    /// Looks the topology up again, unless somebody is at it or just was.
    async fn look_again(&self) {
        let Ok(mut looked) = self.0.looked.try_lock() else {
            return;
        };
        if looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        if let Err(error) = self.look().await {
            tracing::warn!(%error, "no redis node tells who has which slots");
        }
        *looked = Some(Instant::now());
    }

    async fn look(&self) -> RedisResult<()> {
        let known: Vec<Address> = self.0.topology.lock().connections.keys().cloned().collect();
        let seeds = self.0.seeds.iter().filter_map(address_of);
        let mut failure = None;
        for address in known.into_iter().chain(seeds) {
            match self.slots_by(&address).await {
                // A node that was taken out of the cluster knows of no slots.
                Ok(ranges) if ranges.is_empty() => {}
                Ok(ranges) => {
                    self.0.topology.lock().replace(ranges);
                    return Ok(());
                }
                Err(error) => failure = Some(error),
            }
        }
        let nobody = || (ErrorKind::ClusterConnectionNotFound, "no node is known").into();
        Err(failure.unwrap_or_else(nobody))
    }

    async fn slots_by(&self, address: &Address) -> RedisResult<Vec<SlotRange>> {
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        let answer = timeout(ASK_WITHIN, self.ask(address, &slots)).await;
        let answer = answer.map_err(|_| RedisError::from((ErrorKind::Io, "no answer in time")))?;
        slot_ranges(&answer?, &address.0).ok_or_else(|| {
            (
                ErrorKind::UnexpectedReturnType,
                "slots cannot be understood",
            )
                .into()
        })
    }
}

impl Topology {
    fn replace(&mut self, ranges: Vec<SlotRange>) {
        self.masters.clear();
        for (first, last, master) in ranges {
            let slots = (first..=last).filter_map(Slot::new);
            self.masters
                .extend(slots.map(|slot| (slot, master.clone())));
        }
        let masters: std::collections::HashSet<&Address> = self.masters.values().collect();
        self.connections
            .retain(|address, _| masters.contains(address));
    }
}

/// Reads the answer to `CLUSTER SLOTS`; a node that does not know its own host leaves it out.
fn slot_ranges(answer: &Value, asked_host: &str) -> Option<Vec<SlotRange>> {
    let range = |range: &Value| {
        let [first, last, master, ..] = range.as_sequence()? else {
            return None;
        };
        let [host, port, ..] = master.as_sequence()? else {
            return None;
        };
        let host: Option<String> = redis::from_redis_value_ref(host).ok()?;
        let host = host.filter(|host| !host.is_empty() && host != "?");
        let master = (
            host.unwrap_or_else(|| asked_host.to_owned()),
            redis::from_redis_value_ref(port).ok()?,
        );
        let first = redis::from_redis_value_ref(first).ok()?;
        let last = redis::from_redis_value_ref(last).ok()?;
        Some((first, last, master))
    };
    answer.as_sequence()?.iter().map(range).collect()
}

fn redirection(error: &RedisError) -> Option<Address> {
    let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}

fn address_of(node: &ConnectionInfo) -> Option<Address> {
    match node.addr() {
        ConnectionAddr::Tcp(host, port) => Some((host.clone(), *port)),
        _ => None,
    }
}

/// Whether another node may have become the master.
fn is_lost(error: &RedisError) -> bool {
    let kinds = [
        ErrorKind::ClusterConnectionNotFound,
        ErrorKind::Server(ServerErrorKind::ClusterDown),
        ErrorKind::Server(ServerErrorKind::MasterDown),
        ErrorKind::Server(ServerErrorKind::ReadOnly),
    ];
    error.is_io_error() || kinds.contains(&error.kind())
}
