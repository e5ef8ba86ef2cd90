//! A message on its way: a handle that can be awaited, and how it can end.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use im_common::code::Code;
use im_common::id::MessageId;
use im_common::message::Receipt;

use crate::error::ErrorKind;
use crate::store::StoreError;

/// Why the cluster refused a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// A code of the table.
    pub code: Code,
    /// For a person.
    pub reason: String,
}

impl Refusal {
    /// A refusal as the cluster tells it; for tests of programs that have to deal with one.
    pub const fn new(code: Code, reason: String) -> Self {
        Self { code, reason }
    }
}

/// Why a send did not end with a receipt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The message is not stored, and sending it again as it is would not help.
    #[error("message refused: {}", .0.reason)]
    Refused(Refusal),
    /// No answer before the deadline: it may or may not be stored. Sending it again under the same
    /// id ([`Sending::id`], [`Client::send_as`](crate::Client::send_as)) is safe: it is stored once.
    #[error("no answer in time: the message may or may not be stored")]
    Unknown,
    /// The client was closed, or the cluster refuses it, before there was an answer. With a
    /// [`Store`](crate::Store) the message is kept, and offered again by the next client.
    #[error("the client is closed")]
    Closed,
    /// The [`Store`](crate::Store) cannot keep the message; it was not offered to the cluster.
    #[error("the message is not sent, because it cannot be kept: {0}")]
    NotKept(StoreError),
}

impl SendError {
    /// The code of the table, when the cluster gave one.
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }

    /// What happened, in the terms of [`Error`](crate::Error).
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(refusal) => ErrorKind::Refused(refusal.code),
            Self::Unknown => ErrorKind::Timeout,
            Self::Closed => ErrorKind::Closed,
            Self::NotKept(error) => ErrorKind::Store(error.kind()),
        }
    }

    /// Whether sending again under the same id may succeed.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::NotKept(error) => error.is_retryable(),
            Self::Refused(_) | Self::Closed => false,
        }
    }
}

type Outcome = Pin<Box<dyn Future<Output = Result<Receipt, SendError>> + Send + Sync>>;

/// A message on its way. Await it to learn how it ends.
///
/// Dropping it does not cancel the message, with one exception: while 10,000 sends have no answer,
/// further ones wait in line for room, in the order of the calls, and dropping this takes the message
/// out of the line. Whether this is awaited makes no difference to the message. Awaiting it through
/// `&mut` is cancel-safe.
#[must_use = "a send that is not awaited may fail unnoticed"]
pub struct Sending {
    id: MessageId,
    outcome: Outcome,
}

impl Sending {
    pub(crate) fn new(
        id: MessageId,
        outcome: impl Future<Output = Result<Receipt, SendError>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            id,
            outcome: Box::pin(outcome),
        }
    }

    /// A send that ends before it began.
    pub(crate) fn refused(id: MessageId, code: Code) -> Self {
        let reason = code.meaning().to_owned();
        let refusal = Refusal { code, reason };
        Self::new(id, std::future::ready(Err(SendError::Refused(refusal))))
    }

    /// The message's id, the same however often it is sent again.
    pub const fn id(&self) -> MessageId {
        self.id
    }
}

impl Future for Sending {
    type Output = Result<Receipt, SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.outcome.as_mut().poll(context)
    }
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sending").field(&self.id).finish()
    }
}
