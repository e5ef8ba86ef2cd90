//! What the user says: on its way to the cluster, and what becomes of it.

use im_common::message::{Receipt, Recipient};
use rust_i18n::t;

use super::delivery::DeliveryNews;
use super::{Chat, Exit, ai};
use crate::cli::failure::explain_send;
use crate::cli::outgoing::{Answered, News, Sent};
use crate::cli::render::notice;
use crate::cli::{archive, emoji};
use crate::{Client, Message};

/// Texts that are typed before the first connection: as many as a person types in that time.
const EARLY_MAX: usize = 32;

impl Chat {
    /// A plain line: for the conversation in focus, or for nobody.
    pub(super) async fn say_plainly(&mut self, text: String) {
        if self.is_ai {
            let answer = t!("chat.ai_answer", text = ai::answer(&text));
            return self.print(notice(&answer)).await;
        }
        let to = self.conversations.focus().to;
        self.say(to, text).await;
    }

    pub(super) async fn say(&mut self, to: Recipient, text: String) {
        let text = self.as_sent(text);
        let Some(client) = self.link.client() else {
            return self.keep_early(to, text).await;
        };
        if !self.outgoing.has_room() {
            let full = t!("chat.too_much_unanswered", text = text);
            self.fail(Exit::RateLimited, &full).await;
            return;
        }
        let sending = client.send(to.clone(), text.as_str());
        self.outgoing.add(sending, Sent::new(&to, text));
    }

    /// A text as it leaves: a person at a prompt types emoji by name, a program says what it means.
    pub(super) fn as_sent(&self, text: String) -> String {
        match self.is_edited {
            true => emoji::replaced(&text),
            false => text,
        }
    }

    async fn keep_early(&mut self, to: Recipient, text: String) {
        if self.early.len() >= EARLY_MAX {
            let full = t!("chat.too_much_unanswered", text = text);
            return self.fail(Exit::RateLimited, &full).await;
        }
        if self.early.is_empty() {
            self.tell(&t!("chat.sent_when_connected")).await;
        }
        self.early.push((to, text));
    }

    /// Sends what was typed before there was a connection.
    pub(super) async fn send_early(&mut self) {
        for (to, text) in std::mem::take(&mut self.early) {
            self.say(to, text).await;
        }
    }

    /// Tells what was typed and will not be sent.
    pub(super) async fn give_up_early(&mut self) {
        for (_, text) in std::mem::take(&mut self.early) {
            self.fail(Exit::Unavailable, &t!("chat.not_sent_early", text = text))
                .await;
        }
    }

    pub(super) async fn follow(&mut self, news: News) {
        match news {
            News::Late => {
                let late = t!("chat.late", count = self.outgoing.len());
                self.tell(&late).await;
            }
            News::Answered(answered) => self.ended(*answered).await,
        }
        if self.outgoing.has_caught_up() {
            self.tell(&t!("chat.caught_up")).await;
        }
    }

    async fn ended(&mut self, Answered { sent, result, .. }: Answered) {
        let what = sent.what().to_owned();
        let exit = result.as_ref().map_or_else(Exit::from, |_| Exit::Done);
        match result {
            Ok(receipt) => self.accepted(&receipt, &sent).await,
            Err(error) if exit == Exit::Unknown => {
                let unknown = t!("chat.unknown", what = what, reason = explain_send(&error));
                self.fail(exit, &unknown).await;
            }
            Err(error) => {
                let refused = t!("chat.not_sent", what = what, reason = explain_send(&error));
                self.fail(exit, &refused).await;
            }
        }
        if let Some(delayed) = sent.delayed {
            self.delayed_ended(delayed, exit != Exit::Unknown).await;
        }
    }

    /// Shows an own message where the cluster put it, and follows whether it is delivered.
    async fn accepted(&mut self, receipt: &Receipt, sent: &Sent) {
        let Some(client) = self.link.client() else {
            return;
        };
        let accepted = archive::Sent {
            to: &sent.to,
            receipt,
            text: &sent.text,
        };
        self.archive.record_sent(client.identity(), accepted).await;
        if !self.is_edited {
            return;
        }
        let message = own_message(client, receipt, &sent.text);
        let reader = client.identity();
        let peer = message.conversation.peer_of(reader.user);
        if let (Some(peer), Recipient::Name(name)) = (peer, &sent.to) {
            self.names.learn_as_typed(peer, name.as_str());
        }
        let name = peer.map_or_else(String::new, |peer| self.names.of(peer));
        let shown = self.view.accepted(&message, reader, &name);
        if let Some(peer) = peer.filter(|peer| *peer != reader.user) {
            self.delivery.add(peer, receipt.position.clone());
        }
        self.print(shown).await;
    }

    pub(super) async fn delivered(&mut self, news: DeliveryNews) {
        let line = match news {
            DeliveryNews::Missing(peer) => t!("chat.not_delivered", name = self.names.of(peer)),
            DeliveryNews::Delivered(peer) => t!("chat.delivered", name = self.names.of(peer)),
        };
        self.tell(&line).await;
    }
}

/// An own message, as the log holds it.
fn own_message(client: &Client, receipt: &Receipt, text: &str) -> Message {
    let identity = client.identity();
    let position = &receipt.position;
    Message {
        id: receipt.id,
        conversation: position.conversation.clone(),
        sequence: position.sequence,
        epoch: position.epoch,
        sender: identity.user,
        sender_name: identity.name.clone(),
        sender_device: Some(identity.device.clone()),
        accepted_at_ms: receipt.accepted_at_ms,
        text: text.to_owned(),
    }
}
