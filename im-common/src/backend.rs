//! The seams to shared state, and the one place where their implementations are chosen.

#[cfg(feature = "cluster")]
mod cluster;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod directory;
mod embedded;
#[cfg(any(test, feature = "fuzz"))]
#[doc(hidden)]
pub mod fuzz;
pub mod messages;
#[cfg(feature = "cluster")]
mod redis;
pub mod registry;
pub mod sessions;

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "cluster")]
pub use self::cluster::connect_registry;
use self::directory::Directory;
use self::directory::embedded::EmbeddedDirectory;
use self::embedded::Store;
use self::messages::MessageStore;
use self::messages::embedded::EmbeddedMessages;
use self::registry::ServerRegistry;
use self::registry::embedded::EmbeddedRegistry;
use self::sessions::SessionStore;
use self::sessions::embedded::EmbeddedSessions;
use crate::tasks::Tasks;

/// Where shared state lives.
#[derive(Debug, Clone)]
pub enum Mode {
    /// In this process; in the folder what must outlive it, nothing without a folder.
    Embedded(Option<PathBuf>),
    /// In Redis and etcd.
    #[cfg(feature = "cluster")]
    Cluster(RedisConfig, EtcdConfig),
}

/// Which Redis holds accounts, logs and sessions.
#[cfg(feature = "cluster")]
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Redis")]
pub struct RedisConfig {
    /// Redis, such as `redis://127.0.0.1:6379`; several nodes of a Redis Cluster with commas between.
    #[arg(
        long = "redis",
        env = "IM_REDIS",
        value_name = "URL",
        value_delimiter = ',',
        required = true
    )]
    pub urls: Vec<String>,
    /// Stands before every key in Redis, so that several clusters can share one.
    #[arg(
        id = "redis-prefix",
        long = "redis-prefix",
        env = "IM_REDIS_PREFIX",
        value_name = "PREFIX",
        default_value = "im"
    )]
    pub prefix: String,
}

/// Which etcd holds the list of nodes.
#[cfg(feature = "cluster")]
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "etcd")]
pub struct EtcdConfig {
    /// Members of the etcd cluster, such as `http://127.0.0.1:2379`, with commas between.
    #[arg(
        long = "etcd",
        env = "IM_ETCD",
        value_name = "URL",
        value_delimiter = ',',
        required = true
    )]
    pub endpoints: Vec<String>,
    /// Stands before every key in etcd, so that several clusters can share one.
    #[arg(
        id = "etcd-prefix",
        long = "etcd-prefix",
        env = "IM_ETCD_PREFIX",
        value_name = "PREFIX",
        default_value = "/im"
    )]
    pub prefix: String,
}

/// Why shared state cannot be used now.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BackendError {
    /// No answer, or not in time; the outcome of a change is unknown. Try again.
    #[error("{0}")]
    Unavailable(String),
    /// What is stored cannot be understood. Trying again cannot help.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
}

impl BackendError {
    /// The store does not answer.
    pub fn unavailable(error: impl std::fmt::Display) -> Self {
        Self::Unavailable(error.to_string())
    }

    /// What is stored makes no sense.
    pub fn damaged(error: impl std::fmt::Display) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// What a seam answers.
pub type Result<T, E = BackendError> = std::result::Result<T, E>;

/// Where a standalone keeps its store, within its data folder.
pub const STORE_FOLDER: &str = "store";

/// What outlives every process, for a tool that works on it: no sessions, no registry.
#[derive(Clone)]
pub struct Stores {
    /// Accounts and logins.
    pub directory: Arc<dyn Directory>,
    /// Conversation logs, and how far devices are.
    pub messages: Arc<dyn MessageStore>,
}

impl Stores {
    /// Connects to the Redis of a cluster, whose nodes may be running.
    #[cfg(feature = "cluster")]
    pub async fn in_redis(redis: &RedisConfig) -> Result<Self> {
        cluster::connect_stores(redis).await
    }

    /// Opens the folder of an embedded store, which nobody else may have open.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let store = Arc::new(Store::open(Some(folder))?);
        Ok(Self {
            directory: Arc::new(EmbeddedDirectory::new(Arc::clone(&store))),
            messages: Arc::new(EmbeddedMessages::open(store)?),
        })
    }
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stores")
    }
}

/// All shared state of a cluster. Clones share it.
#[derive(Clone)]
pub struct Backend {
    /// Accounts and logins.
    pub directory: Arc<dyn Directory>,
    /// Conversation logs, and how far devices are.
    pub messages: Arc<dyn MessageStore>,
    /// Who is attached where.
    pub sessions: Arc<dyn SessionStore>,
    /// Which servers and routes there are.
    pub registry: Arc<dyn ServerRegistry>,
}

impl Backend {
    /// Connects to what the mode says. Tasks that an implementation needs run until they are
    /// cancelled.
    #[cfg_attr(
        not(feature = "cluster"),
        expect(unused_variables, reason = "the embedded backend needs no tasks")
    )]
    pub async fn connect(mode: &Mode, tasks: &Tasks) -> Result<Self> {
        match mode {
            Mode::Embedded(folder) => Self::embedded(folder.as_deref()),
            #[cfg(feature = "cluster")]
            Mode::Cluster(redis, etcd) => cluster::connect(redis, etcd, tasks).await,
        }
    }

    /// Opens the folder and holds everything in this process; without a folder nothing outlives
    /// it. Reads the disk before it returns. The folder is free again once all clones are dropped.
    pub fn embedded(folder: Option<&Path>) -> Result<Self> {
        let store = Arc::new(Store::open(folder)?);
        Ok(Self {
            directory: Arc::new(EmbeddedDirectory::new(Arc::clone(&store))),
            messages: Arc::new(EmbeddedMessages::open(store)?),
            sessions: Arc::new(EmbeddedSessions::new()),
            registry: Arc::new(EmbeddedRegistry::default()),
        })
    }
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Backend")
    }
}
