//! The command line.

use std::path::{Path, PathBuf};

use clap::{Args as Arguments, Parser, Subcommand};
use im_common::backend::{RedisConfig, STORE_FOLDER};

/// Works on what a cluster has stored.
#[derive(Debug, Parser)]
#[command(
    name = "im-admin",
    version,
    after_help = "\
Examples:
  im-admin import-cim --from redis://cim:6379 --redis redis://127.0.0.1:6379
  im-admin import-cim --help

Exit codes: 0 done, 1 failed (it can be run again), 2 wrong usage, 3 done, but something was left out."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    ImportCim(ImportCim),
}

/// Import accounts and waiting messages from the Redis of a CIM.
///
/// Users keep their numbers and names. What waited for them waits here. The source is only read.
/// It can be run again at any time: what is there already is not imported twice. Into a cluster it
/// can be run while the cluster serves; a standalone must be stopped first.
#[derive(Debug, Clone, Arguments)]
#[command(
    // That of the whole is shown otherwise.
    after_help = "\
Examples:
  im-admin import-cim --from redis://cim:6379 --redis redis://127.0.0.1:6379 --accounts-only
  im-admin import-cim --from redis://:PASSWORD@cim:6379/0 --redis redis://127.0.0.1:6379
  im-admin import-cim --from redis://cim:6379 --data-dir /var/lib/im

Run it with --accounts-only while CIM still serves, then without once CIM's routes are stopped:
a message that is imported before CIM delivers it is delivered twice. Each account and message that
cannot be imported is printed with the reason.

Exit codes: 0 all imported, 1 failed (run it again), 2 wrong usage, 3 something was left out."
)]
pub(crate) struct ImportCim {
    /// CIM's Redis, such as `redis://cim:6379`; it is only read.
    #[arg(long, env = "IM_CIM_REDIS", value_name = "URL", hide_env_values = true)]
    pub(crate) from: String,
    /// Leave waiting messages where they are.
    #[arg(long)]
    pub(crate) accounts_only: bool,
    /// The cluster's Redis; several nodes of a Redis Cluster with commas between.
    #[arg(
        long,
        env = "IM_REDIS",
        value_name = "URL",
        value_delimiter = ',',
        required_unless_present = "data_dir",
        conflicts_with = "data_dir",
        hide_env_values = true
    )]
    redis: Vec<String>,
    /// Stands before every key of the cluster in its Redis.
    #[arg(
        long,
        env = "IM_REDIS_PREFIX",
        value_name = "PREFIX",
        default_value = "im"
    )]
    redis_prefix: String,
    /// The data folder of a standalone, which has been started once and does not run now.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Where to import to.
#[derive(Debug)]
pub(crate) enum Target {
    /// The Redis of a cluster.
    Cluster(RedisConfig),
    /// The store of a standalone.
    Standalone(PathBuf),
}

/// A folder in which no standalone has ever kept anything.
#[derive(Debug, thiserror::Error)]
#[error("--data-dir {0} holds no store; start im-standalone with it once, and stop it")]
pub(crate) struct NoStore(String);

impl ImportCim {
    /// Where to import to, if that can be.
    pub(crate) fn target(&self) -> Result<Target, NoStore> {
        let Some(folder) = &self.data_dir else {
            return Ok(Target::Cluster(RedisConfig {
                urls: self.redis.clone(),
                prefix: self.redis_prefix.clone(),
            }));
        };
        let store = folder.join(STORE_FOLDER);
        if !Path::is_dir(&store) {
            return Err(NoStore(folder.display().to_string()));
        }
        Ok(Target::Standalone(store))
    }
}
