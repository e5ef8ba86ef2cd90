//! A few threads and the queue of those that have something to do. Threads come when they are
//! needed and go when they are not; the end of the program waits for none of them.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

use super::task::Task;

/// The next message often follows soon; a thread that waited so long in vain ends.
const IDLE_FOR: Duration = Duration::from_secs(5);
/// A system that has no thread to give now may have one then.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Pool {
    threads_max: usize,
    queue: Mutex<Queue>,
    pushed: Condvar,
}

struct Queue {
    /// Each task is in here once at most.
    tasks: VecDeque<Arc<Task>>,
    threads: usize,
    /// How many of the threads will look into the queue without anything else happening first.
    idle: usize,
}

impl Pool {
    pub(super) const fn new(threads_max: usize) -> Self {
        Self {
            threads_max,
            queue: Mutex::new(Queue {
                tasks: VecDeque::new(),
                threads: 0,
                idle: 0,
            }),
            pushed: Condvar::new(),
        }
    }

    /// Queues a task. There is a thread for each in the queue, as far as the bound allows, so that
    /// none waits for one that blocks.
    pub(super) fn push(&'static self, task: Arc<Task>) {
        let runtime = task.runtime().clone();
        self.lock().tasks.push_back(task);
        self.reinforce(&runtime);
    }

    /// Starts a thread if the queue has more tasks than threads that will take them.
    fn reinforce(&'static self, runtime: &Handle) {
        let mut queue = self.lock();
        if queue.tasks.len() <= queue.idle || queue.threads >= self.threads_max {
            self.pushed.notify_one();
            return;
        }
        queue.threads += 1;
        queue.idle += 1;
        drop(queue);
        let thread = thread::Builder::new().name("im-handler".to_owned());
        if let Err(error) = thread.spawn(|| self.work()) {
            tracing::error!(%error, "no thread for a handler, trying again");
            let mut queue = self.lock();
            queue.threads -= 1;
            queue.idle -= 1;
            let retrying = runtime.clone();
            runtime.spawn(async move {
                sleep(RETRY_AFTER).await;
                self.reinforce(&retrying);
            });
        }
    }

    fn work(&self) {
        while let Some(task) = self.next() {
            // Panics of handlers are caught where they are called: this is about destructors.
            if catch_unwind(AssertUnwindSafe(|| task.take_turn())).is_err() {
                tracing::error!("what a handler held panicked when it was dropped");
            }
            self.lock().idle += 1;
        }
    }

    /// The next task for a thread that counts as idle; `None` once it has waited in vain.
    fn next(&self) -> Option<Arc<Task>> {
        let mut queue = self.lock();
        loop {
            if let Some(task) = queue.tasks.pop_front() {
                queue.idle -= 1;
                return Some(task);
            }
            let waited = self.pushed.wait_timeout(queue, IDLE_FOR);
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            if timeout.timed_out() && queue.tasks.is_empty() {
                queue.idle -= 1;
                queue.threads -= 1;
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
