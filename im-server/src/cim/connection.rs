//! One attached client of CIM: its `select!` loop.
//!
//! One task owns the socket. What is pushed is rendered in CIM's frames, what was missed is read
//! from the logs page by page, the next page when the one before is written.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use im_common::backoff::{Backoff, random_fraction};
use im_common::code::Code;
use im_common::frame::FrameError;
use im_common::id::{ConversationId, UserId};
use im_common::message::{Page, Position, Session, StoredMessage};
use im_common::stream::FrameStream;
use im_common::transport::{Heads, Refusal};
use im_common::wire::{self, server_frame};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::frame::{self, Frame, LOGIN, PING};
use super::login::log_in;
use super::reader::{Question, Reader};
use super::unconfirmed::Unconfirmed;
use crate::closing::CLOSE_WITHIN;
use crate::connection::{Context, Leaving};
use crate::writing::{Unwritten, write};

/// How soon to look again where the logs are, growing up to the longest.
const LOOK_AGAIN: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));

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
    /// The answer to the reader's last question, on its way.
    answer: Option<BoxFuture<'static, Answer>>,
    look_again: Backoff,
    /// What goes out next; the first frame may be half written.
    writing: VecDeque<Bytes>,
    /// How far the client is once that is written.
    reached: HashMap<ConversationId, Position>,
    unconfirmed: Unconfirmed,
    silence: Duration,
    heard: Instant,
}

/// What a route says.
enum Answer {
    Heads(Result<Heads, Refusal>),
    Page(Result<Page, Refusal>),
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The network has failed, or the client speaks nonsense.
    Gone,
    /// The client has hung up.
    Left,
    /// The server hangs up; the protocol cannot say why.
    Close(Code),
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
            answer: None,
            look_again: LOOK_AGAIN,
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
                answer = next(&mut self.answer) => Event::Answer(answer),
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
                    self.look_again.reset();
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

    /// Asks a route for what the reader needs next.
    fn ask(&mut self) {
        if self.answer.is_some() {
            return;
        }
        let Some(question) = self.reader.question() else {
            return;
        };
        let session = self.leaving.attachment.session.clone();
        let uplink = Arc::clone(&self.leaving.context.uplink);
        self.answer = Some(match question {
            Question::Sync(request) => {
                async move { Answer::Page(uplink.sync(session.user, request).await) }.boxed()
            }
            Question::Heads(positions) => {
                let pause = self.look_again.next(random_fraction());
                let look = async move {
                    sleep(pause).await;
                    let heads = uplink.heads(session.user, &session.device, positions);
                    Answer::Heads(heads.await)
                };
                look.boxed()
            }
        });
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
        let reached = self.reached.drain().map(|(_, position)| position);
        self.unconfirmed.written(reached.collect());
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

    fn confirm(&self, arrived: Vec<Position>) {
        let session = &self.leaving.attachment.session;
        let acks = &self.leaving.context.acks;
        acks.note(session.user, &session.device, arrived);
    }

    /// Leaves, and tells a route if everything that was written has arrived.
    async fn end(mut self, ending: Ending) {
        self.leaving.log(match ending {
            Ending::Gone => "gone",
            Ending::Left => "left",
            Ending::Close(code) => code.name(),
        });
        let has_arrived = match ending {
            Ending::Gone => false,
            Ending::Left => takes_more(&mut self.stream).await,
            Ending::Close(_) => return self.hang_up().await,
        };
        if has_arrived {
            let arrived = self.unconfirmed.ended();
            self.confirm(arrived);
        }
        // Before the session ends: the client's next connection is to find it.
        let Leaving {
            attachment,
            context,
        } = &self.leaving;
        hand_over(&attachment.session, context).await;
    }

    /// Nobody is to find the client here any more while it makes up its mind to hang up too.
    async fn hang_up(mut self) {
        let session = self.leaving.attachment.session.clone();
        let context = Arc::clone(&self.leaving.context);
        drop(self.leaving);
        if hangs_up(&mut self.stream, &mut self.writing).await {
            let arrived = self.unconfirmed.ended();
            context.acks.note(session.user, &session.device, arrived);
        }
        hand_over(&session, &context).await;
    }

    fn user(&self) -> UserId {
        self.leaving.attachment.session.user
    }
}

async fn hand_over(session: &Session, context: &Context) {
    let Context { acks, uplink, .. } = context;
    acks.hand_over(session.user, &session.device, &**uplink)
        .await;
}

/// Resolves with the answer that is on its way; never when there is none. Cancel-safe.
async fn next(answer: &mut Option<BoxFuture<'static, Answer>>) -> Answer {
    let Some(waiting) = answer else {
        return std::future::pending().await;
    };
    let arrived = waiting.await;
    *answer = None;
    arrived
}

/// Whether a client that has hung up had read everything: otherwise its kernel has reset the
/// connection by now, and another write fails.
async fn takes_more<S>(stream: &mut FrameStream<S>) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let probe = &mut VecDeque::from([frame::pong()]);
    let written = timeout(CLOSE_WITHIN, stream.write_all(probe)).await;
    matches!(written, Ok(Ok(())))
}

/// Hangs up; returns whether the client has hung up too in time, for which it must have come to the
/// end of what was written.
async fn hangs_up<S>(stream: &mut FrameStream<S>, writing: &mut VecDeque<Bytes>) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let goodbye = async {
        stream.write_all(writing).await?;
        stream.shutdown().await?;
        while stream.next().await?.is_some() {}
        Ok::<_, FrameError>(())
    };
    matches!(timeout(CLOSE_WITHIN, goodbye).await, Ok(Ok(())))
}

impl From<Unwritten> for Ending {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Gone => Self::Gone,
            Unwritten::Close(code) => Self::Close(code),
        }
    }
}
