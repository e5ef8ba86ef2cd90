//! The task that keeps this process's entries in etcd and the list of all nodes in step with it.
//!
//! It lives in rounds. A round begins with a new lease, puts everything that is wanted, takes the
//! full list and follows it; it ends when anything breaks, and the next one begins after a pause.
//! Between rounds the last good list stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{
    Error, EventType, LeaseKeepAliveResponse, LeaseKeepAliveStream, LeaseKeeper, WatchResponse,
    WatchStream,
};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::listing::Listing;
use super::store::{Snapshot, Store};
use super::{ROUTES, RouteList, SERVERS, ServerList, Wanted};
use crate::backend::{BackendError, Result};
use crate::backoff::{Backoff, random_fraction};

/// How long the entries of a process that died stay. Long enough to outlast an election in etcd.
const LEASE: Duration = Duration::from_secs(10);
/// Renewed three times in a lease, so that two renewals may be lost.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// How long an entry that is missing in a full list is kept: its owner notices the loss of its lease
/// within one lease at the latest, then needs a moment to come back.
const GRACE: Duration = Duration::from_secs(12);
/// Pauses between rounds: a blink is over at once, a long outage costs about two tries a second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// After so many rounds that broke in a row, the next begins no sooner than after [`PAUSE_LATER`]:
/// what breaks again and again must not keep etcd busy.
const QUICK_ROUNDS: u32 = 3;
const PAUSE_LATER: Duration = Duration::from_secs(1);
/// A round that broke sooner counts as one more that broke: its watch was refused, perhaps.
const STEADY_AFTER: Duration = Duration::from_secs(5);
/// Longest time that removing the entries may delay the end of the process.
const REVOKE_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Keeper {
    store: Store,
    wanted: watch::Receiver<Wanted>,
    /// What etcd took of it: a value with its lease, or a deletion. As many entries as this process
    /// ever named, which is a handful.
    stored: BTreeMap<String, Option<(String, i64)>>,
    lease: Option<i64>,
    listing: Listing,
    servers: watch::Sender<ServerList>,
    routes: watch::Sender<RouteList>,
}

/// What a round waits for.
struct Round {
    keeper: LeaseKeeper,
    renewals: LeaseKeepAliveStream,
    changes: WatchStream,
    /// When etcd last confirmed the lease.
    renewed: Instant,
}

impl Keeper {
    /// Begins with a list that was just read.
    pub(super) fn new(store: Store, listed: Snapshot, wanted: watch::Receiver<Wanted>) -> Self {
        let mut listing = Listing::default();
        listing.replace(listed.entries, Instant::now(), GRACE);
        let keeper = Self {
            store,
            wanted,
            stored: BTreeMap::new(),
            lease: None,
            listing,
            servers: watch::Sender::default(),
            routes: watch::Sender::default(),
        };
        keeper.publish();
        keeper
    }

    pub(super) fn servers(&self) -> watch::Receiver<ServerList> {
        self.servers.subscribe()
    }

    pub(super) fn routes(&self) -> watch::Receiver<RouteList> {
        self.routes.subscribe()
    }

    /// Runs until it is cancelled, then removes the entries of this process.
    pub(super) async fn run(mut self, cancelled: CancellationToken) {
        cancelled.run_until_cancelled(self.rounds()).await;
        if let Some(lease) = self.lease
            && !matches!(
                timeout(REVOKE_WITHIN, self.store.revoke(lease)).await,
                Ok(Ok(()))
            )
        {
            tracing::warn!("etcd did not take the entries back, they run out by themselves");
        }
    }

    async fn rounds(&mut self) {
        let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
        loop {
            let begun = Instant::now();
            let Err(error) = self.round(backoff.failures()).await;
            if begun.elapsed() >= STEADY_AFTER {
                backoff.reset();
            }
            tracing::warn!(%error, failures = backoff.failures(), "registry lost, coming back");
            tokio::time::sleep(pause(&mut backoff, random_fraction())).await;
        }
    }

