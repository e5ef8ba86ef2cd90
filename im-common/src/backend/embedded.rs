//! The durable store that the embedded seams share: one database in one folder, one writer.
//!
//! `keys.rs` says where everything lies, `values.rs` how it is encoded, `batch.rs` what a change
//! sees, `writer.rs` how changes become durable, `guard.rs` what is checked before a folder is
//! opened. Reads go straight to the database: a page takes well under a millisecond, so they run
//! inline and never wait for the writer.

mod batch;
mod commits;
mod guard;
mod handle;
mod journal;
pub(super) mod keys;
mod leftovers;
mod tables;
#[cfg(test)]
mod tests;
pub(super) mod values;
mod writer;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use fjall::PersistMode;

pub(super) use self::batch::Change;
use self::handle::Handle;
pub(super) use self::tables::{Entry, View};
pub(super) use self::writer::Durable;
use self::writer::Writer;
use super::{BackendError, Result};

/// The database. It is closed, and its folder free for others, when this is dropped.
pub(super) struct Store {
    // Fields are dropped in this order: the writer uses the database, which lies in the folder.
    writer: Writer,
    handle: Handle,
    _folder: Option<tempfile::TempDir>,
}

impl Store {
    /// Opens the store in a folder; without one, in a temporary one that vanishes with it.
    pub(super) fn open(folder: Option<&Path>) -> Result<Self> {
        match folder {
            Some(folder) => {
                create_private(folder).map_err(|error| unusable(folder, &error))?;
                Self::start(folder, Some(PersistMode::SyncData), None)
            }
            None => {
                let folder = leftovers::temporary().map_err(BackendError::unavailable)?;
                let path = folder.path().to_owned();
                Self::start(&path, None, Some(folder))
            }
        }
    }

    fn start(
        path: &Path,
        persist: Option<PersistMode>,
        folder: Option<tempfile::TempDir>,
    ) -> Result<Self> {
        let (handle, found) = Handle::open(path)?;
        Ok(Self {
            writer: Writer::start(handle.clone(), &found, persist)?,
            handle,
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
    pub(super) fn view(&self) -> Result<View> {
        Ok(View::new(self.handle.tables()?))
    }

    /// Adds to an error of a start which file is damaged, or at least in which folder it is.
    pub(super) fn located(&self, error: BackendError) -> BackendError {
        tables::in_folder(self.handle.folder(), error)
    }

    /// How often the database was opened: 1, and 1 more after each failed write.
    pub(super) fn times_opened(&self) -> u64 {
        self.handle.times_opened()
    }
}

/// How long the batch is that these bytes of a journal begin with.
#[cfg(any(test, feature = "fuzz"))]
pub(super) fn first_batch_bytes(journal: &[u8]) -> Option<usize> {
    journal::first_batch(journal).map(|batch| batch.bytes)
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
