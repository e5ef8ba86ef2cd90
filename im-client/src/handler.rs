//! The integrator's side: what is called when messages and events arrive.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use im_common::id::{ConversationId, Sequence};

use crate::client::Client;
use crate::message::Message;
use crate::state::ConnectionState;

/// Receives what arrives for one client.
///
/// Calls come one at a time, in the order of each conversation. A slow handler slows only its own
/// client: what it has no time for waits in the cluster.
#[async_trait]
pub trait MessageHandler: Send + Sync + 'static {
    /// Called exactly once for each message that somebody else, or another device of the same
    /// user, has sent. The message counts as handled when this returns, also if it panics; a
    /// client that ends before that is handed the message again when it comes back.
    async fn on_message(&self, client: &Client, message: Message);

    /// Called when something about the client itself changes. Events are for people and logs: when
    /// the handler is so far behind that 64 of them wait, further ones are dropped;
    /// [`Client::state`] is always up to date.
    async fn on_event(&self, event: Event) {
        let _ = event;
    }
}

/// Something that happened to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
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
    /// The handler panicked; the message it was called with counts as handled.
    HandlerPanicked,
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

/// Whatever can be turned into a handler: a [`MessageHandler`], or an async closure that takes a
/// [`Client`] and a [`Message`], or only a [`Message`].
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
    impl MessageHandler for Nothing {
        async fn on_message(&self, _client: &Client, _message: Message) {}
    }

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
    }
}
