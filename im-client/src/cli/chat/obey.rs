//! What the commands do.

use std::fmt::Write;
use std::future::Future;

use rust_i18n::t;

use super::{Chat, Exit};
use crate::cli::command::{COMMANDS, Command, CommandLine, LINES};
use crate::cli::failure::explain;
use crate::cli::{emoji, status};
use crate::{Client, Error};

impl Chat {
    pub(super) async fn obey(&mut self, command: Command) {
        match command {
            Command::To(whom) => self.turn_to(whom).await,
            Command::Unread => self.tell_unread().await,
            Command::Who => self.tell_who().await,
            Command::Online(prefix) => self.list(prefix, None).await,
            Command::More => self.list_more().await,
            Command::History { with, limit } => self.look_back(&with, None, limit).await,
            Command::Search(typed) => self.search_for(&typed).await,
            Command::SearchByQ(typed) => {
                self.search_for(&typed).await;
                self.tell(&t!("archive.better_name")).await;
            }
            Command::Delay(asked) => self.delay(asked).await,
            Command::Emoji(page) => self.show_emoji(page).await,
            Command::Ai(is_on) => {
                self.is_ai = is_on;
                let changed = match is_on {
                    true => t!("chat.ai_begins"),
                    false => t!("chat.ai_ends"),
                };
                self.tell(&changed).await;
            }
            Command::Info => self.introduce().await,
            Command::All => self.print(everything()).await,
            Command::Help(command) => self.print(help(command)).await,
            // Leaving is decided by the loop.
            Command::Quit | Command::QuitAtOnce => {}
        }
    }

    async fn show_emoji(&mut self, page: usize) {
        match emoji::page(page) {
            (Some(lines), pages) => {
                self.print(lines).await;
                self.tell(&t!("chat.emoji_page", page = page, pages = pages))
                    .await;
            }
            (None, pages) => {
                let none = t!("chat.no_emoji_page", pages = pages);
                self.fail(Exit::Fixable, &none).await;
            }
        }
    }

    async fn introduce(&mut self) {
        let Some(client) = self.connected().await else {
            return;
        };
        let identity = client.identity();
        let (name, id, device) = (&identity.name, identity.user, &identity.device);
        let state = status::describe(&client.state().borrow());
        for line in [
            t!("chat.info.user", name = name, id = id).into_owned(),
            t!("chat.info.device", device = device).into_owned(),
            state,
            format!("im {}", env!("CARGO_PKG_VERSION")),
        ] {
            self.tell(&line).await;
        }
    }

    /// The client, or word that there is none yet.
    pub(super) async fn connected(&mut self) -> Option<Client> {
        let client = self.link.client().cloned();
        if client.is_none() {
            self.fail(Exit::Unavailable, &t!("chat.not_connected"))
                .await;
        }
        client
    }

    /// Waits for an answer of the cluster; Ctrl-C gives it up, and a failure is told.
    pub(super) async fn answer_to<T>(
        &mut self,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Option<T> {
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
                self.fail(Exit::from(&error), &explain(&error)).await;
                None
            }
        }
    }

    pub(super) async fn print(&self, lines: String) {
        if !lines.is_empty() {
            // Nobody reads any more: the loop ends with the next step.
            let _ = self.screen.print(lines).await;
        }
    }
}

fn everything() -> String {
    let mut lines = String::new();
    for (typed, summary) in LINES {
        describe(&mut lines, typed, &summary());
    }
    for command in COMMANDS {
        describe(&mut lines, &command.usage(), &(command.summary)());
    }
    lines
}

fn help(command: &CommandLine) -> String {
    let mut lines = String::new();
    describe(&mut lines, &command.usage(), &(command.summary)());
    if let Some(details) = command.details {
        describe(&mut lines, "", &details());
    }
    lines
}

fn describe(lines: &mut String, typed: &str, summary: &str) {
    writeln!(lines, "  {typed:<20} {summary}").expect("a string takes any text");
}
