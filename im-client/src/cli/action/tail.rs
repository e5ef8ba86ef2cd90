//! `im tail`: prints messages as they come.
//!
//! A message counts as handled once it is written or passed over, so none is lost between two runs.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use im_common::id::ConversationId;
use im_common::message::Recipient;
use im_common::name::UserName;
use rust_i18n::t;
use tokio::sync::{Notify, SetOnce};

use super::{archive_of, close};
use crate::cli::archive::Archive;
use crate::cli::args::{Account, Manners, Tail};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::login::Login;
use crate::cli::names::Names;
use crate::cli::render::{Format, json};
use crate::cli::screen::Screen;
use crate::cli::signals::{Signals, until_signal};
use crate::cli::{chat, status, tell};
use crate::{Client, ConnectionState, Event, Message, MessageHandler};

/// Prints until a signal comes, `count` messages are printed, or nobody reads them.
pub(in crate::cli) async fn run(
    account: &Account,
    manners: &Manners,
    wanted: &Tail,
) -> Result<Exit, Failure> {
    let login = until_signal(Login::gather(account, "tail")).await?;
    let mut signals = Signals::listen()?;
    let mut archive = archive_of(account)?;
    let printer = Arc::new(Printer {
        screen: Screen::plain()?,
        format: Format::of(wanted.json, manners.colour),
        is_quiet: manners.quiet,
        names: Names::default(),
        archive: archive.clone(),
        conversations: SetOnce::new(),
        senders: wanted.from.iter().map(UserName::folded).collect(),
        left: AtomicU64::new(wanted.count.unwrap_or(u64::MAX)),
        done: Notify::new(),
    });
    let connecting = login.builder().handler(Arc::clone(&printer)).connect();
    let connecting = async { connecting.await.map_err(|error| login.explain(error)) };
    let client = until_signal(connecting).await?;
    let ended = tokio::select! {
        biased;
        () = printer.done.notified() => Ok(Exit::Done),
        () = printer.screen.gone() => Ok(Exit::Done),
        exit = signals.next() => Ok(exit),
        Err(failure) = printer.choose(&client, &wanted.with) => Err(failure),
        failure = refused(&client) => Err(failure),
        never = printer.tell_troubles(&mut archive) => match never {},
    };
    close(&client).await;
    if let Some(trouble) = archive.close().await {
        printer.note(&trouble.to_string());
    }
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

/// Prints what is wanted of what comes.
struct Printer {
    screen: Screen,
    format: Format,
    is_quiet: bool,
    names: Names,
    archive: Archive,
    /// The conversations to print, once they are looked up; all when there are none.
    conversations: SetOnce<Vec<ConversationId>>,
    /// The names of those whose messages are printed, folded; all when there are none.
    senders: Vec<String>,
    /// How many messages remain to be printed.
    left: AtomicU64,
    done: Notify,
}

impl Printer {
    /// Looks up which conversations are meant.
    async fn choose(&self, client: &Client, with: &[Recipient]) -> Result<(), Failure> {
        let mut conversations = Vec::with_capacity(with.len());
        for recipient in with {
            conversations.push(client.conversation(recipient).await?);
        }
        // This is called once.
        let _ = self.conversations.set(conversations);
        Ok(())
    }

    async fn is_wanted(&self, message: &Message) -> bool {
        let conversations = self.conversations.wait().await;
        let sender = message.sender_name.folded();
        (conversations.is_empty() || conversations.contains(&message.conversation))
            && (self.senders.is_empty() || self.senders.contains(&sender))
    }

    async fn tell_troubles(&self, archive: &mut Archive) -> Infallible {
        loop {
            let trouble = archive.trouble().await;
            self.note(&trouble.to_string());
        }
    }

    fn note(&self, text: &str) {
        if !self.is_quiet {
            tell(text);
        }
    }
}

#[async_trait]
impl MessageHandler for Printer {
    async fn on_message(&self, client: &Client, message: Message) {
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            // Not handled: it waits in the cluster for the next run.
            return pending().await;
        }
        let is_wanted = self.is_wanted(&message).await;
        self.archive
            .record(client.identity(), message.clone())
            .await;
        if !is_wanted {
            return;
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
                self.note(&t!("shell.reconnecting", why = reason));
            }
            Event::Reset { conversation } => {
                self.archive.reset(conversation.clone()).await;
                self.note(&t!("shell.began_anew", conversation = conversation));
            }
            Event::Rewound { conversation, .. } => {
                self.note(&t!("shell.lost_newest", conversation = conversation));
            }
            _ => {}
        }
    }
}
