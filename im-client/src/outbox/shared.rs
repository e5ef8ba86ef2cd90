//! The outbox between those who send, the connection that offers, and the clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use im_common::message::{Position, Receipt, Submission};
use im_common::wire;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::{Answer, Forked, Outbox, Outcome, Refused};
use crate::sending::{SendError, Sending};

/// Sends without an answer: at most this many are held in memory, further ones wait for room.
const UNANSWERED_MAX: usize = 10_000;

/// A send on its way into the outbox.
#[derive(Debug)]
pub(crate) struct NewSend {
    pub(crate) submission: Submission,
    pub(crate) deadline: Instant,
}

/// The outbox of one client. Its locks are held within single methods only.
#[derive(Debug)]
pub(crate) struct SharedOutbox {
    outbox: Mutex<Outbox>,
    room: Arc<Semaphore>,
    /// Wakes the connection: something can be offered.
    offerable: Notify,
    /// Wakes the clock: there is a deadline.
    pushed: Notify,
    oldest: watch::Sender<u64>,
}

impl SharedOutbox {
    pub(crate) fn new() -> Self {
        let outbox = Outbox::new();
        let oldest = watch::Sender::new(outbox.oldest());
        Self {
            outbox: Mutex::new(outbox),
            room: Arc::new(Semaphore::new(UNANSWERED_MAX)),
            offerable: Notify::new(),
            pushed: Notify::new(),
            oldest,
        }
    }

    /// Puts a send in its place at once; when there is no room, its handle waits for some.
    pub(crate) fn start(self: &Arc<Self>, send: NewSend) -> Sending {
        let id = send.submission.id;
        match Arc::clone(&self.room).try_acquire_owned() {
            Ok(room) => {
                let outcome = self.put(send, room);
                Sending::new(id, async {
                    outcome.await.unwrap_or(Err(SendError::Closed))
                })
            }
            Err(_) => Sending::new(id, Arc::clone(self).start_later(send)),
        }
    }

    /// Waits for room, then for the outcome. Sends that wait get room in the order in which they
    /// were first polled.
    async fn start_later(self: Arc<Self>, send: NewSend) -> Outcome {
        let acquired = Arc::clone(&self.room).acquire_owned();
        let room = match tokio::time::timeout_at(send.deadline, acquired).await {
            Ok(Ok(room)) => room,
            Ok(Err(_)) => return Err(SendError::Closed),
            Err(_) => return Err(SendError::Unknown),
        };
        let outcome = self.put(send, room);
        outcome.await.unwrap_or(Err(SendError::Closed))
    }

    /// See [`Outbox::offers`].
    pub(crate) fn offers(&self, in_flight_max: usize) -> Vec<wire::Submit> {
        self.lock().offers(in_flight_max, Instant::now())
    }

    /// See [`Outbox::resume_at`].
    pub(crate) fn resume_at(&self) -> Option<Instant> {
        self.lock().resume_at()
    }

    /// See [`Outbox::accepted`].
    pub(crate) fn accepted(&self, receipt: Receipt) {
        self.change(|outbox| outbox.accepted(receipt, Instant::now()));
    }

    /// See [`Outbox::forked`].
    pub(crate) fn forked(&self, forked: &Forked) {
        self.change(|outbox| outbox.forked(forked, Instant::now()));
        self.pushed.notify_one();
    }

    /// See [`Outbox::forked_unseen`].
    pub(crate) fn forked_unseen(&self, position: &Position) {
        self.change(|outbox| outbox.forked_unseen(position, Instant::now()));
        self.pushed.notify_one();
    }

    /// See [`Outbox::refused`].
    pub(crate) fn refused(&self, refused: Refused, random: f64) {
        self.change(|outbox| outbox.refused(refused, Instant::now(), random));
    }

    /// See [`Outbox::rewind`].
    pub(crate) fn rewind(&self) {
        self.change(Outbox::rewind);
    }

    /// See [`Outbox::close`].
    pub(crate) fn close(&self) {
        self.room.close();
        self.change(Outbox::close);
    }

    /// Resolves when something new can be offered. Cancel-safe; for one waiter.
    pub(crate) async fn offerable(&self) {
        self.offerable.notified().await;
    }

    /// Resolves when every send that was in the outbox at the time of the call has ended.
    pub(crate) async fn flush(&self) {
        let end = self.lock().next_number();
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
                    self.change(|outbox| outbox.expire(Instant::now()));
                }
                None => self.pushed.notified().await,
            }
        }
    }

    fn put(&self, send: NewSend, room: OwnedSemaphorePermit) -> oneshot::Receiver<Outcome> {
        let (sender, outcome) = oneshot::channel();
        let answer = Answer::new(sender, Some(room));
        self.change(|outbox| outbox.push(send.submission, send.deadline, answer));
        self.offerable.notify_one();
        self.pushed.notify_one();
        outcome
    }

    /// Changes the outbox, then tells those who flush.
    fn change(&self, act: impl FnOnce(&mut Outbox)) {
        let mut outbox = self.lock();
        act(&mut outbox);
        let now_oldest = outbox.oldest();
        self.oldest.send_if_modified(|oldest| {
            let moved = *oldest != now_oldest;
            *oldest = now_oldest;
            moved
        });
    }

    fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The deadline of a send that begins now.
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    let now = Instant::now();
    // Thirty years stand for "never" where the sum cannot be represented.
    now.checked_add(timeout)
        .unwrap_or_else(|| now + Duration::from_secs(30 * 365 * 86_400))
}
