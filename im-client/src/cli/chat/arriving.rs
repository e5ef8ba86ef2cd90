//! What arrives during a chat: messages, and news about the client itself.

use std::future::pending;

use async_trait::async_trait;
use im_common::message::Identity;
use rust_i18n::t;

use super::conversations::{Arrived, Conversations, Showing};
use crate::cli::archive::Archive;
use crate::cli::names::Names;
use crate::cli::render::{View, mention, notice};
use crate::cli::screen::{Gone, Screen};
use crate::{Client, Error, ErrorKind, Event, Message, MessageHandler};

/// Rings the terminal.
const BELL: char = '\u{7}';

/// Shows messages on the screen.
pub(super) struct Arriving {
    pub(super) screen: Screen,
    pub(super) names: Names,
    pub(super) view: View,
    pub(super) archive: Archive,
    /// What is in focus; in a pipe everything is shown.
    pub(super) conversations: Option<Conversations>,
    /// Whether the terminal rings for what is meant for its user.
    pub(super) has_bell: bool,
}

#[async_trait]
impl MessageHandler for Arriving {
    async fn on_message(&self, client: &Client, message: Message) {
        self.archive
            .record(client.identity(), message.clone())
            .await;
        if self.show(client.identity(), &message).await.is_err() {
            // Nobody saw it: it waits in the cluster for the next run.
            pending::<()>().await;
        }
    }

    async fn on_event(&self, event: Event) {
        // Changes of the connection are told by the chat, which also ends with it.
        let news = match event {
            Event::Reset { conversation } => {
                self.archive.reset(conversation.clone()).await;
                t!("chat.reset", conversation = conversation)
            }
            Event::Rewound { conversation, .. } => {
                t!("chat.rewound", conversation = conversation)
            }
            _ => return,
        };
        let _ = self.screen.print(notice(&news)).await;
    }

    async fn on_error(&self, error: Error) {
        if error.kind() == ErrorKind::HandlerPanicked {
            let news = notice(&t!("chat.handler_panicked"));
            let _ = self.screen.print(news).await;
        }
    }
}

impl Arriving {
    async fn show(&self, reader: &Identity, message: &Message) -> Result<(), Gone> {
        let mut shown = show(&self.view, &self.names, reader, message);
        let Some(conversations) = &self.conversations else {
            // A pipe is given the message before the cluster hears that it was handled.
            return self.screen.print(shown).await;
        };
        let is_own = message.sender == reader.user;
        let is_mention = !is_own && mention::is_in(&message.text, reader.name.as_str());
        let showing = conversations.showing(Arrived {
            conversation: &message.conversation,
            shown: &shown,
            is_own,
            is_mention,
        });
        match showing {
            Showing::Full => {}
            Showing::Announced => shown = self.view.announcement(message),
            Showing::Counted { is_first: true } => shown = notice(&t!("chat.new_in_lobby")),
            Showing::Counted { is_first: false } => return Ok(()),
        }
        if self.has_bell && !is_own && (is_mention || message.is_private()) {
            shown.push(BELL);
        }
        // Many may come at once; the screen draws them together.
        self.screen.hand_over(shown).await
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
