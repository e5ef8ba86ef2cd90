//! How far the handler is in each conversation: what is acked, and what a reconnect tells.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use im_common::id::{ConversationId, LogEpoch, Sequence};
use im_common::message::Position;
use tokio::sync::Notify;

use crate::store::Change;

/// Shared by the handler's task, which moves positions on, and the connection, which acks them.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    marks: Mutex<Marks>,
    progress: Notify,
    /// Wakes who tells the store; `None` where there is none.
    changed: Option<Arc<Notify>>,
}

#[derive(Debug, Default)]
struct Marks {
    by_conversation: HashMap<ConversationId, Mark>,
    unacked: Vec<ConversationId>,
    changes: u64,
    /// Handled, and not yet in the hands of the store.
    unsaved: VecDeque<Position>,
    /// How many are not kept yet, here or in the hands of the store.
    unsaved_count: usize,
    /// Waits until all are.
    waits: Option<Waker>,
    /// Nothing is kept any more: the client has ended.
    is_over: bool,
}

#[derive(Debug)]
struct Mark {
    epoch: LogEpoch,
    sequence: Sequence,
    /// Orders marks by when they changed last.
    changed: u64,
    is_unacked: bool,
}

impl Positions {
    /// Those that an earlier program has kept. They are acked once more: its last ack may have been
    /// lost.
    pub(crate) fn restored(positions: Vec<Position>, changed: Arc<Notify>) -> Self {
        let mut marks = Marks::default();
        positions
            .into_iter()
            .for_each(|position| marks.note(position));
        Self {
            marks: Mutex::new(marks),
            progress: Notify::new(),
            changed: Some(changed),
        }
    }

    /// Notes that everything up to here is handled. With a store it counts once it is kept. The
    /// connection is told when there was nothing to ack before: it looks by itself after each ack.
    pub(crate) fn handled(&self, position: Position) {
        let mut marks = self.lock();
        match &self.changed {
            Some(changed) => {
                marks.unsaved.push_back(position);
                marks.unsaved_count += 1;
                changed.notify_one();
            }
            None => {
                let was_level = marks.unacked.is_empty();
                marks.note(position);
                if was_level {
                    self.announce_progress();
                }
            }
        }
    }

    /// Takes at most `limit` of the positions that the store has yet to be told.
    pub(crate) fn take_unsaved(&self, limit: usize) -> Vec<Position> {
        let mut marks = self.lock();
        let count = marks.unsaved.len().min(limit);
        marks.unsaved.drain(..count).collect()
    }

    /// The store has taken these changes: the positions among them count.
    pub(crate) fn saved(&self, changes: &[Change]) {
        let mut marks = self.lock();
        for change in changes {
            if let Change::Handled(position) = change {
                marks.note(position.clone());
                marks.unsaved_count -= 1;
            }
        }
        let waits = match marks.unsaved_count {
            0 => marks.waits.take(),
            _ => None,
        };
        drop(marks);
        if let Some(waker) = waits {
            waker.wake();
        }
        self.announce_progress();
    }

    /// The store has not taken these changes: the positions among them are to be told again.
    pub(crate) fn not_saved(&self, changes: &[Change]) {
        let mut marks = self.lock();
        for change in changes.iter().rev() {
            if let Change::Handled(position) = change {
                marks.unsaved.push_front(position.clone());
            }
        }
    }

    /// The client has ended: what is not kept by now never is, and nobody waits for it.
    pub(crate) fn end_keeping(&self) {
        let mut marks = self.lock();
        marks.is_over = true;
        let waits = marks.waits.take();
        drop(marks);
        if let Some(waker) = waits {
            waker.wake();
        }
    }

    /// Ready when everything that is handled is kept, or never will be. For one waiter.
    pub(crate) fn poll_kept(&self, context: &Context<'_>) -> Poll<()> {
        let mut marks = self.lock();
        if marks.unsaved_count == 0 || marks.is_over {
            return Poll::Ready(());
        }
        marks.waits = Some(context.waker().clone());
        Poll::Pending
    }

    /// Takes at most `limit` of the positions that no ack has told yet.
    pub(crate) fn take_unacked(&self, limit: usize) -> Vec<Position> {
        let mut marks = self.lock();
        let count = marks.unacked.len().min(limit);
        let taken: Vec<_> = marks.unacked.drain(..count).collect();
        let mut positions = Vec::with_capacity(count);
        for conversation in taken {
            if let Some(mark) = marks.by_conversation.get_mut(&conversation) {
                mark.is_unacked = false;
                positions.push(mark.position(conversation));
            }
        }
        positions
    }

    /// Whether something waits to be acked.
    pub(crate) fn has_unacked(&self) -> bool {
        !self.lock().unacked.is_empty()
    }

    /// The positions that changed last, at most `limit`.
    pub(crate) fn latest(&self, limit: usize) -> Vec<Position> {
        let marks = self.lock();
        let mut latest: Vec<_> = marks.by_conversation.iter().collect();
        latest.sort_unstable_by_key(|(_, mark)| std::cmp::Reverse(mark.changed));
        latest.truncate(limit);
        let position =
            |(conversation, mark): (&ConversationId, &Mark)| mark.position(conversation.clone());
        latest.into_iter().map(position).collect()
    }

    /// Wakes the connection: the handler has taken something off its queue.
    pub(crate) fn announce_progress(&self) {
        self.progress.notify_one();
    }

    /// Resolves after [`Positions::announce_progress`]. Cancel-safe; for one waiter.
    pub(crate) async fn progressed(&self) {
        self.progress.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Marks {
    fn note(&mut self, position: Position) {
        self.changes += 1;
        let mark = Mark {
            epoch: position.epoch,
            sequence: position.sequence,
            changed: self.changes,
            is_unacked: true,
        };
        let before = self
            .by_conversation
            .insert(position.conversation.clone(), mark);
        if !before.is_some_and(|mark| mark.is_unacked) {
            self.unacked.push(position.conversation);
        }
    }
}

impl Mark {
    const fn position(&self, conversation: ConversationId) -> Position {
        Position {
            conversation,
            epoch: self.epoch,
            sequence: self.sequence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use im_common::id::UserId;

    fn position(peer: u64, sequence: u64) -> Position {
        let user = |id| UserId::new(id).unwrap();
        Position {
            conversation: ConversationId::private(user(1), user(peer)),
            epoch: LogEpoch(1),
            sequence: Sequence(sequence),
        }
    }

    #[test]
    fn acks_are_cumulative_and_told_once() {
        let positions = Positions::default();
        for sequence in 1..=5 {
            positions.handled(position(2, sequence));
        }
        positions.handled(position(3, 1));
        assert_eq!(positions.take_unacked(1), [position(2, 5)]);
        assert!(positions.has_unacked());
        assert_eq!(positions.take_unacked(9), [position(3, 1)]);
        assert!(!positions.has_unacked());
        positions.handled(position(2, 6));
        assert_eq!(positions.take_unacked(9), [position(2, 6)]);
    }

    #[test]
    fn a_reconnect_tells_the_latest() {
        let positions = Positions::default();
        for peer in 2..10 {
            positions.handled(position(peer, 1));
        }
        positions.handled(position(4, 2));
        assert_eq!(positions.latest(2), [position(4, 2), position(9, 1)]);
    }
}
