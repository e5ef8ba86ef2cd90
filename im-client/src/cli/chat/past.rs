//! Looking back: `:history` and `:search`.

use im_common::id::Sequence;
use im_common::message::Recipient;
use rust_i18n::t;

use super::{Chat, Exit};
use crate::cli::archive::{Next, Part, Query};
use crate::cli::scrollback::look_back;
use crate::{Client, Message};

/// Matches shown at once: about a screen.
const PAGE: usize = 20;

/// What `:more` asks for.
#[derive(Debug, Clone)]
pub(super) enum More {
    /// Users online: the prefix, and the place in the list.
    Online(String, String),
    /// Older matches.
    Found(Query, Next),
    /// Older messages of a conversation: those before a place, so many.
    Past(Recipient, Sequence, usize),
}

impl Chat {
    pub(super) async fn look_back(
        &mut self,
        with: &Recipient,
        before: Option<Sequence>,
        limit: usize,
    ) {
        let Some(client) = self.connected().await else {
            return;
        };
        let part = Part {
            before,
            before_ms: None,
            limit,
        };
        let archive = self.archive.clone();
        let asked = look_back(&client, &archive, with, part);
        let Some(past) = self.answer_to(asked).await else {
            return;
        };
        let reader = client.identity();
        archive.introduce(reader, &self.names, &past.messages).await;
        self.learn_peer(&client, with, &past.messages);
        let show = |message: &Message| super::show(&self.view, &self.names, reader, message);
        self.print(past.messages.iter().map(show).collect()).await;
        if let Some(error) = past.unreached {
            self.tell(&t!("archive.only_here", why = error)).await;
        } else if past.messages.is_empty() {
            self.tell(&t!("chat.nothing_was_said")).await;
        }
        let oldest = past.messages.first().map(|oldest| oldest.sequence);
        let older = oldest.filter(|oldest| *oldest > Sequence(1));
        self.next_page = older.map(|oldest| More::Past(with.clone(), oldest, limit));
    }

    /// The other side may not have said anything yet, but was named by the user.
    fn learn_peer(&self, client: &Client, with: &Recipient, messages: &[Message]) {
        let me = client.identity().user;
        let peer = messages
            .first()
            .and_then(|first| first.conversation.peer_of(me));
        if let (Recipient::Name(name), Some(peer)) = (with, peer) {
            self.names.learn_as_typed(peer, name.as_str());
        }
    }

    pub(super) async fn search_for(&mut self, typed: &str) {
        match typed.parse::<Query>() {
            Ok(query) => self.search(query, None).await,
            Err(error) => self.fail(Exit::Fixable, &error.to_string()).await,
        }
    }

    pub(super) async fn search(&mut self, query: Query, next: Option<Next>) {
        let Some(client) = self.connected().await else {
            return;
        };
        let found = match self.archive.search(&query, next, PAGE).await {
            Ok(found) => found,
            Err(error) => {
                let unusable = t!("archive.unusable", why = error);
                return self.fail(Exit::Internal, &unusable).await;
            }
        };
        let reader = client.identity();
        self.archive
            .introduce(reader, &self.names, &found.messages)
            .await;
        let messages = found.messages.iter();
        let show = |message| self.view.found(message, reader, (&self.names, &query));
        self.print(messages.map(show).collect()).await;
        if found.messages.is_empty() {
            self.tell(&t!("archive.nothing_found")).await;
        }
        self.next_page = found.next.map(|next| More::Found(query, next));
        if self.next_page.is_some() {
            self.tell(&t!("archive.more")).await;
        }
    }
}
