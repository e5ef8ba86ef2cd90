//! One attached client: its `select!` loop and what each frame means.
//!
//! One task owns the socket. Routes are asked by calls in flight beside the loop, so that pings
//! are answered meanwhile. After each turn everything there is to say is written in one go.

mod calls;
mod ending;
mod opening;
mod submits;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use im_common::backoff::{Backoff, random_fraction};
use im_common::code::Code;
use im_common::frame::{FrameError, encode};
use im_common::id::{LogEpoch, Sequence};
use im_common::message::Session;
use im_common::stream::FrameStream;
use im_common::transport::{Heads, SyncRequest, Uplink};
use im_common::wire::client_frame::Frame;
use im_common::wire::{self, ServerFrame};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use self::calls::LOOK_AGAIN;
use self::calls::{Answer, Calls};
pub(crate) use self::ending::Ending;
pub(crate) use self::opening::agree;
use self::opening::{heads_frames, open};
use self::submits::Submits;
use crate::acks::Acks;
use crate::closing::close;
use crate::connections::{Attachment, Connections};
use crate::detaches::Detaches;
use crate::handshake::{Gate, Stranger};
use crate::heartbeat::{Beat, Heartbeat};
use crate::writing::write;

/// Frames handled before the answers are written: bounds the answers, such as pongs.
const FRAMES_PER_TURN: usize = 64;
/// Pages asked for at once: covers the round trip to a route, holds a megabyte at most.
const SYNCS_IN_FLIGHT_MAX: usize = 4;
/// Syncs that wait for their turn; beyond them the socket is not read.
const SYNCS_WAITING_MAX: usize = 16;

/// What the connections of one server share.
pub(crate) struct Context {
    pub(crate) connections: Connections,
    pub(crate) uplink: Arc<dyn Uplink>,
    pub(crate) acks: Acks,
    pub(crate) detaches: Detaches,
    pub(crate) gate: Gate,
    pub(crate) ping_after: Duration,
    pub(crate) pong_within: Duration,
    pub(crate) write_within: Duration,
}

impl Context {
    /// Hands what a device has acked to a route at once, so that its next connection finds it.
    pub(crate) async fn hand_over_acks(&self, session: &Session) {
        let acks = &self.acks;
        acks.hand_over(session.user, &session.device, &*self.uplink)
            .await;
    }
}

/// Serves one socket from its first byte to its last.
pub(crate) async fn serve<S>(stream: S, context: Arc<Context>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    // Boxed, so that what only the beginning and the end need does not stay for the whole life.
    let Some(greeted) = Box::pin(Stranger::new(stream).greet(&context.gate)).await else {
        return;
    };
    let Some(mut connection) = Box::pin(open(greeted, context)).await else {
        return;
    };
    connection.leaving.log("attached");
    let ending = connection.run().await;
    Box::pin(connection.end(ending)).await;
}

/// A client that is attached.
struct Connection<S> {
    stream: FrameStream<S>,
    leaving: Leaving,
    heartbeat: Heartbeat,
    submits: Submits,
    syncs_waiting: VecDeque<SyncRequest>,
    syncs_in_flight: usize,
    /// Whether a route is being asked where the logs are.
    looking: bool,
    /// Between one look and the next, while some logs cannot be looked at.
    look_again: Backoff,
    calls: Calls,
    /// What goes out next; the first frame may be half written.
    writing: VecDeque<Bytes>,
}

/// Detaches the device when dropped, however the connection ends.
pub(crate) struct Leaving {
    pub(crate) attachment: Attachment,
    pub(crate) context: Arc<Context>,
}

impl Leaving {
    /// Says in the log what becomes of the connection.
    pub(crate) fn log(&self, state: &'static str) {
        let session = &self.attachment.session;
        tracing::info!(
            conn.id = session.connection.0,
            user.id = session.user.number(),
            device.id = session.device.as_str(),
            epoch = %session.epoch,
            state,
            "connection"
        );
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.context.detaches.add(self.attachment.session.clone());
    }
}

