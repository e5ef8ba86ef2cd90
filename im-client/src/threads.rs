//! Runs what integrators wrote on threads of its own, where it may block.
//!
//! A handler that sleeps or computes on a worker of the runtime would hold up whatever that worker
//! has to do next: a heartbeat, another client, on a small runtime everything. Here it holds up
//! nothing but itself. A thread is taken only while something is being polled, so a handler that
//! waits as asynchronous code does costs none, and neither does a client that is idle.

mod pool;
mod task;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::Instrument;

use pool::Pool;
use task::Task;

/// More handlers than any program has that block at the same time. When there are more, they wait
/// until a thread is free; connections go on all the same.
const THREADS_MAX: usize = 256;

static POOL: Pool = Pool::new(THREADS_MAX);

/// Runs a future on these threads, inside of the runtime of the caller: tasks, timers and sockets
/// are that runtime's. A panic comes out here.
///
/// Whoever drops this, as a runtime does that ends, drops the future too; if a thread is polling it
/// at that moment, that thread drops it afterwards, and nobody waits for it.
pub(crate) async fn run_apart(future: impl Future<Output = ()> + Send + 'static) {
    run_on(&POOL, future).await;
}

async fn run_on(pool: &'static Pool, future: impl Future<Output = ()> + Send + 'static) {
    let (ended, end) = oneshot::channel();
    let future = async move {
        let outcome = AssertUnwindSafe(future).catch_unwind().await;
        // Nobody listens when it was abandoned meanwhile.
        let _ = ended.send(outcome);
    };
    let task = Task::new(pool, Handle::current(), future.in_current_span());
    let abandoned = AbandonOnDrop(Arc::clone(&task));
    task.start();
    if let Ok(Err(panic)) = end.await {
        resume_unwind(panic);
    }
    drop(abandoned);
}

struct AbandonOnDrop(Arc<Task>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
