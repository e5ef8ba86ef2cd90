//! From an unknown socket to a proven identity, under a deadline.
//!
//! A typestate: a [`Stranger`] becomes [`Greeted`] or is told why not; nothing else can be done
//! with it.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use im_common::code::Code;
use im_common::frame::{FrameError, PROTOCOL_VERSION};
use im_common::id::SessionEpoch;
use im_common::message::{Identity, Position};
use im_common::stream::FrameStream;
use im_common::ticket::{TicketError, TicketKey};
use im_common::wire::{self, client_frame};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::closing::close;

/// What decides whether a stranger may come in.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Verifies tickets.
    pub(crate) key: TicketKey,
    /// How long a stranger has to say hello.
    pub(crate) within: Duration,
    /// Cancelled when nobody may come in any more.
    pub(crate) closing: CancellationToken,
}

/// A stream whose other side is unknown.
#[derive(Debug)]
pub(crate) struct Stranger<S> {
    stream: FrameStream<S>,
}

/// A stream whose other side has proven who it is.
#[derive(Debug)]
pub(crate) struct Greeted<S> {
    /// The stream.
    pub(crate) stream: FrameStream<S>,
    /// Who it is.
    pub(crate) hello: Hello,
}

/// What a valid hello says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Proven by the ticket.
    pub(crate) identity: Identity,
    /// Orders the connections of the device.
    pub(crate) epoch: SessionEpoch,
    /// What the client has handled.
    pub(crate) positions: Vec<Position>,
}

/// Why a stranger was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// It went away by itself.
    Gone,
    /// It is told why.
    Refused(Code),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stranger<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream: FrameStream::new(stream),
        }
    }

    /// Waits for a valid hello; otherwise says why not, closes, and returns nothing.
    pub(crate) async fn greet(mut self, gate: &Gate) -> Option<Greeted<S>> {
        let hello = tokio::select! {
            biased;
            () = gate.closing.cancelled() => Err(Failure::Refused(Code::GOING_AWAY)),
            outcome = timeout(gate.within, self.hello(&gate.key)) => {
                outcome.unwrap_or(Err(Failure::Refused(Code::HANDSHAKE_TIMEOUT)))
            }
        };
        let stream = self.stream;
        match hello {
            Ok(hello) => return Some(Greeted { stream, hello }),
            Err(Failure::Gone) => {}
            Err(Failure::Refused(code)) => {
                tracing::debug!(code = code.name(), "handshake refused");
                close(stream, VecDeque::new(), code).await;
            }
        }
        None
    }

    async fn hello(&mut self, key: &TicketKey) -> Result<Hello, Failure> {
        let bytes = self.stream.next().await?.ok_or(Failure::Gone)?;
        let frame = wire::ClientFrame::decode(bytes)
            .map_err(|_| Failure::Refused(Code::MALFORMED))?
            .frame
            .ok_or(Failure::Refused(Code::MALFORMED))?;
        match frame {
            client_frame::Frame::Hello(hello) => verify(hello, key).map_err(Failure::Refused),
            client_frame::Frame::Close(_) => Err(Failure::Gone),
            _ => Err(Failure::Refused(Code::OUT_OF_ORDER)),
        }
    }
}

fn verify(hello: wire::Hello, key: &TicketKey) -> Result<Hello, Code> {
    if hello.version != PROTOCOL_VERSION {
        return Err(Code::VERSION_UNSUPPORTED);
    }
    let ticket = key
        .verify(&hello.ticket, SystemTime::now())
        .map_err(TicketError::code)?;
    if ticket.identity.device.as_str() != hello.device {
        return Err(Code::TICKET_INVALID);
    }
    Ok(Hello {
        identity: ticket.identity,
        epoch: SessionEpoch {
            login: ticket.login_epoch,
            attempt: hello.attempt,
        },
        positions: wire::Position::list(hello.positions).map_err(|_| Code::MALFORMED)?,
    })
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLarge => Self::Refused(Code::FRAME_TOO_LARGE),
            FrameError::Malformed(_) => Self::Refused(Code::MALFORMED),
            FrameError::Io(_) => Self::Gone,
        }
    }
}