/// What woke the loop.
enum Event {
    Closed(Code),
    Frame(Result<Option<Bytes>, FrameError>),
    Outbound,
    Answer(Answer),
    Beat(Beat),
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Connection<S> {
    /// Serves the client until the connection ends.
    async fn run(&mut self) -> Ending {
        loop {
            if let Err(ending) = self.flush().await {
                return ending;
            }
            let may_read = self.may_read();
            let outbound = &self.leaving.attachment.outbound;
            let event = tokio::select! {
                biased;
                code = outbound.closed() => Event::Closed(code),
                frame = self.stream.next(), if may_read => Event::Frame(frame),
                () = outbound.ready() => Event::Outbound,
                answer = self.calls.next() => Event::Answer(answer),
                beat = self.heartbeat.next() => Event::Beat(beat),
            };
            if let Err(ending) = self.turn(event) {
                return ending;
            }
        }
    }

    fn turn(&mut self, event: Event) -> Result<(), Ending> {
        match event {
            Event::Closed(code) => return Err(Ending::Close(code)),
            Event::Frame(frame) => self.receive(frame?.ok_or(Ending::Gone)?)?,
            Event::Outbound => {}
            Event::Answer(answer) => self.answer(answer)?,
            Event::Beat(beat) => self.beat(&beat)?,
        }
        // What had to wait may have its turn by this event; frames read earlier come first.
        while self.may_read()
            && self.writing.len() < FRAMES_PER_TURN
            && let Some(frame) = self.stream.buffered()?
        {
            self.on_frame(frame)?;
        }
        self.start_calls();
        Ok(())
    }

    /// Whether there is room for what the next frame may ask for.
    fn may_read(&self) -> bool {
        self.submits.has_room() && self.syncs_waiting.len() < SYNCS_WAITING_MAX
    }

    fn receive(&mut self, frame: Bytes) -> Result<(), Ending> {
        self.heartbeat.heard();
        self.on_frame(frame)
    }

    fn on_frame(&mut self, bytes: Bytes) -> Result<(), Ending> {
        let malformed = Ending::Close(Code::MALFORMED);
        if bytes.is_empty() {
            return Err(malformed);
        }
        let frame = wire::ClientFrame::decode(bytes).map_err(|_| malformed)?;
        // A frame of a newer protocol: nothing that this version could answer.
        let Some(frame) = frame.frame else {
            return Ok(());
        };
        match frame {
            Frame::Submit(submit) => {
                let refused = self.submits.offer(submit).map_err(|_| malformed)?;
                self.writing
                    .extend(refused.map(|refused| encode(&ServerFrame::from(refused))));
            }
            Frame::Ack(ack) => {
                let positions = wire::Position::list(ack.positions).map_err(|_| malformed)?;
                let Leaving {
                    attachment,
                    context,
                } = &self.leaving;
                let session = &attachment.session;
                context.acks.note(session.user, &session.device, positions);
            }
            Frame::Sync(sync) => self
                .syncs_waiting
                .push_back(sync_request(&sync).ok_or(malformed)?),
            Frame::Ping(wire::Ping { nonce }) => self.say(wire::Pong { nonce }),
            Frame::Pong(_) => {}
            Frame::Hello(_) => return Err(Ending::Close(Code::OUT_OF_ORDER)),
            Frame::Close(_) => return Err(Ending::Left),
        }
        Ok(())
    }

    fn answer(&mut self, answer: Answer) -> Result<(), Ending> {
        match answer {
            Answer::Submitted(outcomes) => {
                let answers = self.submits.settle(outcomes);
                self.writing.extend(answers.iter().map(encode));
            }
            Answer::Page(page) => {
                self.syncs_in_flight -= 1;
                self.writing.push_back(page);
            }
            Answer::Heads(heads) => {
                self.looking = false;
                self.tell(heads.map_err(Ending::Close)?);
            }
        }
        Ok(())
    }

    fn beat(&mut self, beat: &Beat) -> Result<(), Ending> {
        // A client is not silent while nobody listens to it.
        if !self.may_read() {
            self.heartbeat.heard();
            return Ok(());
        }
        match beat {
            Beat::Ping => self.say(wire::Ping { nonce: 0 }),
            Beat::Dead => return Err(Ending::Close(Code::SILENT)),
        }
        Ok(())
    }

    /// Asks routes for what waits, as far as the limits allow.
    fn start_calls(&mut self) {
        let Leaving {
            attachment,
            context,
        } = &self.leaving;
        if let Some(batch) = self.submits.next_batch() {
            self.calls.submit(context, &attachment.identity(), batch);
        }
        while self.syncs_in_flight < SYNCS_IN_FLIGHT_MAX
            && let Some(request) = self.syncs_waiting.pop_front()
        {
            self.syncs_in_flight += 1;
            self.calls.sync(context, attachment.session.user, request);
        }
    }

    /// Tells the client where its logs are, and looks again until they are all there.
    fn tell(&mut self, heads: Heads) {
        if heads.is_whole {
            self.look_again.reset();
        } else {
            let pause = self.look_again.next(random_fraction());
            self.look(pause);
        }
        self.writing.extend(heads_frames(heads));
    }

    /// Asks a route where the logs are, unless one is being asked.
    fn look(&mut self, pause: Duration) {
        if !std::mem::replace(&mut self.looking, true) {
            let Leaving {
                attachment,
                context,
            } = &self.leaving;
            self.calls.look(context, &attachment.session, pause);
        }
    }

    fn say(&mut self, frame: impl Into<ServerFrame>) {
        self.writing.push_back(encode(&frame.into()));
    }

    /// Writes everything there is to say, as long as the client takes anything in time.
    async fn flush(&mut self) -> Result<(), Ending> {
        if self.leaving.attachment.outbound.take(&mut self.writing) {
            // Deliveries were dropped.
            self.look(Duration::ZERO);
        }
        let Leaving {
            attachment,
            context,
        } = &self.leaving;
        let frames = &mut self.writing;
        let outbound = &attachment.outbound;
        write(&mut self.stream, frames, outbound, context.write_within)
            .await
            .map_err(Ending::from)
    }

    /// Leaves the table and the route's sessions at once, then says goodbye.
    async fn end(self, ending: Ending) {
        self.leaving.log(ending.name());
        if ending == Ending::Left {
            // The client waits until its acks are safe.
            let Leaving {
                attachment,
                context,
            } = &self.leaving;
            context.hand_over_acks(&attachment.session).await;
        }
        drop(self.leaving);
        if let Ending::Close(code) = ending {
            close(self.stream, self.writing, code).await;
        }
    }
}

impl From<FrameError> for Ending {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLarge => Self::Close(Code::FRAME_TOO_LARGE),
            FrameError::Malformed(_) => Self::Close(Code::MALFORMED),
            FrameError::Io(_) => Self::Gone,
        }
    }
}

fn sync_request(sync: &wire::Sync) -> Option<SyncRequest> {
    Some(SyncRequest {
        conversation: sync.conversation.parse().ok()?,
        epoch: LogEpoch(sync.epoch),
        after: Sequence(sync.after),
    })
}
