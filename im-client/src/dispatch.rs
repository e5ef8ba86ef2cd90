//! Runs the handler: one message at a time, apart from the connection, panics caught.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};

use futures::FutureExt;
use im_common::id::Sequence;
use im_common::message::{Position, StoredMessage};
use im_common::planted::{Bug, is_planted};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::client::{Client, Handle};
use crate::handler::{Event, MessageHandler};
use crate::message::Message;
use crate::positions::Positions;
use crate::timeline::Step;

/// Two pages: one is handled while the next one travels. Beyond it, messages wait in the cluster.
pub(crate) const QUEUE_STEPS_MAX: usize = 256;
/// Events are rare and small. Beyond it they are dropped: the state can be read at any time.
pub(crate) const QUEUE_EVENTS_MAX: usize = 64;

tokio::task_local! {
    /// Whose handler is being called.
    static CALLER: Weak<Handle>;
}

/// Whether this is called from inside the handler of that very client, which then cannot wait for
/// the client to end.
pub(crate) fn is_inside_handler(handle: &Arc<Handle>) -> bool {
    CALLER
        .try_with(|caller| caller.as_ptr() == Arc::as_ptr(handle))
        .unwrap_or(false)
}

/// Where the session reports events; a handler that is far behind misses some.
#[derive(Debug, Clone)]
pub(crate) struct EventSender(Option<mpsc::Sender<Event>>);

impl EventSender {
    /// With no handler, `None`, nobody listens.
    pub(crate) const fn new(sender: Option<mpsc::Sender<Event>>) -> Self {
        Self(sender)
    }

    pub(crate) fn report(&self, event: Event) {
        let Some(sender) = &self.0 else { return };
        if let Err(mpsc::error::TrySendError::Full(event)) = sender.try_send(event) {
            tracing::debug!(?event, "event dropped, the handler is far behind");
        }
    }
}

/// The task that owns the handler.
pub(crate) struct Dispatch {
    pub(crate) handler: Arc<dyn MessageHandler>,
    /// Weak, so that a client nobody holds any more ends instead of keeping itself alive.
    pub(crate) client: Weak<Handle>,
    pub(crate) steps: mpsc::Receiver<Step>,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) positions: Arc<Positions>,
    pub(crate) closing: CancellationToken,
}

impl Dispatch {
    /// Runs until the client closes; a call that is under way is finished.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                () = self.closing.cancelled() => return,
                Some(event) = self.events.recv() => self.report(event).await,
                Some(step) = self.steps.recv() => self.take(step).await,
                else => return,
            }
        }
    }

    async fn take(&self, step: Step) {
        match step {
            Step::Message(stored) => self.deliver(stored).await,
            Step::Silent(position) => self.positions.handled(position),
            Step::Rewound(position) => self.rewind(position).await,
        }
        self.positions.announce_progress();
    }

    async fn deliver(&self, stored: StoredMessage) {
        let Some(client) = Client::upgrade(&self.client) else {
            return;
        };
        let message = Message::from(stored);
        let position = message.position();
        if is_planted(Bug::AckBeforeHandling) {
            self.positions.handled(position.clone());
            self.positions.announce_progress();
        }
        let call = async { self.handler.on_message(&client, message).await };
        if self.panicked(call).await {
            self.report(Event::HandlerPanicked).await;
        }
        self.positions.handled(position);
    }

    async fn rewind(&self, position: Position) {
        self.positions.handled(position.clone());
        let Position {
            conversation,
            sequence,
            ..
        } = position;
        self.report(match sequence {
            Sequence(0) => Event::Reset { conversation },
            after => Event::Rewound {
                conversation,
                after,
            },
        })
        .await;
    }

    async fn report(&self, event: Event) {
        let call = async { self.handler.on_event(event).await };
        if self.panicked(call).await {
            tracing::warn!("the handler panicked in on_event");
        }
    }

    async fn panicked(&self, call: impl Future<Output = ()>) -> bool {
        let call = CALLER.scope(self.client.clone(), call);
        AssertUnwindSafe(call).catch_unwind().await.is_err()
    }
}
