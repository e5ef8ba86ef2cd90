//! Whom the outcome of a send is told.

use std::sync::Arc;
use std::task::{Context, Poll};

use im_common::id::MessageId;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{Outcome, SharedOutbox};
use crate::sending::SendError;

/// Where the outcome of one send goes, and the room that it takes until then.
#[derive(Debug)]
pub(crate) struct Answer {
    to: To,
    _room: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
enum To {
    /// Who has sent it.
    Handle(oneshot::Sender<Outcome>),
    /// Whoever receives events: an earlier program has sent it.
    Program(mpsc::Sender<(MessageId, Outcome)>),
}

impl Answer {
    pub(crate) const fn new(
        sender: oneshot::Sender<Outcome>,
        room: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            to: To::Handle(sender),
            _room: room,
        }
    }

    pub(super) const fn to_program(
        sender: mpsc::Sender<(MessageId, Outcome)>,
        room: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self {
            to: To::Program(sender),
            _room: room,
        }
    }

    /// Returns whether that is all: a program has yet to be told, if there is one that listens.
    pub(super) fn give(self, id: MessageId, outcome: Outcome) -> bool {
        match self.to {
            To::Handle(sender) => {
                // Nobody waits for the outcome when the handle was dropped.
                let _ = sender.send(outcome);
                true
            }
            To::Program(sender) => sender.try_send((id, outcome)).is_err(),
        }
    }

    /// The client ends before the send does.
    pub(super) fn close(self) {
        if let To::Handle(sender) = self.to {
            // As above.
            let _ = sender.send(Err(SendError::Closed));
        }
    }
}

/// How the sends of an earlier program end. The queue has room for all of them.
#[derive(Debug)]
pub(crate) struct EndedSends {
    outcomes: mpsc::Receiver<(MessageId, Outcome)>,
    outbox: Arc<SharedOutbox>,
}

impl EndedSends {
    pub(super) const fn new(
        outcomes: mpsc::Receiver<(MessageId, Outcome)>,
        outbox: Arc<SharedOutbox>,
    ) -> Self {
        Self { outcomes, outbox }
    }

    /// The next one; pending for ever when there will be none. [`EndedSends::told`] follows.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<(MessageId, Outcome)> {
        match self.outcomes.poll_recv(context) {
            Poll::Ready(Some(ended)) => Poll::Ready(ended),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// The program knows how that send ended.
    pub(crate) fn told(&self, id: MessageId) {
        self.outbox.told(id);
    }
}
