//! Where the tasks of a node run.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::{interval, timeout};

/// Tasks of a node that has stopped only have to be told so.
const TASKS_END_WITHIN: Duration = Duration::from_secs(5);

/// Among the test's own tasks, or apart from them, where they can be ended like a process.
pub(super) enum Home {
    Here,
    Apart(Apart),
}

/// A runtime that is never waited for, since it is dropped by tasks of another one.
pub(super) struct Apart(Option<Runtime>);

impl Home {
    /// A runtime named as the thread that asks, so that a panic can be traced to its test.
    pub(super) fn apart() -> Self {
        let name = std::thread::current().name().unwrap_or("node").to_owned();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build();
        Self::Apart(Apart(Some(runtime.expect("a runtime starts"))))
    }

    /// Runs something there to its end.
    pub(super) async fn run<F>(&self, future: F) -> F::Output
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        match self {
            Self::Here => future.await,
            Self::Apart(apart) => apart.runtime().spawn(future).await.expect("no panic"),
        }
    }

    /// Tasks that this starts run there.
    pub(super) fn enter<T>(&self, start: impl FnOnce() -> T) -> T {
        match self {
            Self::Here => start(),
            Self::Apart(apart) => {
                let _there = apart.runtime().enter();
                start()
            }
        }
    }

    /// After a node has stopped: how many of its tasks go on all the same.
    pub(super) async fn leave(self) -> usize {
        let Self::Apart(apart) = self else { return 0 };
        let metrics = apart.runtime().metrics();
        let mut look = interval(Duration::from_millis(10));
        let ended = async {
            while metrics.num_alive_tasks() > 0 {
                look.tick().await;
            }
        };
        timeout(TASKS_END_WITHIN, ended).await.ok();
        metrics.num_alive_tasks()
    }

    /// Ends everything at once: tasks where they wait, sockets without a word.
    pub(super) fn crash(self) {
        assert!(matches!(self, Self::Apart(_)), "the test would end itself");
    }
}

impl Apart {
    fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
