//! The outbox between those who send, the connection that offers, and the clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use im_common::message::{Position, Receipt, Submission};
use im_common::wire;
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::line::{Line, Waiting};
use super::{Answer, Forked, Outbox, Refused};
use crate::sending::{SendError, Sending};

/// Sends without an answer: at most this many are in the outbox, further ones wait for room in line.
const UNANSWERED_MAX: usize = 10_000;

/// A send on its way into the outbox.
#[derive(Debug)]
pub(crate) struct NewSend {
    pub(crate) submission: Submission,
    pub(crate) deadline: Instant,
}

/// All sends of one client: those that have room, and those that wait for it behind them.
#[derive(Debug)]
pub(super) struct Sends {
    pub(super) outbox: Outbox,
    line: Line,
}

/// The place of a send in the line, given up when its handle is dropped.
struct Place {
    shared: Arc<SharedOutbox>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.lock().line.leave(self.number);
    }
}

/// The outbox of one client. Its locks are held within single methods only.
#[derive(Debug)]
pub(crate) struct SharedOutbox {
    sends: Mutex<Sends>,
    pub(super) room: Arc<Semaphore>,
    /// Wakes the connection: something can be offered.
    pub(super) offerable: Notify,
    /// Wakes the clock: there is a deadline.
    pushed: Notify,
    /// Wakes who tells the store; `None` where there is none.
    changed: Option<Arc<Notify>>,
    oldest: watch::Sender<u64>,
}

impl SharedOutbox {
    pub(crate) fn new() -> Self {
        let outbox = Outbox::new();
        let oldest = watch::Sender::new(outbox.oldest());
        Self {
            sends: Mutex::new(Sends {
                outbox,
                line: Line::default(),
            }),
            room: Arc::new(Semaphore::new(UNANSWERED_MAX)),
            offerable: Notify::new(),
            pushed: Notify::new(),
            changed: None,
            oldest,
        }
    }

    /// Wakes that one, too, when there is something to tell the store.
    pub(super) fn telling(self, changed: Arc<Notify>) -> Self {
        let changed = Some(changed);
        Self { changed, ..self }
    }

    /// Puts a send in its place at once: in the outbox, or in the line before it when there is no
    /// room. Who waits in line leaves it when the handle is dropped.
    pub(crate) fn start(self: &Arc<Self>, send: NewSend) -> Sending {
        let id = send.submission.id;
        let (sender, outcome) = oneshot::channel();
        let mut place = None;
        self.change(|sends| {
            let number = sends.line.push(Waiting {
                send,
                outcome: sender,
            });
            self.admit(sends);
            place = (!sends.line.is_empty()).then(|| Place {
                shared: Arc::clone(self),
                number,
            });
        });
        self.pushed.notify_one();
        Sending::new(id, async {
            let _place = place;
            outcome.await.unwrap_or(Err(SendError::Closed))
        })
    }

    /// See [`Outbox::offers`].
    pub(crate) fn offers(&self, in_flight_max: usize) -> Vec<wire::Submit> {
        self.lock().outbox.offers(in_flight_max, Instant::now())
    }

    /// See [`Outbox::resume_at`].
    pub(crate) fn resume_at(&self) -> Option<Instant> {
        self.lock().outbox.resume_at()
    }

    /// See [`Outbox::accepted`].
    pub(crate) fn accepted(&self, receipt: Receipt) {
        self.change(|sends| sends.outbox.accepted(receipt, Instant::now()));
    }

    /// See [`Outbox::forked`].
    pub(crate) fn forked(&self, forked: &Forked) {
        self.change(|sends| sends.outbox.forked(forked, Instant::now()));
        self.pushed.notify_one();
    }

    /// See [`Outbox::forked_unseen`].
    pub(crate) fn forked_unseen(&self, position: &Position) {
        self.change(|sends| sends.outbox.forked_unseen(position, Instant::now()));
        self.pushed.notify_one();
    }

    /// See [`Outbox::refused`].
    pub(crate) fn refused(&self, refused: Refused, random: f64) {
        self.change(|sends| sends.outbox.refused(refused, Instant::now(), random));
    }

    /// See [`Outbox::rewind`].
    pub(crate) fn rewind(&self) {
        self.change(|sends| sends.outbox.rewind());
    }

    /// See [`Outbox::close`]. Those in line follow: a closed outbox has room for all, and ends them.
    pub(crate) fn close(&self) {
        self.change(|sends| sends.outbox.close());
    }

    /// Resolves when something new can be offered. Cancel-safe; for one waiter.
    pub(crate) async fn offerable(&self) {
        self.offerable.notified().await;
    }

    /// Resolves when every send that was in the outbox at the time of the call has ended.
    pub(crate) async fn flush(&self) {
        let end = self.lock().outbox.next_number();
        let mut oldest = self.oldest.subscribe();
        // The sender lives in `self`, so the channel cannot close while this waits.
        let _ = oldest.wait_for(|oldest| *oldest >= end).await;
    }

    /// Ends sends whose deadline passes. Never resolves; cancel-safe.
    pub(crate) async fn watch_deadlines(&self) {
        loop {
            let deadline = self.lock().next_deadline();
            match deadline {
                Some(deadline) => {
                    sleep_until(deadline).await;
                    self.change(|sends| sends.expire(Instant::now()));
                }
                None => self.pushed.notified().await,
            }
        }
    }

    /// Puts those who wait into the outbox, in order, as far as there is room.
    fn admit(&self, sends: &mut Sends) {
        while !sends.line.is_empty() {
            let Ok(room) = Arc::clone(&self.room).try_acquire_owned() else {
                return;
            };
            let Some(Waiting { send, outcome }) = sends.line.pop() else {
                return;
            };
            let answer = Answer::new(outcome, Some(room));
            sends.outbox.push(send.submission, send.deadline, answer);
            self.offerable.notify_one();
        }
    }

    /// Changes the sends, fills the room that this made, then tells those who flush.
    pub(super) fn change(&self, act: impl FnOnce(&mut Sends)) {
        let mut sends = self.lock();
        act(&mut sends);
        self.admit(&mut sends);
        if let Some(changed) = &self.changed
            && sends.outbox.journal.len() > 0
        {
            changed.notify_one();
        }
        let now_oldest = sends.outbox.oldest();
        self.oldest.send_if_modified(|oldest| {
            let moved = *oldest != now_oldest;
            *oldest = now_oldest;
            moved
        });
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Sends> {
        self.sends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sends {
    fn expire(&mut self, now: Instant) {
        // Those in line first, or the room that others leave would be given to the late.
        self.line.expire(now);
        self.outbox.expire(now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let both = [self.outbox.next_deadline(), self.line.next_deadline()];
        both.into_iter().flatten().min()
    }
}

/// The deadline of a send that begins now.
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    let now = Instant::now();
    // Thirty years stand for "never" where the sum cannot be represented.
    now.checked_add(timeout)
        .unwrap_or_else(|| now + Duration::from_secs(30 * 365 * 86_400))
}
