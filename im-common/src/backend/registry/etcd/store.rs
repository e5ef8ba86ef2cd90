//! Calls to etcd, each within a bound and repeated at once when one member of several is down.

use std::future::Future;
use std::time::Duration;

use etcd_client::{
    Client, ConnectOptions, Error, GetOptions, LeaseKeepAliveStream, LeaseKeeper, PutOptions,
    WatchOptions, WatchStream,
};

use crate::backend::{BackendError, EtcdConfig, Result};

/// A member that is alive accepts within milliseconds.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// Longest wait for one answer; longer than an election of a new leader usually takes.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How often the connection itself is probed, and how long that may take: without it a member that
/// hangs would be waited for without end.
const PROBE: Duration = Duration::from_secs(2);
/// Calls go round the members, so with one of three down every third fails at once; this many in a
/// row fail only when more than one is.
const TRIES: u32 = 4;

type EtcdResult<T> = std::result::Result<T, Error>;

/// etcd, below one prefix. Keys are given and taken without the prefix.
pub(super) struct Store {
    client: Client,
    prefix: String,
}

/// A full list, and the revision from which a watch continues it.
pub(super) struct Snapshot {
    pub(super) entries: Vec<(String, Vec<u8>)>,
    pub(super) revision: i64,
}

impl Store {
    /// Connects and reads the list, or fails with an error that names the endpoints.
    pub(super) async fn connect(config: &EtcdConfig) -> Result<(Self, Snapshot)> {
        let unreachable = |error: Error| {
            let endpoints = config.endpoints.join(", ");
            BackendError::Unavailable(format!("cannot reach etcd at {endpoints}: {error}"))
        };
        let options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_WITHIN)
            .with_timeout(ANSWER_WITHIN)
            .with_keep_alive(PROBE, PROBE)
            .with_keep_alive_while_idle(true)
            .with_require_leader(true);
        let client = Client::connect(&config.endpoints, Some(options))
            .await
            .map_err(unreachable)?;
        let prefix = format!("{}/", config.prefix.trim_end_matches('/'));
        let store = Self { client, prefix };
        // Connecting is lazy and always succeeds; only an answer proves that somebody is there.
        let listed = store.list().await.map_err(unreachable)?;
        Ok((store, listed))
    }

    pub(super) async fn list(&self) -> EtcdResult<Snapshot> {
        let options = GetOptions::new().with_prefix();
        let mut listed = retried(|| {
            let (mut client, options) = (self.client.kv_client(), options.clone());
            async move { client.get(self.prefix.as_str(), Some(options)).await }
        })
        .await?;
        let revision = listed
            .header()
            .map_or(0, etcd_client::ResponseHeader::revision);
        let entries = listed.take_kvs().into_iter().filter_map(|entry| {
            let (key, value) = entry.into_key_value();
            Some((self.key_of(&key)?, value))
        });
        Ok(Snapshot {
            entries: entries.collect(),
            revision,
        })
    }

    pub(super) async fn watch(&self, revision: i64) -> EtcdResult<WatchStream> {
        let options = WatchOptions::new()
            .with_prefix()
            .with_start_revision(revision);
        retried(|| {
            let (mut client, options) = (self.client.watch_client(), options.clone());
            async move { client.watch(self.prefix.as_str(), Some(options)).await }
        })
        .await
    }

    pub(super) async fn grant(&self, ttl: Duration) -> EtcdResult<i64> {
        let seconds = i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX);
        let lease = retried(|| {
            let mut client = self.client.lease_client();
            async move { client.grant(seconds, None).await }
        });
        Ok(lease.await?.id())
    }

    pub(super) async fn keep_alive(
        &self,
        lease: i64,
    ) -> EtcdResult<(LeaseKeeper, LeaseKeepAliveStream)> {
        retried(|| {
            let mut client = self.client.lease_client();
            async move { client.keep_alive(lease).await }
        })
        .await
    }

    pub(super) async fn revoke(&self, lease: i64) -> EtcdResult<()> {
        retried(|| {
            let mut client = self.client.lease_client();
            async move { client.revoke(lease).await }
        })
        .await
        .map(drop)
    }

    pub(super) async fn put(&self, key: &str, value: &str, lease: i64) -> EtcdResult<()> {
        let options = PutOptions::new().with_lease(lease);
        retried(|| {
            let (mut client, options) = (self.client.kv_client(), options.clone());
            async move { client.put(self.full(key), value, Some(options)).await }
        })
        .await
        .map(drop)
    }

    pub(super) async fn delete(&self, key: &str) -> EtcdResult<()> {
        retried(|| {
            let mut client = self.client.kv_client();
            async move { client.delete(self.full(key), None).await }
        })
        .await
        .map(drop)
    }

    /// The key without the prefix.
    pub(super) fn key_of(&self, key: &[u8]) -> Option<String> {
        let key = key.strip_prefix(self.prefix.as_bytes())?;
        String::from_utf8(key.to_vec()).ok()
    }

    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// Repeats a call that failed without reaching a member. All calls here may be made twice.
async fn retried<T, F>(mut call: impl FnMut() -> F) -> EtcdResult<T>
where
    F: Future<Output = EtcdResult<T>>,
{
    for _ in 1..TRIES {
        let started = tokio::time::Instant::now();
        match call().await {
            // What failed slowly would fail slowly again; the keeper comes back later.
            Err(Error::GRpcStatus(_) | Error::TransportError(_))
                if started.elapsed() < ANSWER_WITHIN / 2 => {}
            outcome => return outcome,
        }
    }
    call().await
}
