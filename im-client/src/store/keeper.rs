//! Tells the store what has changed, many changes at a time, and who waits for it that it is kept.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use im_common::backoff::{Backoff, random_fraction};
use im_common::tasks::Tasks;
use tokio::select;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Change, Contents, Store, StoreError, StoreErrorKind};
use crate::events::EventSender;
use crate::handler::Event;
use crate::outbox::{EndedSends, SharedOutbox};
use crate::positions::Positions;
use crate::threads::run_apart;

/// A disk that is full for a moment is tried again soon.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Seldom enough to harm nobody, soon enough once the store is mended.
const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// So many positions, and so many changes of sends, are saved at once: a disk is waited for ten times
/// only, also with all 10,000 sends that a client can have on their way.
const SAVE_CHANGES_MAX: usize = 1000;
/// A save ends with the send that passes this many bytes of text.
const SAVE_TEXT_BYTES: usize = 1024 * 1024;

/// A store that takes longer has stopped; the client has to end all the same.
const ENDS_WITHIN: Duration = Duration::from_secs(3);

/// What became of a save.
enum Saved {
    Nothing,
    All,
    Failed,
}

/// The task that owns the store of one client.
pub(crate) struct Keeper {
    store: Arc<dyn Store>,
    outbox: Arc<SharedOutbox>,
    positions: Arc<Positions>,
    changed: Arc<Notify>,
    is_failing: bool,
}

impl Keeper {
    /// Goes on from what a store has kept, with sends that end after `timeout` at the latest.
    pub(crate) fn begin(
        store: Arc<dyn Store>,
        contents: Contents,
        timeout: Duration,
    ) -> (Self, EndedSends) {
        let changed = Arc::new(Notify::new());
        let (outbox, ended) = SharedOutbox::restored(contents.sends, timeout, Arc::clone(&changed));
        let positions = Positions::restored(contents.positions, Arc::clone(&changed));
        let keeper = Self {
            store,
            outbox,
            positions: Arc::new(positions),
            changed,
            is_failing: false,
        };
        (keeper, ended)
    }

    pub(crate) fn outbox(&self) -> Arc<SharedOutbox> {
        Arc::clone(&self.outbox)
    }

    pub(crate) fn positions(&self) -> Arc<Positions> {
        Arc::clone(&self.positions)
    }

    /// Starts to tell the store; where it may block, as whoever implements it likes.
    pub(crate) fn start(self, events: EventSender, tasks: &Tasks) -> Keeping {
        let over = CancellationToken::new();
        let run = run_apart(self.run(events, over.clone()));
        Keeping {
            task: tasks.spawn("store", run),
            over: over.drop_guard(),
        }
    }

    /// Runs until the client is over and nothing is left to save, or nothing can be.
    async fn run(mut self, events: EventSender, over: CancellationToken) {
        let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LONGEST);
        loop {
            let is_over = over.is_cancelled();
            match self.save(&events).await {
                Saved::All => backoff.reset(),
                Saved::Nothing | Saved::Failed if is_over => break,
                Saved::Nothing => select! {
                    () = self.changed.notified() => {}
                    () = over.cancelled() => {}
                },
                Saved::Failed => select! {
                    () = sleep(backoff.next(random_fraction())) => {}
                    () = over.cancelled() => {}
                },
            }
        }
        self.positions.end_keeping();
        self.store.close().await;
    }

    /// Saves what is waiting. What a handler has sent is kept before the position of its message, or
    /// together with it: a program that ends in between has done neither.
    async fn save(&mut self, events: &EventSender) -> Saved {
        let positions = self.positions.take_unsaved(SAVE_CHANGES_MAX);
        let mut positions: Vec<_> = positions.into_iter().map(Change::Handled).collect();
        let mut sends = self.outbox.changes_waiting();
        let mut saved = Saved::Nothing;
        while sends > 0 || !positions.is_empty() {
            let count = sends.min(SAVE_CHANGES_MAX);
            let mut changes = self.outbox.take_changes(count, SAVE_TEXT_BYTES);
            sends -= changes.len();
            if sends == 0 {
                changes.append(&mut positions);
            }
            if let Err(error) = self.tell_store(&changes).await {
                self.positions.not_saved(&positions);
                self.tell_program(error, events);
                return Saved::Failed;
            }
            saved = Saved::All;
        }
        saved
    }

    async fn tell_store(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let saving = AssertUnwindSafe(self.store.save(changes)).catch_unwind();
        let saved = saving.await.unwrap_or_else(|_| Err(panicked()));
        match &saved {
            Ok(()) => {
                self.is_failing = false;
                self.positions.saved(changes);
                self.outbox.saved(changes);
            }
            Err(error) => {
                self.positions.not_saved(changes);
                self.outbox.not_saved(changes, error);
            }
        }
        saved
    }

    /// Once, until it works again.
    fn tell_program(&mut self, error: StoreError, events: &EventSender) {
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(%error, "the store fails, messages wait in the cluster");
            events.report(Event::Error(error.into()));
        }
    }
}

/// A keeper at work. It ends with this.
pub(crate) struct Keeping {
    task: JoinHandle<()>,
    over: DropGuard,
}

impl Keeping {
    /// The client is over: lets the rest be saved, and the store be closed.
    pub(crate) async fn finish(self) {
        drop(self.over);
        if timeout(ENDS_WITHIN, self.task).await.is_err() {
            tracing::warn!("the client ends while its store still works");
        }
    }
}

fn panicked() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "the store panicked")
}
