//! One live connection to a server: the handshake and the `select!` loop.
//!
//! Owns the socket and nothing that outlives it: outbox and inbox are lent by the session.

mod handshake;
#[cfg(test)]
mod tests;
mod traffic;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use im_common::code::Code;
use im_common::frame::{FrameError, encode};
use im_common::id::ServerId;
use im_common::stream::FrameStream;
use im_common::wire::{self, ClientFrame, ServerFrame, server_frame};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use crate::handler::Event;
use crate::heartbeat::{Beat, Heartbeat};
use crate::inbox::Inbox;
use crate::state::ConnectionState;

pub(crate) use handshake::{OpenError, open};
pub(crate) use traffic::Traffic;

/// A server that takes no bytes for so long does not read any more.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// Acks are cumulative, so waiting a little saves frames while many messages come in.
const ACK_PAUSE: Duration = Duration::from_millis(50);
/// A goodbye is a courtesy: the cluster also notices without it.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);

/// Why the server closed, or wants a pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Closure {
    pub(crate) code: Code,
    pub(crate) reason: String,
    pub(crate) retry_after: Duration,
}

/// Why serving a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// This client closes; the connection still stands.
    Closing,
    /// The server will stop; the connection still stands.
    GoAway(Vec<String>),
    /// The server closed the connection.
    Closed(Closure),
    /// The connection broke.
    Lost(String),
}

/// One attached connection.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    stream: FrameStream<S>,
    server: ServerId,
    out: VecDeque<Bytes>,
    heartbeat: Heartbeat,
    in_flight_max: usize,
    next_ack_at: Instant,
    nonce: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// How the client stands while this connection is served.
    pub(crate) fn state(&self, traffic: &Traffic) -> ConnectionState {
        let server = self.server.clone();
        match &traffic.inbox {
            Some(inbox) if inbox.is_catching_up() => ConnectionState::CatchingUp { server },
            _ => ConnectionState::Attached { server },
        }
    }

    /// Serves the connection until it ends; may be called again after [`End::GoAway`].
    pub(crate) async fn serve(&mut self, traffic: &mut Traffic) -> End {
        match self.run(traffic).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    /// Says what the handler got done, and goodbye.
    pub(crate) async fn finish(mut self, inbox: Option<&Inbox>) {
        while let Some(ack) = inbox.and_then(Inbox::next_ack) {
            self.push(ack);
        }
        self.push(wire::Close::new(Code::CLOSED, 0));
        let goodbye = async {
            self.stream.write_all(&mut self.out).await?;
            // The server hangs up once the acks are safe.
            while self.stream.next().await?.is_some() {}
            Ok::<_, FrameError>(())
        };
        if !matches!(timeout(GOODBYE_WITHIN, goodbye).await, Ok(Ok(()))) {
            tracing::debug!("the server did not take the goodbye");
        }
    }

    async fn run(&mut self, traffic: &mut Traffic) -> Result<Infallible, End> {
        loop {
            let wake_at = self.prepare(traffic);
            self.write().await?;
            tokio::select! {
                biased;
                () = traffic.closing.cancelled() => return Err(End::Closing),
                frame = self.stream.next() => self.read(frame, traffic)?,
                () = traffic.outbox.offerable() => {}
                () = progressed(traffic.inbox.as_ref()) => {}
                () = sleep_until_some(wake_at) => {}
                beat = self.heartbeat.next() => self.beat(&beat)?,
            }
        }
    }

    /// Queues everything that is due, and returns when something more will be.
    fn prepare(&mut self, traffic: &mut Traffic) -> Option<Instant> {
        let now = Instant::now();
        for submit in traffic.outbox.offers(self.in_flight_max) {
            self.push(submit);
        }
        let resume_at = traffic.outbox.resume_at();
        let Some(inbox) = &mut traffic.inbox else {
            return resume_at;
        };
        inbox.wake(now);
        if let Some(sync) = inbox.next_sync() {
            self.push(sync);
        }
        if inbox.has_caught_up() {
            let server = self.server.clone();
            traffic
                .reporter
                .publish(ConnectionState::Attached { server });
        }
        if self.next_ack_at <= now
            && let Some(ack) = inbox.next_ack()
        {
            self.push(ack);
            self.next_ack_at = now + ACK_PAUSE;
        }
        let ack_at = inbox.has_unacked().then_some(self.next_ack_at);
        [resume_at, inbox.wake_at(), ack_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes the frame that came, and those that came with it.
    fn read(
        &mut self,
        frame: Result<Option<Bytes>, FrameError>,
        traffic: &mut Traffic,
    ) -> Result<(), End> {
        let mut next = frame;
        self.heartbeat.heard();
        loop {
            match next {
                Ok(Some(bytes)) => self.take(bytes, traffic)?,
                Ok(None) => return Err(End::Lost("the server closed the stream".to_owned())),
                Err(error) => return Err(End::Lost(error.to_string())),
            }
            next = match self.stream.buffered() {
                Ok(None) => return Ok(()),
                buffered => buffered,
            };
        }
    }

    fn take(&mut self, bytes: Bytes, traffic: &mut Traffic) -> Result<(), End> {
        let frame = ServerFrame::decode(bytes)
            .map_err(|error| traffic.misunderstood(format!("a frame cannot be read: {error}")))?;
        match frame.frame {
            Some(server_frame::Frame::Ping(ping)) => self.push(wire::Pong { nonce: ping.nonce }),
            Some(server_frame::Frame::Close(close)) => return Err(End::Closed(close.into())),
            Some(server_frame::Frame::GoAway(go_away)) => {
                traffic.reporter.report(Event::GoAway);
                if !go_away.candidates.is_empty() {
                    return Err(End::GoAway(go_away.candidates));
                }
            }
            Some(frame) => traffic.take(frame).map_err(|error| {
                traffic.misunderstood(format!("the server sent what cannot be: {error}"))
            })?,
            // A frame of a newer protocol: nothing that this version relies on.
            None => {}
        }
        Ok(())
    }

    fn beat(&mut self, beat: &Beat) -> Result<(), End> {
        match beat {
            Beat::Dead => Err(End::Lost("the server fell silent".to_owned())),
            Beat::Ping => {
                self.nonce += 1;
                let nonce = self.nonce;
                self.push(wire::Ping { nonce });
                Ok(())
            }
        }
    }

    async fn write(&mut self) -> Result<(), End> {
        if self.out.is_empty() {
            return Ok(());
        }
        match timeout(WRITE_WITHIN, self.stream.write_all(&mut self.out)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(End::Lost(error.to_string())),
            Err(_) => Err(End::Lost("the server does not read".to_owned())),
        }
    }

    fn push(&mut self, frame: impl Into<ClientFrame>) {
        self.out.push_back(encode(&frame.into()));
    }
}

impl From<wire::Close> for Closure {
    fn from(close: wire::Close) -> Self {
        Self {
            code: close.code.into(),
            reason: close.reason,
            retry_after: Duration::from_millis(close.retry_after_ms.into()),
        }
    }
}

async fn progressed(inbox: Option<&Inbox>) {
    match inbox {
        Some(inbox) => inbox.progressed().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
