//! How long each user was without a connection.

use std::sync::Arc;
use std::time::Duration;

use im_client::ConnectionState;
use im_common::tasks::Tasks;
use im_tests::history::Actor;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

/// One user's way from one connection to the next.
#[derive(Debug, Clone, Copy)]
struct Outage {
    user: usize,
    lost: Instant,
    /// Missing while it lasts.
    back: Option<Instant>,
}

/// Watches users from its creation until it is dropped.
pub(crate) struct Outages {
    seen: Arc<Mutex<Vec<Outage>>>,
    tasks: Tasks,
}

impl Outages {
    /// Begins to watch.
    pub(crate) fn watch(actors: &[Actor]) -> Self {
        let (seen, tasks) = (Arc::<Mutex<Vec<Outage>>>::default(), Tasks::new());
        for (user, actor) in actors.iter().enumerate() {
            let watching = follow(Arc::clone(&seen), user, actor.state());
            let stop = tasks.token();
            tasks.spawn("outages", async move {
                stop.run_until_cancelled(watching).await;
            });
        }
        Self { seen, tasks }
    }

    /// How long after `fault` each user who lost a connection since was attached for good.
    pub(crate) fn recovered_since(&self, fault: Instant) -> Vec<Duration> {
        let seen = self.seen.lock();
        let mut last = std::collections::HashMap::new();
        for outage in seen.iter() {
            if let Some(back) = outage.back.filter(|&back| back >= fault) {
                last.insert(outage.user, back - fault);
            }
        }
        last.into_values().collect()
    }

    /// How long each interruption since `fault` took, and that of those that last still.
    pub(crate) fn gaps_since(&self, fault: Instant) -> Vec<Duration> {
        let seen = self.seen.lock();
        let since = seen.iter().filter(|outage| outage.lost >= fault);
        since
            .map(|outage| outage.back.unwrap_or_else(Instant::now) - outage.lost)
            .collect()
    }

    /// How many users have lost a connection since `fault`.
    pub(crate) fn lost_since(&self, fault: Instant) -> usize {
        let seen = self.seen.lock();
        let lost = seen.iter().filter(|outage| outage.lost >= fault);
        lost.map(|outage| outage.user)
            .collect::<std::collections::HashSet<_>>()
            .len()
    }
}

impl Drop for Outages {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

async fn follow(
    seen: Arc<Mutex<Vec<Outage>>>,
    user: usize,
    mut state: watch::Receiver<ConnectionState>,
) {
    let mut server = server_in(&state.borrow_and_update());
    let mut lost: Option<usize> = None;
    while state.changed().await.is_ok() {
        let now = Instant::now();
        let current = server_in(&state.borrow_and_update());
        let mut seen = seen.lock();
        match (&current, lost) {
            (None, None) => {
                lost = Some(seen.len());
                let back = None;
                seen.push(Outage {
                    user,
                    lost: now,
                    back,
                });
            }
            (Some(_), Some(at)) => {
                seen[at].back = Some(now);
                lost = None;
            }
            // The next connection stood before the old one was left.
            (Some(_), None) if current != server => {
                let back = Some(now);
                seen.push(Outage {
                    user,
                    lost: now,
                    back,
                });
            }
            _ => {}
        }
        if current.is_some() {
            server = current;
        }
    }
}

fn server_in(state: &ConnectionState) -> Option<String> {
    state.server().map(ToString::to_string)
}

/// The value that `hundredths` of all do not exceed; nothing when there are none.
pub(crate) fn percentile(values: &[Duration], hundredths: usize) -> Option<Duration> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * hundredths).div_ceil(100).max(1) - 1;
    sorted.get(at).copied()
}
