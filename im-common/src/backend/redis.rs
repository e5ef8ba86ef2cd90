//! What the Redis stores share: the connection, the names of keys, and calling scripts.

mod cluster;
mod connection;
mod durability;
mod keys;
mod script;

pub(super) use self::connection::Connection;
pub(super) use self::keys::{Keys, SHARDS, shard_of};
pub(super) use self::script::{Call, Script};
