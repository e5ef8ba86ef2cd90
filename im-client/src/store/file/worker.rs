//! The thread that reads and writes the file.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use im_common::message::Identity;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::journal::Journal;
use crate::store::state::State;
use crate::store::{Change, Contents, StoreError};

/// For so long a position may be in the hands of the operating system only. A handler would have to
/// wait for the disk after each message otherwise.
const SYNC_WITHIN: Duration = Duration::from_millis(100);

/// What the worker is asked to do.
pub(super) enum Job {
    Save(Vec<Change>, oneshot::Sender<Result<(), StoreError>>),
    Close(oneshot::Sender<()>),
    /// Shows that it is there.
    Nothing,
}

/// What the file holds, in memory too, so that it can be written anew.
pub(super) struct Worker {
    journal: Journal,
    state: State,
    /// By then, what was written last has to be on the disk.
    sync_by: Option<Instant>,
}

impl Worker {
    /// Reads the file, then works until it is closed, or until nobody can ask any more.
    pub(super) fn run(
        path: PathBuf,
        owner: Identity,
        loaded: oneshot::Sender<Result<Contents, StoreError>>,
        jobs: &Receiver<Job>,
    ) {
        let (journal, state) = match Journal::open(path, owner) {
            Ok(opened) => opened,
            Err(error) => {
                let _ = loaded.send(Err(error));
                return;
            }
        };
        // Whoever asked may have gone; the file must be free for the next one then.
        if loaded.send(Ok(state.contents())).is_err() {
            return;
        }
        let mut worker = Self {
            journal,
            state,
            sync_by: None,
        };
        if let Some(closed) = worker.work(jobs) {
            drop(worker);
            let _ = closed.send(());
        }
    }

    fn work(&mut self, jobs: &Receiver<Job>) -> Option<oneshot::Sender<()>> {
        loop {
            match self.next(jobs) {
                Ok(Job::Save(changes, reply)) => {
                    let _ = reply.send(self.save(&changes));
                }
                Ok(Job::Close(closed)) => {
                    self.sync();
                    return Some(closed);
                }
                Ok(Job::Nothing) => {}
                Err(RecvTimeoutError::Timeout) => self.sync(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.sync();
                    return None;
                }
            }
        }
    }

    fn next(&self, jobs: &Receiver<Job>) -> Result<Job, RecvTimeoutError> {
        match self.sync_by {
            Some(by) => jobs.recv_timeout(by.saturating_duration_since(Instant::now())),
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// What would be lost is synced before anybody relies on it; what would only come again may wait.
    fn save(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.state.check(changes)?;
        self.journal.append(&self.state, changes)?;
        if changes
            .iter()
            .any(|change| matches!(change, Change::Sending(_)))
        {
            self.journal.sync()?;
            self.sync_by = None;
        } else if self.sync_by.is_none() {
            self.sync_by = Some(Instant::now() + SYNC_WITHIN);
        }
        changes.iter().for_each(|change| self.state.apply(change));
        if self.sync_by.is_some_and(|by| by <= Instant::now()) {
            self.sync();
        }
        Ok(())
    }

    /// A failure shows at the next save, which writes the file anew then.
    fn sync(&mut self) {
        if self.sync_by.take().is_some()
            && let Err(error) = self.journal.sync()
        {
            tracing::warn!(%error, "cannot sync the store");
        }
    }
}
