//! What arrives during a chat: messages, and news about the client itself.

use std::future::pending;

use async_trait::async_trait;
use im_common::message::Identity;

use crate::cli::names::Names;
use crate::cli::render::{View, notice};
use crate::cli::screen::Screen;
use crate::{Client, Error, ErrorKind, Event, Message, MessageHandler};

/// Shows messages on the screen. A message counts as handled once it is written.
pub(super) struct Arriving {
    pub(super) screen: Screen,
    pub(super) names: Names,
    pub(super) view: View,
}

#[async_trait]
impl MessageHandler for Arriving {
    async fn on_message(&self, client: &Client, message: Message) {
        let text = show(&self.view, &self.names, client.identity(), &message);
        if self.screen.print(text).await.is_err() {
            // Nobody saw it: it waits in the cluster for the next run.
            pending::<()>().await;
        }
    }

    async fn on_event(&self, event: Event) {
        // Changes of the connection are told by the chat, which also ends with it.
        let news = match event {
            Event::Reset { conversation } => {
                format!("{conversation} began anew: its earlier messages are gone")
            }
            Event::Rewound { conversation, .. } => {
                format!("{conversation} lost its newest messages; their senders send them again")
            }
            _ => return,
        };
        let _ = self.screen.print(notice(&news)).await;
    }

    async fn on_error(&self, error: Error) {
        if error.kind() == ErrorKind::HandlerPanicked {
            let news = notice("a message could not be shown; this is a bug");
            let _ = self.screen.print(news).await;
        }
    }
}

/// Renders a message, and remembers who sent it.
pub(in crate::cli) fn show(
    view: &View,
    names: &Names,
    reader: &Identity,
    message: &Message,
) -> String {
    names.learn(message.sender, message.sender_name.as_str());
    let peer = message.conversation.peer_of(reader.user);
    let peer = peer.map_or_else(String::new, |peer| names.of(peer));
    view.message(message, reader, &peer)
}
