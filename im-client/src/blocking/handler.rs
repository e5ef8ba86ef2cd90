//! Plain closures as handlers, with a client whose calls wait.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::{Client, Shared};
use crate::handler::{IntoHandler, MessageHandler};
use crate::message::Message;

impl<F> IntoHandler<(Client, Message)> for F
where
    F: Fn(Client, Message) + Send + Sync + 'static,
{
    fn into_handler(self) -> Arc<dyn MessageHandler> {
        Arc::new(Plain(self))
    }
}

/// Handlers are called where they may block.
struct Plain<F>(F);

#[async_trait]
impl<F> MessageHandler for Plain<F>
where
    F: Fn(Client, Message) + Send + Sync + 'static,
{
    async fn on_message(&self, client: &crate::Client, message: Message) {
        let shared = Shared {
            client: client.clone(),
            runtime: Handle::current(),
            thread: None,
        };
        let client = Client {
            shared: Arc::new(shared),
        };
        (self.0)(client, message);
    }
}
