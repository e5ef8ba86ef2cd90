//! The durable store that the embedded seams share: one database in one folder, one writer.
//!
//! `keys.rs` says where everything lies, `values.rs` how it is encoded, `batch.rs` what a change
//! sees, `writer.rs` how changes become durable. Reads go straight to the database: a page takes
//! well under a millisecond, so they run inline and never wait for the writer.

mod batch;
pub(super) mod keys;
#[cfg(test)]
mod tests;
pub(super) mod values;
mod writer;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use fjall::{Database, KeyspaceCreateOptions, PersistMode, Readable, Slice, Snapshot};

pub(super) use self::batch::Change;
use self::keys::{Key, Table};
pub(super) use self::writer::Durable;
use self::writer::Writer;
use super::{BackendError, Result};

/// Background threads of the database: one flushes while the other compacts.
const WORKER_THREADS: usize = 2;
/// What each table holds in memory before it is written out. Up to four more of these wait to be
/// written before writes are held back.
const MEMTABLE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Bounds the disk that closed journals take, and what is read again at the next start: up to a
/// second of work, after an orderly end as after a crash. The least that the database takes.
const JOURNAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Keeps recent pages of logs in memory.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// The database. It is closed, and its folder free for others, when this is dropped.
pub(super) struct Store {
    // Fields are dropped in this order: the writer uses the database, which lies in the folder.
    writer: Writer,
    tables: Tables,
    _folder: Option<tempfile::TempDir>,
}

impl Store {
    /// Opens the store in a folder; without one, in a temporary one that vanishes with it.
    pub(super) fn open(folder: Option<&Path>) -> Result<Self> {
        match folder {
            Some(folder) => {
                create_private(folder).map_err(|error| unusable(folder, &error))?;
                let tables = Tables::open(folder)?;
                Self::start(tables, Some(PersistMode::SyncData), None)
            }
            None => {
                let folder = tempfile::Builder::new()
                    .prefix("im-")
                    .tempdir()
                    .map_err(BackendError::unavailable)?;
                let tables = Tables::open(folder.path())?;
                Self::start(tables, None, Some(folder))
            }
        }
    }

    fn start(
        tables: Tables,
        persist: Option<PersistMode>,
        folder: Option<tempfile::TempDir>,
    ) -> Result<Self> {
        Ok(Self {
            writer: Writer::start(tables.clone(), persist)?,
            tables,
            _folder: folder,
        })
    }

    /// Applies a change in one atomic step, in turn with all others; returns once it is as durable
    /// as asked for. A change that fails leaves no trace. When the returned future is dropped, the
    /// change may happen nevertheless.
    pub(super) async fn write<T, C>(&self, durable: Durable, change: C) -> Result<T>
    where
        T: Send + 'static,
        C: FnOnce(&mut Change<'_>) -> Result<T> + Send + 'static,
    {
        self.writer.write(durable, change).await
    }

    /// Sees everything that is durable now, and nothing that comes later.
    pub(super) fn view(&self) -> View<'_> {
        View {
            snapshot: self.tables.database.snapshot(),
            tables: &self.tables,
        }
    }
}

/// Handles of the database and its tables. Clones share them.
#[derive(Clone)]
struct Tables {
    database: Database,
    records: fjall::Keyspace,
    marks: fjall::Keyspace,
}

impl Tables {
    fn open(folder: &Path) -> Result<Self> {
        let open = || {
            let database = Database::builder(folder)
                .worker_threads(WORKER_THREADS)
                .max_journaling_size(JOURNAL_BYTES_MAX)
                .cache_size(CACHE_BYTES)
                .open()?;
            let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES_MAX);
            Ok(Self {
                records: database.keyspace("records", options)?,
                marks: database.keyspace("marks", options)?,
                database,
            })
        };
        open().map_err(|error| match error {
            fjall::Error::Locked => in_use(folder),
            error => broken(&error),
        })
    }

    fn table(&self, table: Table) -> &fjall::Keyspace {
        match table {
            Table::Records => &self.records,
            Table::Marks => &self.marks,
        }
    }
}

/// The database at one moment.
pub(super) struct View<'a> {
    snapshot: Snapshot,
    tables: &'a Tables,
}

impl View<'_> {
    /// Returns a value.
    pub(super) fn get(&self, key: &Key) -> Result<Option<Slice>> {
        self.snapshot
            .get(self.tables.table(key.table), &key.bytes)
            .map_err(|error| broken(&error))
    }

    /// Returns what lies between two keys of one table, both included, in order.
    pub(super) fn range(
        &self,
        from: Key,
        to: Key,
    ) -> impl DoubleEndedIterator<Item = Result<Entry>> {
        self.snapshot
            .range(self.tables.table(from.table), from.bytes..=to.bytes)
            .map(entry)
    }

    /// Returns what lies under a prefix, in order.
    pub(super) fn prefix(&self, prefix: &Key) -> impl DoubleEndedIterator<Item = Result<Entry>> {
        self.snapshot
            .prefix(self.tables.table(prefix.table), &prefix.bytes)
            .map(entry)
    }
}

/// A key's bytes and its value.
pub(super) type Entry = (Slice, Slice);

fn entry(guard: fjall::Guard) -> Result<Entry> {
    guard.into_inner().map_err(|error| broken(&error))
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

/// Only the owner may look into the folder: it holds everybody's messages.
fn create_private(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn unusable(folder: &Path, error: &std::io::Error) -> BackendError {
    BackendError::Unavailable(format!(
        "cannot use the data folder {}: {error}",
        folder.display()
    ))
}

fn in_use(folder: &Path) -> BackendError {
    BackendError::Unavailable(format!(
        "the data folder {} is in use by another process; stop that one, or choose another folder",
        folder.display()
    ))
}

/// Tells a disk that fails from bytes that make no sense.
fn broken(error: &fjall::Error) -> BackendError {
    use fjall::Error::{
        Decompress, InvalidTag, InvalidTrailer, InvalidVersion, JournalRecovery, Poisoned,
        Unrecoverable,
    };
    match error {
        Poisoned => BackendError::Unavailable(
            "an earlier write to the disk failed; restart once the disk is sound".to_owned(),
        ),
        InvalidVersion(_) | InvalidTag(_) | InvalidTrailer | Decompress(_) | JournalRecovery(_)
        | Unrecoverable => BackendError::damaged(error),
        _ => BackendError::unavailable(error),
    }
}
