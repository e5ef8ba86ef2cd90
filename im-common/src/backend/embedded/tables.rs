//! The open database: its handles, and its failures as errors of ours.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fjall::config::PinningPolicy;
use fjall::{Database, KeyspaceCreateOptions, Readable, Slice, Snapshot};

use super::commits::Commit;
use super::guard::{self, Found};
use super::keys::{self, Key, Table};
use crate::backend::{BackendError, Result};

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

/// Handles of the database and its tables. Clones share them; the folder is free for others when
/// the last one is dropped.
#[derive(Clone)]
pub(super) struct Tables {
    pub(super) database: Database,
    records: fjall::Keyspace,
    marks: fjall::Keyspace,
}

impl Tables {
    /// Checks the folder and opens the database in it. Says what was found there, with the newest
    /// commit.
    pub(super) fn open(folder: &Path) -> Result<(Self, Found)> {
        let locked = lock(folder)?;
        let mut found = guard::check(folder)?;
        drop(locked);
        let opened = caught(|| match Self::open_database(folder) {
            Err(fjall::Error::Locked) => Ok(Err(in_use(folder))),
            opened => opened.map(Ok),
        });
        let tables = opened.map_err(|error| in_folder(folder, error))??;
        let newest = caught(|| tables.records.get(keys::commit().bytes));
        let newest = newest.map_err(|error| in_folder(folder, error))?;
        let newest = newest.and_then(|value| Commit::decode(&value));
        let newest = newest.map_or(0, |commit| commit.number);
        guard::agrees(folder, &found, newest)?;
        found.newest = Some(newest);
        Ok((tables, found))
    }

    fn open_database(folder: &Path) -> fjall::Result<Self> {
        let database = Database::builder(folder)
            .worker_threads(WORKER_THREADS)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .cache_size(CACHE_BYTES)
            .open()?;
        // Every message asks for an id that is not there. With millions of them the filters that say
        // so outgrow the cache, and would be read again each time: they stay, some four bytes for
        // each message.
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES_MAX)
                .filter_block_pinning_policy(PinningPolicy::all(true))
        };
        Ok(Self {
            records: database.keyspace("records", options)?,
            marks: database.keyspace("marks", options)?,
            database,
        })
    }

    pub(super) fn table(&self, table: Table) -> &fjall::Keyspace {
        match table {
            Table::Records => &self.records,
            Table::Marks => &self.marks,
        }
    }
}

/// The database at one moment. Keep it no longer than a read takes: while there is one, the database
/// cannot be opened anew.
pub(in crate::backend) struct View {
    snapshot: Snapshot,
    tables: Tables,
}

impl View {
    pub(super) fn new(tables: Tables) -> Self {
        Self {
            snapshot: tables.database.snapshot(),
            tables,
        }
    }

    /// Returns a value.
    pub(in crate::backend) fn get(&self, key: &Key) -> Result<Option<Slice>> {
        caught(|| self.snapshot.get(self.tables.table(key.table), &key.bytes))
    }

    /// Returns what lies between two keys of one table, both included, in order.
    pub(in crate::backend) fn range(
        &self,
        from: Key,
        to: Key,
    ) -> impl DoubleEndedIterator<Item = Result<Entry>> {
        let table = self.tables.table(from.table);
        Entries(self.snapshot.range(table, from.bytes..=to.bytes))
    }

    /// Returns what lies under a prefix, in order.
    pub(in crate::backend) fn prefix(
        &self,
        prefix: &Key,
    ) -> impl DoubleEndedIterator<Item = Result<Entry>> {
        let table = self.tables.table(prefix.table);
        Entries(self.snapshot.prefix(table, &prefix.bytes))
    }
}

/// A key's bytes and its value.
pub(in crate::backend) type Entry = (Slice, Slice);

/// What lies in a part of a table.
pub(super) struct Entries(pub(super) fjall::Iter);

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        caught(|| self.0.next().map(fjall::Guard::into_inner).transpose()).transpose()
    }
}

impl DoubleEndedIterator for Entries {
    fn next_back(&mut self) -> Option<Self::Item> {
        caught(|| self.0.next_back().map(fjall::Guard::into_inner).transpose()).transpose()
    }
}

/// Calls the database. Some damage makes it panic; that, too, is an error here.
pub(super) fn caught<T>(call: impl FnOnce() -> fjall::Result<T>) -> Result<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(outcome) => outcome.map_err(|error| broken(&error)),
        Err(_) => Err(BackendError::damaged("the database panicked reading it")),
    }
}

/// The database does not say where.
pub(super) fn in_folder(folder: &Path, error: BackendError) -> BackendError {
    match error {
        BackendError::Unavailable(why) => BackendError::Unavailable(format!(
            "cannot use the database in {}: {why}",
            folder.display()
        )),
        BackendError::Damaged(why) => {
            let file = guard::damaged_table(folder);
            BackendError::Damaged(format!(
                "{}: {why}; put back a backup of the whole folder",
                file.as_deref().unwrap_or(folder).display()
            ))
        }
    }
}

/// Looks whether another process uses the folder, before anything in it is read or mended.
fn lock(folder: &Path) -> Result<Option<std::fs::File>> {
    let Ok(file) = std::fs::File::open(folder.join("lock")) else {
        return Ok(None);
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(in_use(folder)),
        Err(std::fs::TryLockError::Error(error)) => Err(BackendError::unavailable(error)),
    }
}

fn in_use(folder: &Path) -> BackendError {
    BackendError::Unavailable(format!(
        "the data folder {} is in use by another process; stop that one, or choose another folder",
        folder.display()
    ))
}

/// Tells a disk that fails from bytes that make no sense.
fn broken(error: &fjall::Error) -> BackendError {
    if matches!(error, fjall::Error::Poisoned) {
        return BackendError::Unavailable("an earlier write to the disk failed".to_owned());
    }
    let mut cause: Option<&dyn Error> = Some(error);
    let mut disk = None;
    while let Some(error) = cause {
        disk = error.downcast_ref::<io::Error>().or(disk);
        cause = error.source();
    }
    match disk.map(io::Error::kind) {
        // A file that ends too early, or is not there.
        None
        | Some(
            ErrorKind::UnexpectedEof
            | ErrorKind::InvalidData
            | ErrorKind::InvalidInput
            | ErrorKind::NotFound,
        ) => BackendError::damaged(error),
        Some(_) => BackendError::unavailable(error),
    }
}
