//! One request to Redis: a plain command, or a script that looks and acts in one step.

use redis::cluster_routing::Slot;
use redis::{Arg, Cmd, ToRedisArgs};

/// A Lua script. Clients' text reaches it through `ARGV` only.
#[derive(Debug)]
pub(in crate::backend) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    /// Takes a script's source.
    pub(in crate::backend) fn new(code: &'static str) -> Self {
        let hash = redis::Script::new(code).get_hash().to_owned();
        Self { code, hash }
    }

    /// Begins a call; all keys share one hash tag, or Redis Cluster refuses it.
    pub(in crate::backend) fn on(&self, keys: &[String]) -> Call {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.hash).arg(keys.len()).arg(keys);
        Call {
            command,
            slot: Slot::for_key(keys.first().map_or("", String::as_str)),
            code: Some(self.code),
        }
    }
}

/// A request with its arguments, ready to be sent.
#[derive(Debug, Clone)]
pub(in crate::backend) struct Call {
    command: Cmd,
    slot: Slot,
    code: Option<&'static str>,
}

impl Call {
    /// Begins a plain command on one key.
    pub(in crate::backend) fn new(name: &str, key: &str) -> Self {
        let mut command = redis::cmd(name);
        command.arg(key);
        Self {
            command,
            slot: Slot::for_key(key),
            code: None,
        }
    }

    /// Adds an argument, or several.
    pub(in crate::backend) fn arg(mut self, argument: impl ToRedisArgs) -> Self {
        self.command.arg(argument);
        self
    }

    /// The request as it is first sent.
    pub(super) fn command(&self) -> &Cmd {
        &self.command
    }

    /// Where the keys are in a Redis Cluster.
    pub(super) fn slot(&self) -> Slot {
        self.slot
    }

    /// The request for a node that does not know the script: with the source instead of its hash.
    ///
    /// `SCRIPT LOAD` would have to reach every master of a cluster, and fail while one is down.
    pub(super) fn with_source(&self) -> Option<Cmd> {
        let mut command = redis::cmd("EVAL");
        command.arg(self.code?);
        for argument in self.command.args_iter().skip(2) {
            if let Arg::Simple(bytes) = argument {
                command.arg(bytes);
            }
        }
        Some(command)
    }
}
