//! One attached client of CIM: its `select!` loop.
//!
//! One task owns the socket. What is pushed is rendered in CIM's frames, what was missed is read
//! from the logs page by page, the next page when the one before is written.

mod parting;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use im_common::code::Code;
use im_common::frame::FrameError;
use im_common::id::{ConversationId, UserId};
use im_common::message::{Position, StoredMessage};
use im_common::stream::FrameStream;
use im_common::wire::{self, server_frame};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use super::frame::{self, Frame, LOGIN, PING};
use super::login::log_in;
use super::questions::{Answer, Questions};
use super::reader::Reader;
use super::unconfirmed::Unconfirmed;
use crate::connection::{Context, Ending, Leaving};
use crate::writing::write;

/// Serves one socket from its first byte to its last.
pub(super) async fn serve<S>(stream: S, context: Arc<Context>, silence: Duration)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut stream = FrameStream::new(stream);
    let Some((leaving, heads)) = Box::pin(log_in(&mut stream, &context)).await else {
        return;
    };
    leaving.log("attached");
    let mut connection = Connection::new(stream, leaving, silence);
    connection.reader.orient(heads);
    let ending = connection.run().await;
    Box::pin(connection.end(ending)).await;
}

/// A client of CIM that is attached.
struct Connection<S> {
    stream: FrameStream<S>,
    leaving: Leaving,
    reader: Reader,
    questions: Questions,
    /// What goes out next; the first frame may be half written.
    writing: VecDeque<Bytes>,
    /// How far the client is once that is written.
    reached: HashMap<ConversationId, Position>,
    unconfirmed: Unconfirmed,
    silence: Duration,
    heard: Instant,
}

