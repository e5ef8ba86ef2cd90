//! Whom the user talks with, and who is there.

use futures::future::BoxFuture;
use im_common::id::ConversationId;
use im_common::message::Recipient;
use rust_i18n::t;

use super::Chat;
use super::conversations::{Focus, Unread};
use super::past::More;
use crate::{Client, Error, OnlinePage};

/// Users listed at once: about a screen.
const PAGE: usize = 30;
/// Users whose names are asked for at the beginning: one page, whatever the size of the cluster.
const MET_AT_START: usize = 100;

/// Nobody is asked for.
pub(super) fn nobody() -> BoxFuture<'static, Result<OnlinePage, Error>> {
    Box::pin(std::future::pending())
}

impl Chat {
    /// Asks who is online, so that their names can be completed before they say anything.
    pub(super) fn meet(&mut self) {
        if let Some(client) = self.link.client().cloned() {
            let asked = async move { client.online("", None, MET_AT_START).await };
            self.meeting = Box::pin(asked);
        }
    }

    pub(super) fn met(&mut self, page: Result<OnlinePage, Error>) {
        self.meeting = nobody();
        // Nobody asked for it, so nobody misses it.
        let users = page.map(|page| page.users).unwrap_or_default();
        for user in users {
            self.names.learn(user.user, &user.name);
        }
    }

    /// Turns to another conversation, and shows what is new there.
    pub(super) async fn turn_to(&mut self, whom: Recipient) {
        let conversation = match &whom {
            // Needs no cluster.
            Recipient::Lobby => ConversationId::Lobby,
            other => {
                let Some(client) = self.connected().await else {
                    return;
                };
                let Some(found) = self.answer_to(client.conversation(other)).await else {
                    return;
                };
                self.learn_named(&client, other, &found);
                found
            }
        };
        let focus = self.focus_on(whom, conversation);
        let news = self.conversations.turn_to(focus);
        self.show_news(news).await;
    }

    fn focus_on(&self, whom: Recipient, conversation: ConversationId) -> Focus {
        let me = self.link.client().map(|client| client.identity().user);
        let peer = me.and_then(|me| conversation.peer_of(me));
        Focus {
            // The id saves looking up the name each time.
            to: peer.map_or(whom, Recipient::User),
            name: peer.map(|peer| self.names.of(peer)),
            conversation,
        }
    }

    fn learn_named(&self, client: &Client, named: &Recipient, found: &ConversationId) {
        let peer = found.peer_of(client.identity().user);
        if let (Recipient::Name(name), Some(peer)) = (named, peer) {
            self.names.learn_as_typed(peer, name.as_str());
        }
    }

    async fn show_news(&mut self, Unread { count, kept }: Unread) {
        if count == 0 {
            return;
        }
        let new = match count - kept.len() {
            0 => t!("chat.new", count = count),
            earlier => t!("chat.new_and_earlier", count = count, earlier = earlier),
        };
        self.tell(&new).await;
        self.print(kept.into_iter().collect()).await;
    }

    pub(super) async fn tell_unread(&mut self) {
        let unread = self.unread();
        if unread.is_empty() {
            self.tell(&t!("chat.nothing_unread")).await;
        }
        for line in unread {
            self.tell(&line).await;
        }
    }

    pub(super) async fn tell_who(&mut self) {
        let focus = match self.conversations.focus().name {
            Some(name) => t!("chat.talking_with", name = name),
            None => t!("chat.talking_to_lobby"),
        };
        self.tell(&focus).await;
        for line in self.unread() {
            self.tell(&line).await;
        }
        self.tell(&t!("chat.online")).await;
        self.list(String::new(), None).await;
    }

    /// What is unread, a line for each conversation.
    pub(super) fn unread(&self) -> Vec<String> {
        let me = self.link.client().map(|client| client.identity().user);
        let unread = self.conversations.unread().into_iter();
        unread
            .map(|(conversation, count)| {
                let peer = me.and_then(|me| conversation.peer_of(me));
                let name = peer.map_or_else(|| "lobby".to_owned(), |peer| self.names.of(peer));
                t!("chat.unread", count = count, name = name).into_owned()
            })
            .collect()
    }

    pub(super) async fn list_more(&mut self) {
        match self.next_page.clone() {
            Some(More::Online(prefix, after)) => self.list(prefix, Some(after)).await,
            Some(More::Found(query, next)) => self.search(query, Some(next)).await,
            Some(More::Past(with, before, limit)) => {
                self.look_back(&with, Some(before), limit).await;
            }
            None => self.tell(&t!("chat.no_more")).await,
        }
    }

    pub(super) async fn list(&mut self, prefix: String, after: Option<String>) {
        let Some(client) = self.connected().await else {
            return;
        };
        let asked = client.online(&prefix, after.as_deref(), PAGE);
        let Some(OnlinePage {
            users,
            next,
            partial,
        }) = self.answer_to(asked).await
        else {
            return;
        };
        let mut lines = String::new();
        for user in &users {
            self.names.learn(user.user, &user.name);
            lines.push_str(&self.view.user(user.user, &user.name, &prefix));
        }
        self.print(lines).await;
        if partial {
            self.tell(&t!("chat.partial_list")).await;
        } else if users.is_empty() {
            self.tell(&t!("chat.nobody")).await;
        }
        self.next_page = next.map(|next| More::Online(prefix, next));
        if self.next_page.is_some() {
            self.tell(&t!("chat.more")).await;
        }
    }
}
