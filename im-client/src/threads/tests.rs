use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{ThreadId, current};
use std::time::Duration;

use im_common::tasks::Tasks;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::*;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(10);

/// A future that blocks its thread until something is sent.
fn blocker() -> (SyncSender<()>, impl Future<Output = ()> + Send + 'static) {
    let (release, released): (_, Receiver<()>) = sync_channel(1);
    (release, async move {
        let _ = released.recv_timeout(SOON);
    })
}

fn spawn(future: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    Tasks::new().spawn("apart", future)
}

#[tokio::test]
async fn what_blocks_holds_up_nobody_else() {
    let (release, blocking) = blocker();
    let blocked = spawn(run_apart(blocking));
    timeout(SOON, run_apart(async { yield_now().await }))
        .await
        .expect("another one gets a thread");
    release.send(()).unwrap();
    blocked.await.unwrap();
}

#[tokio::test]
async fn tasks_timers_and_blocking_calls_work() {
    let (threads, mut seen) = tokio::sync::mpsc::channel::<ThreadId>(1);
    run_apart(async move {
        let handle = Handle::current();
        tokio::time::sleep(Duration::from_millis(1)).await;
        handle.spawn(yield_now()).await.unwrap();
        // What a worker of the runtime would refuse.
        handle.block_on(yield_now());
        threads.send(current().id()).await.unwrap();
    })
    .await;
    assert_ne!(seen.recv().await, Some(current().id()));
}

#[tokio::test]
async fn a_panic_comes_out() {
    let outcome = AssertUnwindSafe(run_apart(async { panic!("on purpose") }));
    assert!(outcome.catch_unwind().await.is_err());
}

/// Tells when it is dropped.
struct Held(Arc<Notify>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn what_nobody_waits_for_is_dropped() {
    let dropped = Arc::new(Notify::new());
    let held = Held(Arc::clone(&dropped));
    let waiting = spawn(run_apart(async move {
        let _held = held;
        std::future::pending::<()>().await;
    }));
    yield_now().await;
    waiting.abort();
    timeout(SOON, dropped.notified()).await.expect("dropped");

    let held = Held(Arc::clone(&dropped));
    let (begun, (release, blocking)) = (Arc::new(Notify::new()), blocker());
    let telling = Arc::clone(&begun);
    let blocked = spawn(run_apart(async move {
        let _held = held;
        telling.notify_one();
        blocking.await;
        std::future::pending::<()>().await;
    }));
    begun.notified().await;
    blocked.abort();
    assert!(blocked.await.unwrap_err().is_cancelled(), "nobody waits");
    release.send(()).unwrap();
    timeout(SOON, dropped.notified())
        .await
        .expect("by its thread");
}

#[test]
fn a_runtime_ends_although_something_blocks() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let (release, blocking) = blocker();
    let (begun, begins) = sync_channel(1);
    let (ended, ends) = sync_channel::<()>(1);
    runtime.block_on(async {
        let blocked = run_apart(async move {
            let _ended = ended;
            begun.send(()).unwrap();
            blocking.await;
            tokio::time::sleep(Duration::ZERO).await;
        });
        drop(spawn(blocked));
        yield_now().await;
    });
    begins.recv_timeout(SOON).unwrap();
    drop(runtime);
    release.send(()).unwrap();
    assert!(ends.recv_timeout(SOON).is_err(), "dropped, not sent");
}

#[tokio::test]
async fn at_the_bound_others_wait_for_a_thread() {
    static SMALL: Pool = Pool::new(2);
    let ((first, one), (second, two)) = (blocker(), blocker());
    let one = spawn(run_on(&SMALL, one));
    let two = spawn(run_on(&SMALL, two));
    let mut third = spawn(run_on(&SMALL, yield_now()));
    let early = timeout(Duration::from_millis(100), &mut third).await;
    assert!(early.is_err(), "there are two threads");
    first.send(()).unwrap();
    timeout(SOON, third).await.unwrap().unwrap();
    second.send(()).unwrap();
    one.await.unwrap();
    two.await.unwrap();
}

#[tokio::test]
async fn a_task_that_is_woken_while_it_is_polled_is_polled_again() {
    let woken = async {
        for _ in 0..1000 {
            yield_now().await;
        }
    };
    timeout(SOON, run_apart(woken))
        .await
        .expect("not forgotten");
}
