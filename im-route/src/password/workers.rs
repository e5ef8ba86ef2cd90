//! Threads that do nothing but hash.
//!
//! Each keeps the memory that a hash needs. Taken from an allocator for each hash, on the many
//! threads of blocking tasks, hundreds of megabytes would stay after a rush of logins.

use std::num::NonZeroUsize;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::hasher::Hasher;

/// With two workers the last of these waits some six seconds; one more is refused.
const WAITING_MAX: usize = 512;

type Job = Box<dyn FnOnce(&mut Hasher) + Send>;

/// A fixed number of threads. They end when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Workers {
    jobs: mpsc::Sender<Job>,
}

/// More work is waiting than can be done soon, or the threads are gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overloaded;

impl Workers {
    pub(super) fn start(count: NonZeroUsize) -> std::io::Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 1..=count.get() {
            let waiting = Arc::clone(&waiting);
            let work = move || {
                let mut hasher = Hasher::default();
                // One thread waits for a job, the others for its place.
                while let Some(job) = { waiting.lock().blocking_recv() } {
                    job(&mut hasher);
                }
            };
            std::thread::Builder::new()
                .name(format!("hash {number}"))
                .spawn(work)?;
        }
        Ok(Self { jobs })
    }

    /// Does some work in its turn. When the returned future is dropped, it may be done all the same.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, Overloaded>
    where
        T: Send + 'static,
        F: FnOnce(&mut Hasher) -> T + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |hasher| {
            // The caller may be gone, and then nothing needs hashing.
            if !answer.is_closed() {
                answer.send(work(hasher)).ok();
            }
        });
        self.jobs.try_send(job).map_err(|_| Overloaded)?;
        answered.await.map_err(|_| Overloaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_beyond_the_queue_is_refused_and_the_rest_is_done() {
        let workers = Workers::start(NonZeroUsize::new(1).unwrap()).unwrap();
        let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
        let blocked = workers.run(move |_| held.recv().is_ok());
        tokio::pin!(blocked);
        assert!(futures::poll!(blocked.as_mut()).is_pending());
        let mut refused = 0;
        let waiting: Vec<_> = (0..WAITING_MAX + 2)
            .map(|number| Box::pin(workers.run(move |_| number)))
            .collect();
        let mut accepted = Vec::new();
        for mut work in waiting {
            match futures::poll!(work.as_mut()) {
                std::task::Poll::Ready(Err(Overloaded)) => refused += 1,
                _ => accepted.push(work),
            }
        }
        // The thread may or may not have taken the first job off the queue by then.
        assert!((2..=3).contains(&refused), "{refused}");
        release.send(()).unwrap();
        assert_eq!(blocked.await, Ok(true));
        for work in accepted {
            assert!(work.await.is_ok());
        }
    }
}
