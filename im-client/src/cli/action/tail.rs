//! `im tail`: prints messages as they come.
//!
//! A message counts as handled once it is written, so none is lost between two runs.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::close;
use crate::cli::args::Account;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::login::Login;
use crate::cli::names::Names;
use crate::cli::render::{View, json};
use crate::cli::screen::Screen;
use crate::cli::signals::{Signals, until_signal};
use crate::cli::{chat, status, tell};
use crate::{Client, ConnectionState, Event, Message, MessageHandler};

/// Prints until a signal comes, `count` messages are printed, or nobody reads them.
pub(in crate::cli) async fn run(
    account: &Account,
    count: Option<u64>,
    json: bool,
) -> Result<Exit, Failure> {
    let login = until_signal(Login::gather(account, "tail")).await?;
    let mut signals = Signals::listen()?;
    let tail = Arc::new(Tail {
        screen: Screen::plain()?,
        format: if json {
            Format::Json
        } else {
            Format::Text(View::of_terminal())
        },
        names: Names::default(),
        left: AtomicU64::new(count.unwrap_or(u64::MAX)),
        done: Notify::new(),
    });
    let connecting = async { Ok(login.builder().handler(Arc::clone(&tail)).connect().await?) };
    let client = until_signal(connecting).await?;
    let ended = tokio::select! {
        biased;
        () = tail.done.notified() => Ok(Exit::Done),
        () = tail.screen.gone() => Ok(Exit::Done),
        exit = signals.next() => Ok(exit),
        failure = refused(&client) => Err(failure),
    };
    close(&client).await;
    ended
}

/// Resolves when the cluster does not want this client any more.
async fn refused(client: &Client) -> Failure {
    let mut state = client.state();
    // The sender lives as long as the client.
    let state = state.wait_for(ConnectionState::is_final).await;
    let state = state.map_or(ConnectionState::Closed, |state| state.clone());
    status::ending(&state)
}

enum Format {
    Text(View),
    Json,
}

struct Tail {
    screen: Screen,
    format: Format,
    names: Names,
    /// How many messages remain to be printed.
    left: AtomicU64,
    done: Notify,
}

#[async_trait]
impl MessageHandler for Tail {
    async fn on_message(&self, client: &Client, message: Message) {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            // Not handled: it waits in the cluster for the next run.
            return pending().await;
        }
        let text = match &self.format {
            Format::Json => json::message(&message),
            Format::Text(view) => chat::show(view, &self.names, client.identity(), &message),
        };
        if self.screen.print(text).await.is_err() {
            return pending().await;
        }
        // Calls come one at a time.
        self.left.store(left - 1, Ordering::Relaxed);
        if left == 1 {
            // From here, so that this message is acked and no further one is begun.
            self.done.notify_one();
            client.close().await;
        }
    }

    async fn on_event(&self, event: Event) {
        match event {
            Event::StateChanged(ConnectionState::BackingOff { reason, .. }) => {
                tell(&format!("reconnecting: {reason}"));
            }
            Event::Reset { conversation } => {
                tell(&format!(
                    "{conversation} began anew: its earlier messages are gone"
                ));
            }
            Event::Rewound { conversation, .. } => {
                tell(&format!(
                    "{conversation} lost its newest messages; their senders send them again"
                ));
            }
            _ => {}
        }
    }
}