    async fn round(&mut self, failures: u32) -> Result<std::convert::Infallible> {
        let mut round = self.begin().await?;
        if failures > 0 {
            tracing::info!("registry found again");
        }
        let mut renewal = interval(RENEW_EVERY);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // Fails once nobody uses the registry: then nothing changes any more.
                Ok(()) = self.wanted.changed() => self.store_wanted().await?,
                _ = renewal.tick() => round.renew().await?,
                renewed = round.renewals.message() => round.take_renewal(renewed)?,
                changes = round.changes.message() => self.take_changes(changes)?,
                () = at(self.listing.next_expiry()) => {
                    self.listing.expire(Instant::now());
                    self.publish();
                }
            }
        }
    }

    async fn begin(&mut self) -> Result<Round> {
        let lease = self.store.grant(LEASE).await.map_err(lost)?;
        self.lease = Some(lease);
        let (keeper, renewals) = self.store.keep_alive(lease).await.map_err(lost)?;
        self.store_wanted().await?;
        let snapshot = self.store.list().await.map_err(lost)?;
        let changes = self
            .store
            .watch(snapshot.revision + 1)
            .await
            .map_err(lost)?;
        self.listing
            .replace(snapshot.entries, Instant::now(), GRACE);
        self.publish();
        Ok(Round {
            keeper,
            renewals,
            changes,
            renewed: Instant::now(),
        })
    }

    /// Puts what is wanted and not stored under this lease; deletes what is not wanted.
    async fn store_wanted(&mut self) -> Result<()> {
        let Some(lease) = self.lease else {
            return Ok(());
        };
        let wanted = self.wanted.borrow_and_update().clone();
        for (key, value) in wanted {
            let due = value.map(|value| (value, lease));
            if self.stored.get(&key) == Some(&due) {
                continue;
            }
            match &due {
                Some((value, lease)) => self.store.put(&key, value, *lease).await,
                None => self.store.delete(&key).await,
            }
            .map_err(lost)?;
            self.stored.insert(key, due);
        }
        Ok(())
    }

    fn take_changes(
        &mut self,
        changes: std::result::Result<Option<WatchResponse>, Error>,
    ) -> Result<()> {
        let changes = changes.map_err(lost)?.ok_or_else(|| ended("watch"))?;
        // Among other reasons: the revision to start from was compacted away meanwhile.
        if changes.canceled() {
            return Err(ended("watch"));
        }
        let mut is_evicted = false;
        for change in changes.events() {
            let Some(entry) = change.kv() else { continue };
            let Some(key) = self.store.key_of(entry.key()) else {
                continue;
            };
            match change.event_type() {
                EventType::Put => self.listing.put(key, entry.value().to_vec()),
                EventType::Delete => {
                    is_evicted |= matches!(self.wanted.borrow().get(&key), Some(Some(_)));
                    self.listing.delete(&key);
                }
            }
        }
        if !changes.events().is_empty() {
            self.publish();
        }
        // Nobody else deletes it: the lease is gone, and another one is needed now.
        if is_evicted {
            self.stored.clear();
            return Err(ended("lease"));
        }
        Ok(())
    }

    fn publish(&self) {
        replace_changed(&self.servers, self.listing.nodes(SERVERS));
        replace_changed(&self.routes, self.listing.nodes(ROUTES));
    }
}

fn pause(backoff: &mut Backoff, random: f64) -> Duration {
    let pause = backoff.next(random);
    if backoff.failures() > QUICK_ROUNDS {
        pause.max(PAUSE_LATER)
    } else {
        pause
    }
}

impl Round {
    async fn renew(&mut self) -> Result<()> {
        // A member without a leader takes the request and never answers it.
        if self.renewed.elapsed() > LEASE {
            return Err(ended("lease"));
        }
        self.keeper.keep_alive().await.map_err(lost)
    }

    fn take_renewal(
        &mut self,
        renewal: std::result::Result<Option<LeaseKeepAliveResponse>, Error>,
    ) -> Result<()> {
        let renewal = renewal.map_err(lost)?.ok_or_else(|| ended("lease"))?;
        // How etcd says that the lease ran out before it was renewed.
        if renewal.ttl() <= 0 {
            return Err(ended("lease"));
        }
        self.renewed = Instant::now();
        Ok(())
    }
}

/// Wakes nobody when the list is what it was.
fn replace_changed<T: PartialEq>(list: &watch::Sender<Arc<Vec<T>>>, nodes: Vec<T>) {
    list.send_if_modified(|list| {
        let is_changed = **list != nodes;
        if is_changed {
            *list = Arc::new(nodes);
        }
        is_changed
    });
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` hands over")]
fn lost(error: Error) -> BackendError {
    BackendError::Unavailable(format!("etcd: {error}"))
}

fn ended(what: &str) -> BackendError {
    BackendError::Unavailable(format!("etcd ended the {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_the_third_broken_round_there_is_at_most_one_in_a_second() {
        let mut backoff = Backoff::new(PAUSE.0, PAUSE.1);
        for _ in 0..QUICK_ROUNDS {
            assert!(pause(&mut backoff, 1.0) < PAUSE_LATER);
        }
        for random in [0.0, 0.5, 1.0] {
            let pause = pause(&mut backoff, random);
            assert!((PAUSE_LATER..=PAUSE.1).contains(&pause), "{pause:?}");
        }
    }
}
