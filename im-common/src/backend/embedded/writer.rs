//! The one thread that writes: it gathers what is waiting, commits it with one sync, then answers.

use std::thread::JoinHandle;

use fjall::PersistMode;
use tokio::sync::{mpsc, oneshot};

use super::batch::{Batch, Change};
use super::{Tables, broken};
use crate::backend::{BackendError, Result};

/// Changes that may wait; further callers wait for a place. Large enough that one sync serves a
/// crowd, small enough that with texts of the largest size they take 32 MiB.
const WAITING_MAX: usize = 512;
/// A commit takes no further change beyond this, so that a crowd of large ones is not kept waiting
/// for all of them.
const COMMIT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// When a change has to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// Before it is answered.
    Now,
    /// Together with the next one that must be: losing it in a crash only repeats some work.
    WithTheNext,
}

/// Makes a change within a batch.
type Make = Box<dyn FnOnce(&mut Batch<'_>) -> Answer + Send>;
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
    /// Starts the thread; `persist` is what [`Durable::Now`] means.
    pub(super) fn start(tables: Tables, persist: Option<PersistMode>) -> Result<Self> {
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("store writer".to_owned())
            .spawn(move || run(&tables, persist, waiting))
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
            let outcome = batch.add(change);
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

fn run(tables: &Tables, persist: Option<PersistMode>, mut waiting: mpsc::Receiver<Job>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut batch = Batch::new(tables);
        let mut answers = Vec::new();
        let mut durable = Durable::WithTheNext;
        let mut next = Some(first);
        while let Some(job) = next {
            if job.durable == Durable::Now {
                durable = Durable::Now;
            }
            answers.push((job.make)(&mut batch));
            next = if answers.len() < WAITING_MAX && batch.bytes() < COMMIT_BYTES_MAX {
                waiting.try_recv().ok()
            } else {
                None
            };
        }
        let committed = batch.commit(persist.filter(|_| durable == Durable::Now));
        if let Err(error) = &committed {
            tracing::error!(%error, changes = answers.len(), "cannot commit");
        }
        for answer in answers {
            answer(committed.clone());
        }
    }
    let last = persist.map_or(Ok(()), |mode| tables.database.persist(mode));
    if let Err(error) = last {
        tracing::error!(error = %broken(&error), "cannot sync the store at the end");
    }
}