/// What woke the loop.
enum Event {
    Closed(Code),
    Frame(Result<Option<Bytes>, FrameError>),
    Outbound,
    Answer(Answer),
    Silence,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Connection<S> {
    fn new(stream: FrameStream<S>, leaving: Leaving, silence: Duration) -> Self {
        Self {
            stream,
            leaving,
            reader: Reader::default(),
            questions: Questions::default(),
            writing: VecDeque::new(),
            reached: HashMap::new(),
            unconfirmed: Unconfirmed::default(),
            silence,
            heard: Instant::now(),
        }
    }

    /// Serves the client until the connection ends.
    async fn run(&mut self) -> Ending {
        loop {
            if let Err(ending) = self.flush().await {
                return ending;
            }
            self.ask();
            let outbound = &self.leaving.attachment.outbound;
            let event = tokio::select! {
                biased;
                code = outbound.closed() => Event::Closed(code),
                frame = self.stream.next() => Event::Frame(frame),
                () = outbound.ready() => Event::Outbound,
                answer = self.questions.answer() => Event::Answer(answer),
                () = sleep_until(self.heard + self.silence) => Event::Silence,
            };
            if let Err(ending) = self.turn(event) {
                return ending;
            }
        }
    }

    fn turn(&mut self, event: Event) -> Result<(), Ending> {
        match event {
            Event::Closed(code) => Err(Ending::Close(code)),
            Event::Frame(Ok(Some(frame))) => self.on_frame(frame),
            Event::Frame(Ok(None)) => Err(Ending::Left),
            Event::Frame(Err(_)) => Err(Ending::Gone),
            Event::Outbound => Ok(()),
            Event::Answer(answer) => self.on_answer(answer),
            Event::Silence => Err(Ending::Close(Code::SILENT)),
        }
    }

    /// A frame that makes no sense is passed over, as CIM does. Who is named in a ping means
    /// nothing: clients get it wrong.
    fn on_frame(&mut self, bytes: Bytes) -> Result<(), Ending> {
        self.heard = Instant::now();
        let Ok(frame) = Frame::decode(bytes) else {
            return Ok(());
        };
        match frame.command {
            PING => {
                self.writing.push_back(frame::pong());
                let arrived = self.unconfirmed.pinged();
                self.confirm(arrived);
            }
            // A connection speaks for one user.
            LOGIN if u64::try_from(frame.user) != Ok(self.user().number()) => {
                return Err(Ending::Close(Code::OUT_OF_ORDER));
            }
            _ => {}
        }
        Ok(())
    }

    fn on_answer(&mut self, answer: Answer) -> Result<(), Ending> {
        match answer {
            Answer::Heads(Ok(heads)) => {
                if heads.is_whole {
                    self.questions.calm();
                }
                self.reader.orient(heads);
            }
            Answer::Page(Ok(page)) => {
                let missed = self.reader.page(page);
                let missed = missed.into_iter().filter_map(|one| self.reach(one));
                let missed = missed.collect();
                self.writing.extend(frame::missed(self.user(), missed));
            }
            Answer::Heads(Err(refusal)) if !refusal.code.is_retryable() => {
                return Err(Ending::Close(refusal.code));
            }
            Answer::Heads(Err(_)) | Answer::Page(Err(_)) => self.reader.lose_track(),
        }
        Ok(())
    }

    /// Asks a route for what the reader needs next, unless it is being asked.
    fn ask(&mut self) {
        if self.questions.is_asking() {
            return;
        }
        if let Some(question) = self.reader.question() {
            let session = &self.leaving.attachment.session;
            let uplink = &self.leaving.context.uplink;
            self.questions.ask(question, session, uplink);
        }
    }

    /// Renders what was pushed, and writes everything there is to say.
    async fn flush(&mut self) -> Result<(), Ending> {
        let mut pushed = VecDeque::new();
        if self.leaving.attachment.outbound.take(&mut pushed) {
            self.reader.lose_track();
        }
        let mut goes_away = false;
        for bytes in pushed {
            goes_away |= self.on_push(bytes);
        }
        let Leaving {
            attachment,
            context,
        } = &self.leaving;
        let frames = &mut self.writing;
        let outbound = &attachment.outbound;
        write(&mut self.stream, frames, outbound, context.write_within).await?;
        self.expect_sign();
        if goes_away {
            return Err(Ending::Close(Code::GOING_AWAY));
        }
        Ok(())
    }

    /// Takes what is queued for a client of our own; returns whether it is to go away, for which
    /// CIM has no word: its clients connect anew when they are hung up on.
    fn on_push(&mut self, bytes: Bytes) -> bool {
        let frame = wire::ServerFrame::decode_length_delimited(bytes);
        match frame.ok().and_then(|frame| frame.frame) {
            Some(server_frame::Frame::Deliver(wire::Deliver {
                message: Some(message),
            })) => {
                let Ok(message) = StoredMessage::try_from(message) else {
                    return false;
                };
                if self.reader.is_next(&message)
                    && let Some(message) = self.reach(message)
                {
                    let frame = frame::message(self.user(), message);
                    self.writing.push_back(frame);
                }
                false
            }
            Some(server_frame::Frame::GoAway(_)) => true,
            _ => false,
        }
    }

    /// Notes how far the client is with this message, and returns it if the client is to have it:
    /// CIM shows nobody what they said themselves, except to themselves.
    fn reach(&mut self, message: StoredMessage) -> Option<StoredMessage> {
        let position = Position {
            conversation: message.conversation.clone(),
            epoch: message.epoch,
            sequence: message.sequence,
        };
        self.reached.insert(message.conversation.clone(), position);
        let user = self.user();
        let is_own = message.sender.user == user;
        let is_to_itself = message.conversation == ConversationId::private(user, user);
        (!is_own || is_to_itself).then_some(message)
    }

    /// Everything that was rendered is written by now, or will be before the connection ends in good
    /// order: from here on it waits for a sign that it has arrived.
    fn expect_sign(&mut self) {
        let reached = self.reached.drain().map(|(_, position)| position);
        self.unconfirmed.written(reached.collect());
    }

    fn confirm(&self, arrived: Vec<Position>) {
        let session = &self.leaving.attachment.session;
        let acks = &self.leaving.context.acks;
        acks.note(session.user, &session.device, arrived);
    }

    fn user(&self) -> UserId {
        self.leaving.attachment.session.user
    }
}
