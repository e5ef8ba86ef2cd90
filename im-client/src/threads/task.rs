//! A future and where it stands: it is polled by one thread at a time, and only after it was woken.

use std::future::Future;
use std::mem::replace;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

use tokio::runtime::Handle;

use super::pool::Pool;

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A future that runs on the threads of a pool.
pub(super) struct Task {
    pool: &'static Pool,
    runtime: Handle,
    stage: Mutex<Stage>,
}

enum Stage {
    /// Nothing to do before it is woken.
    Waiting(Boxed),
    /// In the queue of the pool.
    Queued(Boxed),
    /// A thread has it; woken meanwhile, it is queued again afterwards.
    Polled { is_woken: bool },
    /// Done, or abandoned.
    Over,
}

impl Task {
    pub(super) fn new(
        pool: &'static Pool,
        runtime: Handle,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            pool,
            runtime,
            stage: Mutex::new(Stage::Waiting(Box::pin(future))),
        })
    }

    /// Queues it for the first time.
    pub(super) fn start(self: Arc<Self>) {
        self.wake();
    }

    /// The runtime that it belongs to.
    pub(super) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Polls it once, on a thread of the pool.
    pub(super) fn take_turn(self: Arc<Self>) {
        // Outlives the future, whose destructors may want it too.
        let _runtime = self.runtime.enter();
        let Some(mut future) = self.begin_turn() else {
            return;
        };
        let waker = Waker::from(Arc::clone(&self));
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_pending() {
            self.end_turn(future);
        } else {
            self.abandon();
        }
    }

    /// Drops the future, unless a thread is polling it, which then drops it.
    pub(super) fn abandon(&self) {
        // Dropped outside of the lock: what it holds may wake this very task.
        let stage = replace(&mut *self.lock(), Stage::Over);
        drop(stage);
    }

    fn begin_turn(&self) -> Option<Boxed> {
        let mut stage = self.lock();
        match replace(&mut *stage, Stage::Polled { is_woken: false }) {
            Stage::Queued(future) => Some(future),
            other => {
                *stage = other;
                None
            }
        }
    }

    fn end_turn(self: Arc<Self>, future: Boxed) {
        let mut stage = self.lock();
        match *stage {
            Stage::Polled { is_woken: true } => *stage = Stage::Queued(future),
            Stage::Polled { is_woken: false } => {
                *stage = Stage::Waiting(future);
                return;
            }
            _ => return,
        }
        drop(stage);
        self.pool.push(Arc::clone(&self));
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let mut stage = self.lock();
        match replace(&mut *stage, Stage::Over) {
            Stage::Waiting(future) => *stage = Stage::Queued(future),
            other => {
                let is_polled = matches!(other, Stage::Polled { .. });
                *stage = if is_polled {
                    Stage::Polled { is_woken: true }
                } else {
                    other
                };
                return;
            }
        }
        drop(stage);
        self.pool.push(Arc::clone(&self));
    }
}
