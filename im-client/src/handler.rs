//! The integrator's side: what is called when messages and events arrive.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use im_common::id::{ConversationId, MessageId, Sequence};
use im_common::message::Receipt;

use crate::client::Client;
use crate::error::Error;
use crate::message::Message;
use crate::sending::SendError;
use crate::state::ConnectionState;

/// Receives what arrives for one client. Every method has a default that does nothing: implement
/// those that matter.
///
/// Calls come one at a time, in the order of each conversation, with one exception
/// ([`Event::HandlerBehind`]). A slow handler slows only its own client: 256 messages wait in
/// memory, further ones in the cluster, however many.
///
/// # Where it runs
///
/// On threads that are kept for handlers, inside of the runtime that the client was connected in:
/// `tokio::spawn`, timers and sockets work as everywhere. A handler may block its thread, with
/// `std::thread::sleep`, a database driver that is not asynchronous or a long computation, even by
/// blocking on a future: heartbeats go on, and so does everything else in the process. Up to 256
/// handlers of a process may block at the same time; beyond it, further ones wait for their turn.
///
/// A runtime that ends drops a handler that waits, and leaves one that blocks behind without
/// waiting for it.
#[async_trait]
pub trait MessageHandler: Send + Sync + 'static {
    /// Called exactly once for each message that somebody else, or another device of the same
    /// user, has sent. The message counts as handled when this returns, also if it panics; a
    /// client that ends before that is handed the message again when it comes back.
    async fn on_message(&self, client: &Client, message: Message) {
        let _ = (client, message);
    }

    /// Called when something about the client itself changes. Events are for people and logs: when
    /// the handler is so far behind that 64 of them wait, further ones are dropped;
    /// [`Client::state`] is always up to date. Never called with [`Event::Message`] and
    /// [`Event::Error`], which have methods of their own.
    async fn on_event(&self, event: Event) {
        let _ = event;
    }

    /// Called when something goes wrong in the background that no caller can be told of: the
    /// handler panicked, or the other side sent what cannot be understood. The client goes on.
    /// What makes it reconnect is told by [`Event::StateChanged`] as well. Dropped as events are
    /// when too many wait.
    async fn on_error(&self, error: Error) {
        let _ = error;
    }
}

/// Something that happened to the client.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A message came. In [`Events`](crate::Events) only: a handler gets it with
    /// [`MessageHandler::on_message`].
    Message(Message),
    /// Something went wrong in the background. In [`Events`](crate::Events) only: a handler gets it
    /// with [`MessageHandler::on_error`].
    Error(Error),
    /// The connection is in another state.
    StateChanged(ConnectionState),
    /// A conversation's log began anew: what was stored before is gone, and sequences start at 1.
    Reset {
        /// The conversation.
        conversation: ConversationId,
    },
    /// The cluster lost the newest messages of a conversation although it had accepted them, as a
    /// store does that was not asked to be durable. Clients that sent them lately offer them again;
    /// those that come again and were handled here are not handled twice.
    Rewound {
        /// The conversation.
        conversation: ConversationId,
        /// What is up to this sequence stays as it was.
        after: Sequence,
    },
    /// The handler has not returned from a call for ten seconds; told once for each such call, and
    /// while it is still under way. Messages wait in the cluster meanwhile. Not in
    /// [`Events`](crate::Events), whose program sees for itself.
    HandlerBehind,
    /// A send that an earlier program left without an answer, and its [`Store`](crate::Store) kept, has
    /// ended. Never dropped, and told again to the next program if this one ends before it has handled
    /// it. Sends of this program tell by their [`Sending`](crate::Sending).
    SendEnded {
        /// The message's id.
        id: MessageId,
        /// How it ended.
        outcome: Result<Receipt, SendError>,
    },
    /// The server is about to stop; the client moves to another one.
    GoAway,
}

#[async_trait]
impl<H: MessageHandler + ?Sized> MessageHandler for Arc<H> {
    async fn on_message(&self, client: &Client, message: Message) {
        self.as_ref().on_message(client, message).await;
    }

    async fn on_event(&self, event: Event) {
        self.as_ref().on_event(event).await;
    }

    async fn on_error(&self, error: Error) {
        self.as_ref().on_error(error).await;
    }
}

#[async_trait]
impl<F, R> MessageHandler for F
where
    F: Fn(Client, Message) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send,
{
    async fn on_message(&self, client: &Client, message: Message) {
        self(client.clone(), message).await;
    }
}

/// Whatever can be turned into a handler: a [`MessageHandler`]; an async closure that takes a
/// [`Client`] and a [`Message`], or only a [`Message`]; a plain closure that takes a [`Message`], or,
/// with the feature `blocking`, a `blocking::Client` and a [`Message`].
///
/// `Kind` tells the cases apart and is always inferred.
pub trait IntoHandler<Kind> {
    /// Returns the handler.
    fn into_handler(self) -> Arc<dyn MessageHandler>;
}

impl<H: MessageHandler> IntoHandler<()> for H {
    fn into_handler(self) -> Arc<dyn MessageHandler> {
        Arc::new(self)
    }
}

impl<F, R> IntoHandler<fn(Message) -> R> for F
where
    F: Fn(Message) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    fn into_handler(self) -> Arc<dyn MessageHandler> {
        Arc::new(MessagesOnly(self, PhantomData))
    }
}

impl<F: Fn(Message) + Send + Sync + 'static> IntoHandler<(Message,)> for F {
    fn into_handler(self) -> Arc<dyn MessageHandler> {
        Arc::new(Plain(self))
    }
}

/// A closure that has nothing to wait for, or blocks.
struct Plain<F>(F);

#[async_trait]
impl<F: Fn(Message) + Send + Sync + 'static> MessageHandler for Plain<F> {
    async fn on_message(&self, _client: &Client, message: Message) {
        (self.0)(message);
    }
}

/// A closure that has no need of the client.
struct MessagesOnly<F, R>(F, PhantomData<fn() -> R>);

#[async_trait]
impl<F, R> MessageHandler for MessagesOnly<F, R>
where
    F: Fn(Message) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    async fn on_message(&self, _client: &Client, message: Message) {
        (self.0)(message).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    #[async_trait]
    impl MessageHandler for Nothing {}

    fn accepts<Kind>(handler: impl IntoHandler<Kind>) {
        let _handler: Arc<dyn MessageHandler> = handler.into_handler();
    }

    #[test]
    fn traits_and_closures_are_handlers() {
        let seen = Arc::new(());
        accepts(Nothing);
        accepts(Arc::new(Nothing));
        accepts(Arc::new(Nothing) as Arc<dyn MessageHandler>);
        accepts(async |_client: Client, _message: Message| {});
        accepts(async |_message: Message| {});
        accepts(move |_message: Message| {
            let seen = Arc::clone(&seen);
            async move { drop(seen) }
        });
        accepts(|_message: Message| {});
        #[cfg(feature = "blocking")]
        accepts(|_client: crate::blocking::Client, _message: Message| {});
    }
}
