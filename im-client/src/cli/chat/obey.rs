//! What the commands do.

use std::fmt::Write;
use std::future::Future;

use im_common::message::Recipient;

use super::{Chat, Exit};
use crate::cli::command::{COMMANDS, Command, LINES};
use crate::cli::status;
use crate::{Error, Message, OnlinePage};

/// Users listed at once: about a screen.
const PAGE: usize = 30;

impl Chat {
    pub(super) async fn obey(&mut self, command: Command) {
        match command {
            Command::Online(prefix) => self.list(prefix, None).await,
            Command::More => match self.next_page.clone() {
                Some((prefix, after)) => self.list(prefix, Some(after)).await,
                None => {
                    self.tell("there is no more; :olu lists who is online")
                        .await;
                }
            },
            Command::History { with, limit } => self.look_back(&with, limit).await,
            Command::Info => self.introduce().await,
            Command::Help => self.print(help()).await,
            // Leaving is decided by the loop.
            Command::Quit | Command::QuitAtOnce => {}
        }
    }

    async fn list(&mut self, prefix: String, after: Option<String>) {
        let client = self.client.clone();
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
            lines.push_str(&self.view.user(user.user, &user.name));
        }
        self.print(lines).await;
        if partial {
            self.tell("a part of the cluster did not answer: users may be missing")
                .await;
        } else if users.is_empty() {
            self.tell("nobody").await;
        }
        self.next_page = next.map(|next| (prefix, next));
        if self.next_page.is_some() {
            self.tell(":more lists the next").await;
        }
    }

    async fn look_back(&mut self, with: &Recipient, limit: usize) {
        let client = self.client.clone();
        let asked = client.history(with, None, limit);
        let Some(messages) = self.answer_to(asked).await else {
            return;
        };
        self.learn_peer(with, &messages);
        let reader = client.identity();
        let lines: String = messages
            .iter()
            .map(|message| super::show(&self.view, &self.names, reader, message))
            .collect();
        self.print(lines).await;
        if messages.is_empty() {
            self.tell("nothing was said").await;
        }
    }

    /// The other side may not have said anything yet, but was named by the user.
    fn learn_peer(&self, with: &Recipient, messages: &[Message]) {
        let me = self.client.identity().user;
        let peer = messages
            .first()
            .and_then(|first| first.conversation.peer_of(me));
        if let (Recipient::Name(name), Some(peer)) = (with, peer) {
            self.names.learn(peer, name.as_str());
        }
    }

    async fn introduce(&mut self) {
        let identity = self.client.identity();
        let state = status::describe(&self.client.state().borrow());
        for line in [
            format!("name {}, id {}", identity.name, identity.user),
            format!("device {}", identity.device),
            state,
            format!("im {}", env!("CARGO_PKG_VERSION")),
        ] {
            self.tell(&line).await;
        }
    }

    /// Waits for an answer of the cluster; Ctrl-C gives it up, and a failure is told.
    async fn answer_to<T>(&mut self, asked: impl Future<Output = Result<T, Error>>) -> Option<T> {
        let answer = tokio::select! {
            answer = asked => answer,
            exit = self.signals.next() => {
                // Ctrl-C at a prompt means only this question.
                let is_enough = self.is_edited && exit == Exit::Interrupted;
                self.signalled = (!is_enough).then_some(exit);
                return None;
            }
        };
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                self.fail(Exit::from(&error), &error.to_string()).await;
                None
            }
        }
    }

    async fn print(&self, lines: String) {
        if !lines.is_empty() {
            // Nobody reads any more: the loop ends with the next step.
            let _ = self.screen.print(lines).await;
        }
    }
}

fn help() -> String {
    let mut help = String::new();
    let mut line = |typed: &str, summary: &str| {
        writeln!(help, "  {typed:<20} {summary}").expect("a string takes any text");
    };
    for (typed, summary) in LINES {
        line(typed, summary);
    }
    for command in COMMANDS {
        line(&command.usage(), command.summary);
    }
    help
}
