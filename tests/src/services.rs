//! Real Redis and etcd for tests: on loopback, on free ports, in folders of their own.
//!
//! A service is killed when it is dropped. Nothing is skipped: a program that is missing fails the
//! test with the name of the Debian package that has it.

mod etcd;
mod program;
mod redis;

pub use self::etcd::Etcd;
pub use self::redis::{DiskCopy, Redis, RedisCluster};
