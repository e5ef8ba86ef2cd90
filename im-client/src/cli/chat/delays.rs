//! `:delay`: what waits, what is due, and what became of it.

use std::time::Duration;

use rust_i18n::t;
use tokio::time::sleep;

use super::{Chat, Exit};
use crate::cli::command::{self, Delay, Line};
use crate::cli::delayed::{DELAYED_MAX, Delayed, DelayedFile, milliseconds, now_ms};
use crate::cli::outgoing::Sent;
use crate::cli::render::excerpt;
use crate::cli::{detached, state};

/// A laptop may sleep: how much later than due a text is sent when it wakes up.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// After nobody knows what became of it, a text is sent again under its id.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The texts of this account that wait, as far as this program knows.
#[derive(Debug, Default)]
pub(super) struct Delays {
    file: Option<DelayedFile>,
    waiting: Vec<Delayed>,
}

impl Delays {
    /// Resolves to a text that is due, which no longer waits here then. Cancel-safe.
    pub(super) async fn next(&mut self) -> Delayed {
        loop {
            let due_at_ms = self.waiting.iter().map(|delayed| delayed.due_at_ms).min();
            let Some(due_at_ms) = due_at_ms else {
                return std::future::pending().await;
            };
            let left = Duration::from_millis(due_at_ms.saturating_sub(now_ms()));
            sleep(left.min(LOOK_EVERY)).await;
            let due = self
                .waiting
                .iter()
                .position(|delayed| delayed.due_at_ms <= now_ms());
            if let Some(due) = due {
                return self.waiting.remove(due);
            }
        }
    }
}

impl Chat {
    /// Looks what waits from earlier runs.
    pub(super) async fn load_delays(&mut self) {
        let (Some(client), Ok(folder)) = (self.link.client(), state::state_dir()) else {
            return;
        };
        let file = DelayedFile::of(folder, client.identity());
        self.delays.file = Some(file.clone());
        match detached::run("delayed", move || file.list()).await {
            Ok(waiting) => self.delays.waiting = waiting,
            Err(error) => {
                self.tell(&t!("chat.delays_unreadable", error = error))
                    .await;
            }
        }
        let due = self.delays.waiting.iter();
        let due = due.filter(|delayed| delayed.due_at_ms <= now_ms()).count();
        if due > 0 {
            self.tell(&t!("chat.delays_came_due", count = due)).await;
        }
    }

    pub(super) async fn delay(&mut self, asked: Delay) {
        match asked {
            Delay::List => self.list_delays().await,
            Delay::Send { after, line } => self.keep_for_later(after, &line).await,
            Delay::Cancel(number) => self.cancel_delay(number).await,
        }
    }

    async fn list_delays(&mut self) {
        let lines: Vec<String> = self
            .delays
            .waiting
            .iter()
            .map(|delayed| {
                let at = self.view.moment(delayed.due_at_ms);
                let text = excerpt(&delayed.text);
                let (number, to) = (delayed.number, delayed.to());
                t!("chat.delay", number = number, at = at, to = to, text = text).into_owned()
            })
            .collect();
        if lines.is_empty() {
            self.tell(&t!("chat.no_delays")).await;
        }
        for line in lines {
            self.tell(&line).await;
        }
    }

    async fn keep_for_later(&mut self, after: Duration, line: &str) {
        let (to, text) = match command::parse(line) {
            Ok(Line::Say { to, text }) => (to, text),
            Ok(Line::Text(text)) => (self.conversations.focus().to, text),
            Ok(_) => return self.fail(Exit::Fixable, &t!("chat.delay_is_no_text")).await,
            Err(mistake) => return self.fail(Exit::Fixable, &mistake.to_string()).await,
        };
        let Some(file) = self.delays.file.clone() else {
            return self
                .fail(Exit::Unavailable, &t!("chat.not_connected"))
                .await;
        };
        let text = self.as_sent(text);
        let due_at_ms = now_ms().saturating_add(milliseconds(after));
        match detached::run("delayed", move || file.add(due_at_ms, &to, text)).await {
            Ok(Some(delayed)) => {
                let (number, to) = (delayed.number, delayed.to().to_owned());
                let at = self.view.moment(due_at_ms);
                self.delays.waiting.push(delayed);
                self.tell(&t!("chat.delayed", number = number, at = at, to = to))
                    .await;
            }
            Ok(None) => {
                let full = t!("chat.too_many_delays", count = DELAYED_MAX);
                self.fail(Exit::RateLimited, &full).await;
            }
            Err(error) => {
                let failed = t!("chat.delay_not_kept", error = error);
                self.fail(Exit::Internal, &failed).await;
            }
        }
    }

    async fn cancel_delay(&mut self, number: u64) {
        self.delays
            .waiting
            .retain(|delayed| delayed.number != number);
        match self.let_go(number).await {
            true => {
                self.tell(&t!("chat.delay_cancelled", number = number))
                    .await;
            }
            false => {
                let unknown = t!("chat.no_such_delay", number = number);
                self.fail(Exit::NotFound, &unknown).await;
            }
        }
    }

    /// Sends what is due, under the id that it always had.
    pub(super) async fn send_delayed(&mut self, delayed: Delayed) {
        let Some(file) = self.delays.file.clone() else {
            return;
        };
        let looked_for = delayed.clone();
        let held = detached::run("delayed", move || file.holds(&looked_for)).await;
        let message = held.unwrap_or(true).then(|| delayed.message()).flatten();
        if let (Some(client), Some((id, to))) = (self.link.client(), message) {
            let sending = client.send_as(id, to.clone(), delayed.text.as_str());
            let sent = Sent::new(&to, delayed.text.clone()).delayed(delayed);
            self.outgoing.add(sending, sent);
        }
    }

    /// One that nobody knows of whether it was sent is sent again later, others are let go.
    pub(super) async fn delayed_ended(&mut self, mut delayed: Delayed, is_known: bool) {
        if is_known {
            self.let_go(delayed.number).await;
            return;
        }
        delayed.due_at_ms = now_ms().saturating_add(milliseconds(AGAIN_AFTER));
        self.delays.waiting.push(delayed);
    }

    async fn let_go(&mut self, number: u64) -> bool {
        let Some(file) = self.delays.file.clone() else {
            return false;
        };
        let removed = detached::run("delayed", move || file.remove(number)).await;
        removed.unwrap_or_else(|error| {
            // It will be sent once more, under its id, and stored once.
            tracing::warn!(%error, number, "a delayed text could not be let go");
            false
        })
    }
}
