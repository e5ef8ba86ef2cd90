//! The one place where tasks start: named, counted, awaited at shutdown.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// The tasks of one node. Clones share them.
///
/// A task that panics is logged and cancels all others: a node that has lost a part of itself
/// stops, so that a supervisor restarts it whole.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    cancelled: CancellationToken,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Tasks {
    /// Returns an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. It runs until it ends by itself: long ones watch [`Tasks::cancelled`].
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let counted = Counted::new(name, Arc::clone(&self.running));
        let cancelled = self.cancelled.clone();
        let task = async move {
            let _counted = counted;
            if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                tracing::error!(task = name, "task panicked, stopping");
                cancelled.cancel();
            }
        };
        #[expect(clippy::disallowed_methods, reason = "the one place where tasks start")]
        tokio::spawn(self.tracker.track_future(task.in_current_span()))
    }

    /// Asks all tasks to end.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Resolves once [`Tasks::cancel`] was called or a task panicked. Cancel-safe.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        self.cancelled.cancelled()
    }

    /// A token that is cancelled together with these tasks.
    pub fn token(&self) -> CancellationToken {
        self.cancelled.child_token()
    }

    /// Cancels, then waits until every task has ended; names those that have not in time.
    pub async fn wait(&self, deadline: Duration) -> Result<(), StillRunning> {
        self.cancel();
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait())
            .await
            .map_err(|_| StillRunning(self.names()))
    }

    /// How many tasks are running.
    pub fn count(&self) -> usize {
        self.tracker.len()
    }

    fn names(&self) -> Vec<&'static str> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.keys().copied().collect()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tasks").field(&self.names()).finish()
    }
}

/// Tasks that did not end within the deadline, by name.
#[derive(Debug, thiserror::Error)]
#[error("still running: {}", .0.join(", "))]
pub struct StillRunning(Vec<&'static str>);

/// Counts a task for as long as it lives, however it ends.
struct Counted {
    name: &'static str,
    running: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Counted {
    fn new(name: &'static str, running: Arc<Mutex<BTreeMap<&'static str, usize>>>) -> Self {
        *running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name)
            .or_default() += 1;
        Self { name, running }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_names_the_tasks_that_do_not_end() {
        let tasks = Tasks::new();
        tasks.spawn("obedient", {
            let tasks = tasks.clone();
            async move { tasks.cancelled().await }
        });
        tasks.spawn("stubborn", std::future::pending());
        let error = tasks.wait(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(error.to_string(), "still running: stubborn");
    }

    #[tokio::test]
    async fn a_panic_stops_the_others() {
        let tasks = Tasks::new();
        tasks.spawn("broken", async { panic!("on purpose") });
        tasks.cancelled().await;
        tasks.wait(Duration::from_secs(5)).await.unwrap();
        assert_eq!(tasks.count(), 0);
    }
}
