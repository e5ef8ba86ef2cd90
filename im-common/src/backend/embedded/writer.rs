//! The one thread that writes: it gathers what is waiting, commits it with one sync, then answers.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use fjall::PersistMode;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::batch::{Batch, Change};
use super::commits::Watermark;
use super::guard::Found;
use super::handle::Handle;
use super::tables::caught;
use crate::backend::{BackendError, Result};

/// Changes that may wait; further callers wait for a place. Large enough that one sync serves a
/// crowd, small enough that with texts of the largest size they take 32 MiB.
const WAITING_MAX: usize = 512;
/// A commit takes no further change beyond this, so that a crowd of large ones is not kept waiting
/// for all of them.
const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// After a failed write the disk is tried this often; until it is sound, changes are refused at once.
const TRY_DISK_EVERY: Duration = Duration::from_millis(500);
/// The disk must take this much before the database is opened anew: two commits of the largest size.
const TRY_DISK_BYTES: usize = 2 * COMMIT_BYTES_MAX;

/// When a change has to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// Before it is answered.
    Now,
    /// Together with the next one that must be: losing it in a crash only repeats some work.
    WithTheNext,
}

/// Makes a change within a batch, if there is one.
type Make = Box<dyn FnOnce(Result<&mut Batch<'_>>) -> Answer + Send>;
/// Tells the caller how it ended.
type Answer = Box<dyn FnOnce(Result<()>) + Send>;

struct Job {
    durable: Durable,
    make: Make,
}

/// The handle of the writing thread, which ends when this is dropped.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread on a database in which this was found; `persist` is what [`Durable::Now`]
    /// means.
    pub(super) fn start(
        handle: Handle,
        found: &Found,
        persist: Option<PersistMode>,
    ) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let newest = found.newest.unwrap_or_default();
        // Opening the database synced its journal.
        let watermark = Watermark::open(handle.folder(), newest)?;
        let ledger = Ledger {
            handle,
            persist,
            newest,
            synced: newest,
            watermark,
            failed: None,
        };
        let thread = std::thread::Builder::new()
            .name("store writer".to_owned())
            .spawn(move || ledger.run(waiting))
            .map_err(BackendError::unavailable)?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    pub(super) async fn write<T, C>(&self, durable: Durable, change: C) -> Result<T>
    where
        T: Send + 'static,
        C: FnOnce(&mut Change<'_>) -> Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let make: Make = Box::new(move |batch| {
            let outcome = batch.and_then(|batch| batch.add(change));
            Box::new(move |committed| {
                // The caller may be gone; the change stands all the same.
                let _ = answer.send(committed.and(outcome));
            })
        });
        let jobs = self.jobs.as_ref().expect("only dropping takes it");
        jobs.send(Job { durable, make })
            .await
            .map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Writer {
    /// Waits until everything that was handed over is committed.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the store had panicked");
        }
    }
}

fn stopped() -> BackendError {
    BackendError::Unavailable("the writer of the store has stopped".to_owned())
}

/// What the writing thread knows.
struct Ledger {
    handle: Handle,
    persist: Option<PersistMode>,
    newest: u64,
    /// The newest commit that will outlive whatever happens. What comes behind it may be lost.
    synced: u64,
    watermark: Watermark,
    /// Since a write failed: when the disk is tried next.
    failed: Option<Instant>,
}

impl Ledger {
    fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        while let Some(first) = waiting.blocking_recv() {
            if let Err(error) = self.recover() {
                refuse(first, &error);
                continue;
            }
            let (answers, committed) = self.work(first, &mut waiting);
            if let Err(error) = &committed {
                tracing::error!(%error, changes = answers.len(), "cannot commit");
                self.failed = Some(Instant::now());
            }
            for answer in answers {
                answer(committed.clone());
            }
        }
        self.end();
    }

    /// Gathers what waits into one batch, and commits it.
    fn work(&mut self, first: Job, waiting: &mut mpsc::Receiver<Job>) -> (Vec<Answer>, Result<()>) {
        let mut answers = Vec::new();
        let tables = match self.handle.tables() {
            Ok(tables) => tables,
            Err(error) => {
                refuse(first, &error);
                return (answers, Err(error));
            }
        };
        let mut batch = Batch::new(&tables);
        let mut durable = Durable::WithTheNext;
        let mut next = Some(first);
        while let Some(job) = next {
            if job.durable == Durable::Now {
                durable = Durable::Now;
            }
            answers.push((job.make)(Ok(&mut batch)));
            next = if answers.len() < WAITING_MAX && batch.bytes() < COMMIT_BYTES_MAX {
                waiting.try_recv().ok()
            } else {
                None
            };
        }
        let persist = self.persist.filter(|_| durable == Durable::Now);
        let committed = batch.commit(self.newest, self.synced, persist);
        let committed = committed.map(|newest| self.note(newest, durable));
        (answers, committed)
    }

    fn note(&mut self, newest: u64, durable: Durable) {
        let is_news = newest > self.newest;
        self.newest = newest;
        // In a store that nothing outlives there is nothing to wait for.
        if is_news && (durable == Durable::Now || self.persist.is_none()) {
            self.synced = newest;
            self.watermark.raise(newest);
        }
    }

    /// After a failed write the database takes no other. Once the disk takes what is written to it,
    /// the database is opened anew, without anything that was not synced.
    fn recover(&mut self) -> Result<()> {
        let Some(try_at) = self.failed else {
            return Ok(());
        };
        let refused = || BackendError::Unavailable("the disk takes no writes".to_owned());
        if Instant::now() < try_at {
            return Err(refused());
        }
        self.failed = Some(Instant::now() + TRY_DISK_EVERY);
        if let Err(error) = try_disk(self.handle.folder()) {
            tracing::debug!(%error, "the disk takes no writes yet");
            return Err(refused());
        }
        let found = self.handle.open_anew(self.synced).inspect_err(|error| {
            tracing::error!(%error, "cannot open the database anew");
        })?;
        self.newest = found.newest.unwrap_or_default();
        self.synced = self.newest;
        self.failed = None;
        tracing::info!(commit = self.newest, "the disk takes writes again");
        Ok(())
    }

    fn end(&mut self) {
        let Some(mode) = self.persist else {
            return;
        };
        let tables = self.handle.tables();
        let synced = tables.and_then(|tables| caught(|| tables.database.persist(mode)));
        match synced {
            Ok(()) => self.watermark.raise(self.newest),
            Err(error) => tracing::error!(%error, "cannot sync the store at the end"),
        }
        self.watermark.sync();
    }
}

/// Answers a job that is not done.
fn refuse(job: Job, error: &BackendError) {
    (job.make)(Err(error.clone()))(Ok(()));
}

/// Writes and removes a file that is as large as what may be written next.
fn try_disk(folder: &Path) -> io::Result<()> {
    let path = folder.join("try");
    let write = || {
        let mut file = File::create(&path)?;
        file.write_all(&vec![1; TRY_DISK_BYTES])?;
        file.sync_all()
    };
    let written = write();
    fs::remove_file(&path)?;
    written
}
