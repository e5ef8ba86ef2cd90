//! The thread that keeps a client attached, and how others wait for what is done there.

use std::future::Future;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use im_common::tasks::Tasks;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::error::{Error, ErrorKind};
use crate::state::ConnectionState;

/// More than closing takes: a second for the handler, another one for the goodbye.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// A runtime on a thread of its own. Dropped without a client, the thread ends at once.
pub(super) struct RuntimeThread {
    handle: Handle,
    end: oneshot::Sender<watch::Receiver<ConnectionState>>,
}

impl RuntimeThread {
    pub(super) fn start() -> Result<Self, Error> {
        let cannot = |error: std::io::Error| {
            let what = format!("cannot start a thread for the client: {error}");
            Error::new(ErrorKind::System, what).because(error)
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(cannot)?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<watch::Receiver<ConnectionState>>();
        let until_end = async move {
            if let Ok(mut state) = ended.await {
                let leaving = state.wait_for(ConnectionState::is_final);
                let _ = timeout(LEAVE_WITHIN, leaving).await;
            }
        };
        let thread = thread::Builder::new().name("im-client".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(until_end);
            // Nobody waits for a name that is still being looked up.
            runtime.shutdown_background();
        });
        thread.map_err(cannot)?;
        Ok(Self { handle, end })
    }

    pub(super) const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends once the client whose state this is has said goodbye.
    pub(super) fn end_after(self, state: watch::Receiver<ConnectionState>) {
        // A thread that has ended already needs no telling.
        let _ = self.end.send(state);
    }
}

/// Blocks until the future is done in that runtime; fails when the runtime has ended.
pub(super) fn wait<T: Send + 'static>(
    runtime: &Handle,
    future: impl Future<Output = T> + Send + 'static,
) -> Result<T, Error> {
    let (done, result) = sync_channel(1);
    let _runtime = runtime.enter();
    drop(Tasks::new().spawn("call", async move {
        // There is room for the one result; nobody can have stopped waiting.
        let _ = done.send(future.await);
    }));
    let closed = |_| Error::new(ErrorKind::Closed, "the client is closed");
    result.recv().map_err(closed)
}
