//! The database of the moment. After a write failed it is opened anew, while others use it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::Instant;

use super::guard::{self, Found};
use super::tables::Tables;
use crate::backend::{BackendError, Result};

/// Readers of the old database have this long to end before it is opened anew. They take
/// milliseconds.
const READERS_END_WITHIN: Duration = Duration::from_secs(2);
/// How often to look whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Clones share the database.
#[derive(Clone)]
pub(super) struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    /// Nothing between closing the database and opening it anew.
    tables: RwLock<Option<Tables>>,
    opened: AtomicU64,
}

impl Handle {
    /// Opens the database in a folder.
    pub(super) fn open(folder: &Path) -> Result<(Self, Found)> {
        let (tables, found) = Tables::open(folder)?;
        let shared = Shared {
            folder: folder.to_owned(),
            tables: RwLock::new(Some(tables)),
            opened: AtomicU64::new(1),
        };
        let shared = Arc::new(shared);
        Ok((Self { shared }, found))
    }

    /// The folder that it is in.
    pub(super) fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// The database as it is now. Who keeps this keeps it from being opened anew.
    pub(super) fn tables(&self) -> Result<Tables> {
        self.shared.tables.read().clone().ok_or_else(|| {
            BackendError::Unavailable("the database is being opened anew".to_owned())
        })
    }

    /// How often the database was opened. What is derived from it in memory has to be derived again
    /// when this has changed.
    pub(super) fn times_opened(&self) -> u64 {
        self.shared.opened.load(Ordering::Acquire)
    }

    /// Closes the database, cuts off what lies behind a commit, and opens it again. If that fails,
    /// nobody can read or write until it succeeds.
    pub(super) fn open_anew(&self, last: u64) -> Result<Found> {
        drop(self.shared.tables.write().take());
        let give_up_at = Instant::now() + READERS_END_WITHIN;
        let (tables, found) = loop {
            match guard::cut_behind(&self.shared.folder, last)
                .and_then(|()| Tables::open(&self.shared.folder))
            {
                Ok(opened) => break opened,
                Err(error) if Instant::now() > give_up_at => return Err(error),
                Err(_) => std::thread::park_timeout(LOOK_EVERY),
            }
        };
        *self.shared.tables.write() = Some(tables);
        self.shared.opened.fetch_add(1, Ordering::Release);
        Ok(found)
    }
}
