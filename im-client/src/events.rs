//! What arrives for a program, as one stream; a handler is called for each item of the same stream.
//!
//! Two bounded queues end here: messages, which wait in the cluster when theirs is full, and news
//! about the client, of which further ones are dropped then.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Stream;
use im_common::id::{MessageId, Sequence};
use im_common::message::Position;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::handler::Event;
use crate::message::Message;
use crate::outbox::EndedSends;
use crate::positions::Positions;
use crate::timeline::Step;

/// Two pages: one is handled while the next one travels. Beyond it, messages wait in the cluster.
pub(crate) const QUEUE_STEPS_MAX: usize = 256;
/// A page is asked for only when it will fit: pages hold at most 100 messages.
pub(crate) const ROOM_FOR_PAGE: usize = QUEUE_STEPS_MAX / 2;
/// News are rare and small. Beyond it they are dropped: the state can be read at any time.
pub(crate) const QUEUE_EVENTS_MAX: usize = 64;

/// Everything that happens to one client, in order: a stream of [`Event`]s, made by
/// [`ClientBuilder::connect_with_events`](crate::ClientBuilder::connect_with_events).
///
/// # When a message counts as handled
///
/// When the next item is asked for, or [`Events::handled`] is called. Only then is it acked, so a
/// program that ends before, in whatever way, is handed the message again when it comes back. With a
/// [`Store`](crate::Store), the next item follows when that is kept.
///
/// # When the program does not ask
///
/// 256 messages wait in memory. All further ones stay in the cluster, however many, and are fetched
/// when there is room. The connection is kept up meanwhile: heartbeats, sends and their answers do
/// not pass through here. Of events that are not messages, 64 wait and further ones are dropped;
/// [`Client::state`](crate::Client::state) is always up to date.
///
/// # When it ends
///
/// With `None`, after the client was closed or its last clone dropped; or after the cluster has
/// refused the client for good, which is an event of its own before. What was not handed out by then
/// stays in the cluster.
///
/// Dropping the stream closes nothing: the client can send as before. What was handed out last does
/// not count as handled, and messages stay in the cluster until a client of this device receives
/// again.
pub struct Events {
    steps: mpsc::Receiver<Step>,
    news: mpsc::Receiver<Event>,
    /// How sends end that an earlier program left; `None` without a store.
    ended: Option<EndedSends>,
    positions: Arc<Positions>,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Whether something is handed out: closing waits a while for it.
    is_busy: watch::Sender<bool>,
    /// Where the message is that was handed out last.
    unhandled: Option<Unhandled>,
}

/// What was handed out last, if that has to be remembered.
#[derive(Debug)]
enum Unhandled {
    Message(Position),
    SendEnded(MessageId),
}

/// The other ends of [`Events`].
pub(crate) struct Feeds {
    pub(crate) steps: mpsc::Sender<Step>,
    pub(crate) news: EventSender,
    pub(crate) is_busy: watch::Receiver<bool>,
}

impl Events {
    pub(crate) fn new(
        positions: Arc<Positions>,
        ended: Option<EndedSends>,
        closing: CancellationToken,
    ) -> (Self, Feeds) {
        let (steps, steps_receiver) = mpsc::channel(QUEUE_STEPS_MAX);
        let (news, news_receiver) = mpsc::channel(QUEUE_EVENTS_MAX);
        let (is_busy, is_busy_receiver) = watch::channel(false);
        let events = Self {
            steps: steps_receiver,
            news: news_receiver,
            ended,
            positions,
            closing: Box::pin(closing.cancelled_owned()),
            is_busy,
            unhandled: None,
        };
        let feeds = Feeds {
            steps,
            news: EventSender(Some(news)),
            is_busy: is_busy_receiver,
        };
        (events, feeds)
    }

    /// Notes that what was handed out last is handled, without asking for more. For a program that
    /// ends, before [`Client::close`](crate::Client::close).
    pub fn handled(&mut self) {
        self.finish_last();
        self.set_busy(false);
    }

    fn finish_last(&mut self) {
        match (self.unhandled.take(), &self.ended) {
            (Some(Unhandled::Message(position)), _) => self.moved_on(position),
            (Some(Unhandled::SendEnded(id)), Some(ended)) => ended.told(id),
            _ => {}
        }
    }

    /// Waits for the next item; `None` when there will be none. What was handed out before is
    /// handled with this call. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        futures::StreamExt::next(self).await
    }

    /// How many messages wait in memory; further ones wait in the cluster.
    pub fn waiting(&self) -> usize {
        self.steps.len()
    }

    fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.closing.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        let news = self.news.poll_recv(context);
        if let Poll::Ready(Some(event)) = news {
            return Poll::Ready(Some(event));
        }
        if let Some(ended) = &mut self.ended
            && let Poll::Ready((id, outcome)) = ended.poll_next(context)
        {
            self.unhandled = Some(Unhandled::SendEnded(id));
            return Poll::Ready(Some(Event::SendEnded { id, outcome }));
        }
        loop {
            match self.steps.poll_recv(context) {
                Poll::Ready(Some(step)) => {
                    if let Some(event) = self.take(step) {
                        return Poll::Ready(Some(event));
                    }
                }
                Poll::Ready(None) if news.is_ready() => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn take(&mut self, step: Step) -> Option<Event> {
        match step {
            Step::Message(stored) => {
                let message = Message::from(stored);
                self.unhandled = Some(Unhandled::Message(message.position()));
                Some(Event::Message(message))
            }
            Step::Silent(position) => {
                self.moved_on(position);
                None
            }
            Step::Rewound(position) => {
                self.moved_on(position.clone());
                Some(match position.sequence {
                    Sequence(0) => Event::Reset {
                        conversation: position.conversation,
                    },
                    after => Event::Rewound {
                        conversation: position.conversation,
                        after,
                    },
                })
            }
        }
    }

    fn moved_on(&self, position: Position) {
        self.positions.handled(position);
        // Woken for each message, the connection would cost more than the handler. It looks for room
        // after each frame too, so this is for when nothing comes any more.
        if self.steps.len() == QUEUE_STEPS_MAX - ROOM_FOR_PAGE {
            self.positions.announce_progress();
        }
    }

    fn set_busy(&self, is_busy: bool) {
        self.is_busy
            .send_if_modified(|known| std::mem::replace(known, is_busy) != is_busy);
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.finish_last();
        // Before it looks whether the client closes: who closes then waits for what is handed out.
        self.set_busy(true);
        if self.positions.poll_kept(context).is_pending() {
            return Poll::Pending;
        }
        let arrival = self.poll_arrival(context);
        if !matches!(arrival, Poll::Ready(Some(_))) {
            self.set_busy(false);
        }
        arrival
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("waiting", &self.waiting())
            .field("unhandled", &self.unhandled)
            .finish_non_exhaustive()
    }
}

/// Where a client's tasks report what happens; a program that is far behind misses some.
#[derive(Debug, Clone)]
pub(crate) struct EventSender(Option<mpsc::Sender<Event>>);

impl EventSender {
    /// For a client that nobody listens to.
    pub(crate) const fn to_nobody() -> Self {
        Self(None)
    }

    pub(crate) fn report(&self, event: Event) {
        let Some(sender) = &self.0 else { return };
        if let Err(mpsc::error::TrySendError::Full(event)) = sender.try_send(event) {
            tracing::debug!(?event, "event dropped, the program is far behind");
        }
    }
}
