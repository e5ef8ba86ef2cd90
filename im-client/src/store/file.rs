//! The store in one file: it survives the program and the machine.

mod journal;
mod line;
#[cfg(test)]
mod tests;
mod worker;

use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use im_common::message::Identity;
use tokio::sync::oneshot;

use super::memory::not_loaded;
use super::{Change, Contents, Store, StoreError, StoreErrorKind};
use worker::{Job, Worker};

/// A client waits for one job before it gives the next. More are there only if it has given up.
const JOBS_MAX: usize = 4;

/// Keeps everything in one file, that only this user may read, and that one client at a time may use.
///
/// Each change is appended, with a checksum. What is saved survives the end of the program, also a
/// kill, at once. If the machine itself stops, sends that were saved are there; positions of the last
/// tenth of a second may not be, and those messages are handled again. So a send waits for the disk,
/// together with all that were sent meanwhile, and a handler does not. The file is written anew, short,
/// when it has grown to twice what it holds, from 1 MiB on.
///
/// What a crash left half-written at the end is cut off. A file that is damaged elsewhere is refused
/// ([`StoreErrorKind::Damaged`]) and left as it is: without it, the device goes on from what it has
/// acked.
///
/// It holds at most 64 MiB of messages without an answer; beyond it, saving fails as
/// [`StoreErrorKind::Full`].
///
/// A thread of its own reads and writes the file, from when a client begins to use it to when that
/// client ends. A file of the same name with `.lock` behind it tells others that it is in use
/// ([`StoreErrorKind::InUse`]); it is left there.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    /// Where the worker of the present client takes its jobs from.
    jobs: Mutex<Option<SyncSender<Job>>>,
}

impl FileStore {
    /// A store in that file, which is created when it is first used. Its folder must be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            jobs: Mutex::default(),
        }
    }

    /// Starts the worker of a client.
    fn start(
        &self,
        owner: Identity,
    ) -> Result<oneshot::Receiver<Result<Contents, StoreError>>, StoreError> {
        let mut jobs = self.jobs();
        let is_gone = |jobs: &SyncSender<Job>| {
            matches!(
                jobs.try_send(Job::Nothing),
                Err(TrySendError::Disconnected(_))
            )
        };
        if jobs.as_ref().is_some_and(|jobs| !is_gone(jobs)) {
            let message = format!("{} is in use by this program", self.path.display());
            return Err(StoreError::new(StoreErrorKind::InUse, message));
        }
        let (sender, receiver) = sync_channel(JOBS_MAX);
        let (loaded, contents) = oneshot::channel();
        let path = self.path.clone();
        let run = move || Worker::run(path, owner, loaded, &receiver);
        std::thread::Builder::new()
            .name("im-store".to_owned())
            .spawn(run)
            .map_err(|error| {
                let message = "no thread for the store";
                StoreError::new(StoreErrorKind::Unavailable, message).because(error)
            })?;
        *jobs = Some(sender);
        Ok(contents)
    }

    fn jobs(&self) -> MutexGuard<'_, Option<SyncSender<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for FileStore {
    async fn load(&self, owner: &Identity) -> Result<Contents, StoreError> {
        let contents = self.start(owner.clone())?;
        contents.await.unwrap_or_else(|_| Err(not_loaded()))
    }

    async fn save(&self, changes: &[Change]) -> Result<(), StoreError> {
        let (reply, saved) = oneshot::channel();
        let job = Job::Save(changes.to_vec(), reply);
        let is_taken = self
            .jobs()
            .as_ref()
            .is_some_and(|jobs| jobs.try_send(job).is_ok());
        if !is_taken {
            return Err(not_loaded());
        }
        saved.await.unwrap_or_else(|_| Err(not_loaded()))
    }

    async fn close(&self) {
        let jobs = self.jobs().take();
        let (reply, closed) = oneshot::channel();
        if jobs.is_some_and(|jobs| jobs.try_send(Job::Close(reply)).is_ok()) {
            // It has ended in any case.
            let _ = closed.await;
        }
    }
}
