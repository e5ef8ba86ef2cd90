//! What waits to be written to one connection.
//!
//! Filled by pushes from any task, drained by the connection's own. Bounded: a connection that
//! cannot keep up falls behind, and its client is told to look into the logs instead.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use futures::task::AtomicWaker;
use im_common::code::Code;
use im_common::planted::{Bug, is_planted};
use parking_lot::Mutex;

/// More than a client that reads at all ever has waiting.
pub(crate) const QUEUE_FRAMES_MAX: usize = 256;
/// What one slow client may hold of the server's memory.
pub(crate) const QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It will be written.
    Queued,
    /// It was dropped; the client will be told to look into its logs.
    Behind,
}

/// The queue of one connection, and the orders given to it. Costs no heap while it is empty.
#[derive(Debug, Default)]
pub(crate) struct Outbound {
    state: Mutex<State>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Bytes>,
    bytes: usize,
    behind: bool,
    close: Option<Code>,
}

impl State {
    fn is_idle(&self) -> bool {
        self.frames.is_empty() && !self.behind
    }
}

impl Outbound {
    /// Queues a delivery, or drops it when the queue is full or has dropped one already.
    pub(crate) fn push(&self, frame: Bytes) -> Pushed {
        let mut state = self.state.lock();
        let was_idle = state.is_idle();
        let has_room =
            state.frames.len() < QUEUE_FRAMES_MAX && state.bytes + frame.len() <= QUEUE_BYTES_MAX;
        let pushed = if has_room && !state.behind {
            state.bytes += frame.len();
            state.frames.push_back(frame);
            Pushed::Queued
        } else {
            state.behind = !is_planted(Bug::DropSilently);
            Pushed::Behind
        };
        drop(state);
        if was_idle {
            self.waker.wake();
        }
        pushed
    }

    /// Queues a notice beyond the limit; the server sends at most one to each connection.
    pub(crate) fn notice(&self, frame: Bytes) {
        let mut state = self.state.lock();
        state.bytes += frame.len();
        state.frames.push_back(frame);
        drop(state);
        self.waker.wake();
    }

    /// Has the client told to look into its logs.
    pub(crate) fn fall_behind(&self) {
        self.state.lock().behind = true;
        self.waker.wake();
    }

    /// Orders the connection to close. The first order stands.
    pub(crate) fn close(&self, code: Code) {
        self.state.lock().close.get_or_insert(code);
        self.waker.wake();
    }

    /// Resolves once the connection was ordered to close. Cancel-safe; for the connection's own
    /// task only.
    pub(crate) async fn closed(&self) -> Code {
        poll_fn(|context| {
            self.waker.register(context.waker());
            self.state.lock().close.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Resolves once there is something to take. Cancel-safe; for the connection's own task only.
    pub(crate) async fn ready(&self) {
        poll_fn(|context| {
            self.waker.register(context.waker());
            if self.state.lock().is_idle() {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
    }

    /// Moves everything queued behind `frames`; returns whether deliveries were dropped since the
    /// last time.
    pub(crate) fn take(&self, frames: &mut VecDeque<Bytes>) -> bool {
        let mut state = self.state.lock();
        if frames.is_empty() {
            std::mem::swap(frames, &mut state.frames);
        } else {
            frames.append(&mut state.frames);
        }
        state.bytes = 0;
        std::mem::take(&mut state.behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize) -> Bytes {
        Bytes::from(vec![7; length])
    }

    #[test]
    fn the_frame_that_does_not_fit_is_dropped_and_so_is_what_follows() {
        let outbound = Outbound::default();
        for _ in 0..QUEUE_FRAMES_MAX {
            assert_eq!(outbound.push(frame(1)), Pushed::Queued);
        }
        assert_eq!(outbound.push(frame(1)), Pushed::Behind);
        let mut taken = VecDeque::new();
        assert!(outbound.take(&mut taken));
        assert_eq!(taken.len(), QUEUE_FRAMES_MAX);
        assert_eq!(outbound.push(frame(1)), Pushed::Queued);
        assert!(!outbound.take(&mut taken));
    }

    #[test]
    fn bytes_are_bounded_as_well_as_frames() {
        let outbound = Outbound::default();
        assert_eq!(outbound.push(frame(QUEUE_BYTES_MAX)), Pushed::Queued);
        assert_eq!(outbound.push(frame(1)), Pushed::Behind);
        assert!(outbound.take(&mut VecDeque::new()));
        assert_eq!(outbound.push(frame(QUEUE_BYTES_MAX - 1)), Pushed::Queued);
        assert_eq!(outbound.push(frame(1)), Pushed::Queued);
        assert_eq!(outbound.push(frame(1)), Pushed::Behind);
        assert_eq!(
            outbound.push(frame(0)),
            Pushed::Behind,
            "nothing may be queued behind a gap"
        );
    }

    #[tokio::test]
    async fn the_first_order_to_close_stands() {
        let outbound = Outbound::default();
        outbound.close(Code::DISPLACED);
        outbound.close(Code::GOING_AWAY);
        assert_eq!(outbound.closed().await, Code::DISPLACED);
    }
}
