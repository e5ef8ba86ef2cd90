//! CIM's Redis, read and never written. All values are plain strings there, and ids in lists.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Context as _;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _};

/// Keys that Redis looks at for one answer. Its other users wait meanwhile, for well under a
/// millisecond.
const SCAN_COUNT: usize = 1000;
/// Ids of one list that are read at once; as many as CIM itself delivers at once.
pub(super) const PAGE: isize = 100;
/// An answer that takes longer will not come.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// An account's name, by `cim-account:<id>`; and the other way round, by the bare name.
pub(super) const ACCOUNT: &str = "cim-account:";
/// A list of the ids of what waits, by the receiver.
pub(super) const WAITING: &str = "offline:msg:user:";
/// A message that waits, by its id.
const MESSAGE: &str = "offline:msg:";

/// A connection to it.
pub(super) struct Source {
    connection: MultiplexedConnection,
}

/// A walk over all keys with a beginning, each once.
pub(super) struct Walk {
    pattern: String,
    /// Redis may tell a key twice.
    seen: HashSet<String>,
    /// Where to go on, none at the end.
    cursor: Option<u64>,
}

impl Source {
    /// Connects, or fails with an error that names the address, never a password.
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
        let info = url
            .into_connection_info()
            .context("--from is no Redis URL")?;
        let address = info.addr().to_string();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_WITHIN))
            .set_response_timeout(Some(ANSWER_WITHIN));
        let connection = Client::open(info)?
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .with_context(|| format!("cannot reach CIM's Redis at {address}"))?;
        Ok(Self { connection })
    }

    /// Begins a walk over all keys that begin so.
    pub(super) fn walk(beginning: &str) -> Walk {
        Walk {
            pattern: format!("{beginning}*"),
            seen: HashSet::new(),
            cursor: Some(0),
        }
    }

    /// The next keys of a walk, which may be none; `None` at its end.
    pub(super) async fn next(&mut self, walk: &mut Walk) -> anyhow::Result<Option<Vec<String>>> {
        let Some(cursor) = walk.cursor else {
            return Ok(None);
        };
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&walk.pattern);
        scan.arg("COUNT").arg(SCAN_COUNT);
        let (cursor, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut self.connection).await?;
        walk.cursor = (cursor != 0).then_some(cursor);
        // No key of CIM that matters is anything but text.
        let keys = keys.into_iter().map(String::from_utf8);
        let mut keys: Vec<String> = keys.filter_map(Result::ok).collect();
        keys.retain(|key| walk.seen.insert(key.clone()));
        Ok(Some(keys))
    }

    /// The values of keys, in their order; none for a key that is missing, or no text.
    pub(super) async fn values(&mut self, keys: &[String]) -> anyhow::Result<Vec<Option<String>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = redis::cmd("MGET");
        get.arg(keys);
        let values: Vec<Option<Vec<u8>>> = get.query_async(&mut self.connection).await?;
        let text = |value: Option<Vec<u8>>| String::from_utf8(value?).ok();
        Ok(values.into_iter().map(text).collect())
    }

    /// A page of what waits for a receiver, oldest first: ids, and each message if it is still
    /// there.
    pub(super) async fn waiting(
        &mut self,
        list: &str,
        from: isize,
    ) -> anyhow::Result<Vec<(String, Option<String>)>> {
        let mut range = redis::cmd("LRANGE");
        range.arg(list).arg(from).arg(from + PAGE - 1);
        let ids: Vec<String> = match range.query_async(&mut self.connection).await {
            // Whoever registers the name of this key in CIM makes it something else.
            Err(error) if error.code() == Some("WRONGTYPE") => Vec::new(),
            answer => answer?,
        };
        let keys: Vec<String> = ids.iter().map(|id| format!("{MESSAGE}{id}")).collect();
        let values = self.values(&keys).await?;
        Ok(ids.into_iter().zip(values).collect())
    }
}
