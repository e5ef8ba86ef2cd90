//! Notices calls that do not return.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Longer than a handler takes that answers over a healthy cluster, short enough to tell an
/// operator before users do.
pub(super) const BEHIND_AFTER: Duration = Duration::from_secs(10);

/// Shared by whoever calls the handler and whoever has an eye on it.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    calls: Mutex<Calls>,
    begun: Notify,
}

#[derive(Debug, Default)]
struct Calls {
    /// How many have begun.
    count: u64,
    /// When the one under way began.
    since: Option<Instant>,
    /// The newest one that was told of.
    told: u64,
}

impl Stalls {
    /// A call begins.
    pub(super) fn begin(&self) {
        let mut calls = self.lock();
        calls.count += 1;
        calls.since = Some(Instant::now());
        drop(calls);
        self.begun.notify_one();
    }

    /// It has returned.
    pub(super) fn end(&self) {
        self.lock().since = None;
    }

    /// Resolves once for each call that has not returned in time. For one waiter. Looks at the
    /// clock once in a while, not with every call.
    pub(super) async fn next(&self) {
        loop {
            let Some(late_at) = self.late_at() else {
                self.begun.notified().await;
                continue;
            };
            sleep_until(late_at).await;
            if self.tell(late_at) {
                return;
            }
        }
    }

    /// When the call under way will be late, unless that is told already.
    fn late_at(&self) -> Option<Instant> {
        let calls = self.lock();
        let since = calls.since.filter(|_| calls.told < calls.count)?;
        Some(since + BEHIND_AFTER)
    }

    fn tell(&self, late_at: Instant) -> bool {
        let mut calls = self.lock();
        let is_late = calls
            .since
            .is_some_and(|since| since + BEHIND_AFTER <= late_at);
        if is_late {
            calls.told = calls.count;
        }
        is_late
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
