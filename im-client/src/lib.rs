//! The SDK of the IM cluster: an account sends and receives, over as many connections as it takes.
//!
//! The smallest bot is fifteen lines long (`examples/echo_bot.rs`). This tutorial builds one that
//! survives servers that stop, networks that break and its own mistakes; whole, and ready to run, it
//! is `examples/tutorial.rs`.
//!
//! # Tutorial
//!
//! ## An account
//!
//! Everybody who talks has an account, programs too. An error has a [`Code`] of the table to act on,
//! when it is the cluster that says no:
//!
//! ```no_run
//! # use im_client::{Code, register};
//! # const PASSWORD: &str = "";
//! /// Makes sure that there is an account of that name.
//! async fn ensure_account(route: &str, name: &str) -> Result<(), im_client::Error> {
//!     match register(&[route], name, PASSWORD).await {
//!         Ok(user) => println!("{name} is user {user}"),
//!         Err(error) if error.code() == Some(Code::NAME_TAKEN) => println!("{name} is there"),
//!         Err(error) => return Err(error),
//!     }
//!     Ok(())
//! }
//! ```
//!
//! ## A handler
//!
//! What arrives is handed to a [`MessageHandler`], one message at a time, in the order of each
//! conversation. All of its methods have defaults that do nothing. A message is acked when
//! [`on_message`](MessageHandler::on_message) returns: a program that is killed before is handed it
//! again. The handler may wait, even block its thread, and nobody else waits with it; a panic is
//! caught and told to [`on_error`](MessageHandler::on_error).
//!
//! ```no_run
//! # use im_client::{Client, Event, Message, MessageHandler, async_trait};
//! /// Answers private messages.
//! struct Bot;
//!
//! #[async_trait]
//! impl MessageHandler for Bot {
//!     async fn on_message(&self, client: &Client, message: Message) {
//!         let is_own = message.sender == client.identity().user;
//!         if is_own || !message.is_private() {
//!             return;
//!         }
//!         let answer = match message.text.as_str() {
//!             "help" => "I count the letters of what you say".to_owned(),
//!             text => format!("{} letters", text.chars().count()),
//!         };
//!         if let Err(error) = client.reply(&message, answer).await {
//!             println!("no answer for {}: {error}", message.sender_name);
//!         }
//!     }
//!
//!     async fn on_event(&self, event: Event) {
//!         println!("the bot: {event:?}");
//!     }
//!
//!     async fn on_error(&self, error: im_client::Error) {
//!         println!("the bot: {error}");
//!     }
//! }
//! ```
//!
//! A closure will do where messages are all that matters:
//! `.handler(async |client: Client, message: Message| { ... })`.
//!
//! ## A connection
//!
//! [`ClientBuilder::connect`] logs in and attaches to a server. From then on the client looks after
//! itself: it notices when the connection breaks, comes back on another server if need be, and asks
//! for what it missed. What arrives while the program is not running waits in the cluster, for each
//! device by its name.
//!
//! ```no_run
//! # use std::path::Path;
//! # use im_client::{Client, FileStore};
//! # const PASSWORD: &str = "";
//! # struct Bot;
//! # impl im_client::MessageHandler for Bot {}
//! /// Connects the bot, which keeps in the folder how far it is.
//! async fn start_bot(route: &str, folder: &Path) -> Result<Client, im_client::Error> {
//!     Client::builder()
//!         .route(route)
//!         .user("tutorial-bot")
//!         .password(PASSWORD)
//!         .device("the-only-one")
//!         .store(FileStore::new(folder.join("bot")))
//!         .handler(Bot)
//!         .connect()
//!         .await
//! }
//! ```
//!
//! The [`FileStore`] keeps what must survive the program: up to where the handler has finished, and
//! the sends that have no answer yet. With it, or a [`Store`] of your own, each message is handled once
//! and no send is forgotten, however often the program ends and in whatever way.
//! [`ClientBuilder::token`] brings a program back without the password: [`Client::token`] has what to
//! keep for that.
//!
//! ## Sending
//!
//! [`Client::send`] returns at once, with the message on its way; awaiting the [`Sending`] tells how
//! it ended: stored, with a [`Receipt`]; refused, with a [`Code`]; or unknown, when there was no
//! answer in time. Then the same message under the same id is safe to send: it is stored once.
//!
//! ```no_run
//! # use im_client::{Client, Recipient, SendError};
//! /// Says something and makes sure that it is stored.
//! async fn say(client: &Client, to: &Recipient, text: &str) -> Result<(), SendError> {
//!     let sending = client.send(to.clone(), text);
//!     let id = sending.id();
//!     let mut outcome = sending.await;
//!     while outcome == Err(SendError::Unknown) {
//!         outcome = client.send_as(id, to.clone(), text).await;
//!     }
//!     let receipt = outcome?;
//!     println!("stored as number {}: {text}", receipt.position.sequence);
//!     Ok(())
//! }
//! ```
//!
//! ## A stream instead of a handler
//!
//! A program that would rather ask than be called takes the same as a stream of [`Event`]s. What it
//! does not ask for waits, first in memory, then in the cluster; see [`Events`].
//!
//! ```no_run
//! # use std::error::Error;
//! # use im_client::{Client, Event, Recipient, SendError};
//! # const PASSWORD: &str = "";
//! # async fn say(_: &Client, _: &Recipient, _: &str) -> Result<(), SendError> { Ok(()) }
//! async fn talk(route: &str) -> Result<(), Box<dyn Error>> {
//!     let builder = Client::builder().route(route).user("tutorial-user");
//!     let builder = builder.password(PASSWORD);
//!     let (client, mut events) = builder.connect_with_events().await?;
//!     let bot: Recipient = "tutorial-bot".parse()?;
//!     for text in ["help", "four words, no more"] {
//!         say(&client, &bot, text).await?;
//!         while let Some(event) = events.next().await {
//!             match event {
//!                 Event::Message(message) if message.is_private() => {
//!                     println!("{}: {:?}", message.sender_name, message.text);
//!                     break;
//!                 }
//!                 Event::Message(_) => {}
//!                 other => println!("the user: {other:?}"),
//!             }
//!         }
//!     }
//!     events.handled();
//!     client.close().await;
//!     Ok(())
//! }
//! ```
//!
//! ## How it stands
//!
//! [`Client::state`] is a [`watch`](tokio::sync::watch) channel: what the client is doing about its
//! connection, now and whenever it changes. It gives up only when the cluster refuses it for good,
//! as after a newer login on the same device.
//!
//! ```no_run
//! # use im_client::{Client, ConnectionState};
//! /// Tells whenever the bot is cut off and comes back, until its end.
//! async fn watch(bot: &Client) {
//!     let mut state = bot.state();
//!     loop {
//!         match &*state.borrow_and_update() {
//!             ConnectionState::Attached { server } => println!("the bot is up to date, on {server}"),
//!             ConnectionState::BackingOff { reason, .. } => println!("the bot is cut off: {reason}"),
//!             state if state.is_final() => return println!("the bot has ended: {state:?}"),
//!             _ => {}
//!         }
//!         if state.changed().await.is_err() {
//!             return;
//!         }
//!     }
//! }
//! ```
//!
//! # Without an asynchronous runtime
//!
//! The module `blocking` has the same client with calls that wait.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `blocking` | yes | the module `blocking`; nothing is pulled for it |
//! | `cli` | yes | the terminal client `im`, and all that it needs |
//!
//! An integrator turns the defaults off: `im-client = { version = "0.1", default-features = false }`.
//! That pulls 102 packages, and a test holds it to 105 at most; none of them is of the servers, of the
//! command line or of a database.

#[cfg(feature = "cli")]
rust_i18n::i18n!("locales", fallback = "en");

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "cli")]
pub mod cli;
mod client;
mod config;
mod connection;
mod convert;
mod dispatch;
mod error;
mod events;
mod handler;
mod heartbeat;
mod inbox;
mod login;
mod message;
mod outbox;
mod positions;
mod route_api;
mod sending;
mod session;
mod state;
mod store;
mod threads;
mod timeline;
mod token;

pub use async_trait::async_trait;
pub use client::{Client, register};
pub use config::ClientBuilder;
pub use error::{Error, ErrorKind};
pub use events::Events;
pub use handler::{Event, IntoHandler, MessageHandler};
pub use im_common::code::{Code, NextStep};
pub use im_common::id::{
    ConversationId, DeviceId, InvalidId, LogEpoch, MessageId, Sequence, ServerId, UserId,
};
pub use im_common::message::{Identity, Position, Receipt, Recipient, TEXT_BYTES_MAX};
pub use im_common::name::{InvalidName, UserName};
pub use message::{Message, OnlinePage, User};
pub use sending::{Refusal, SendError, Sending};
pub use state::ConnectionState;
pub use store::{
    Change, Contents, FileStore, MemoryStore, PendingSend, Store, StoreError, StoreErrorKind,
};
pub use token::Token;

#[cfg(test)]
mod tests {
    use super::*;

    const fn is_public<T: std::fmt::Debug + Send + Sync>() {}

    #[test]
    fn everything_may_cross_threads_and_be_printed() {
        is_public::<Client>();
        #[cfg(feature = "blocking")]
        is_public::<blocking::Client>();
        is_public::<ClientBuilder>();
        is_public::<ConnectionState>();
        is_public::<Error>();
        is_public::<Event>();
        is_public::<Events>();
        is_public::<Message>();
        is_public::<OnlinePage>();
        is_public::<SendError>();
        is_public::<Sending>();
        is_public::<Token>();
        is_public::<User>();
    }

    /// What is shown in the tutorial is compiled where it stands, and runs in the example.
    #[test]
    fn the_tutorial_is_in_its_example_word_for_word() {
        let lines = |text: &str| -> Vec<String> {
            let trimmed = text.lines().map(str::trim);
            let kept = trimmed.filter(|line| !line.is_empty());
            kept.map(str::to_owned).collect()
        };
        let example = lines(include_str!("../examples/tutorial.rs"));
        let documentation: Vec<_> = include_str!("lib.rs")
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .collect();
        let documentation = documentation.join("\n");
        let mut blocks = 0;
        for block in documentation.split("```no_run").skip(1) {
            let code = block.split("```").next().expect("the end of the block");
            let mut shown = lines(code);
            shown.retain(|line| !line.starts_with("# "));
            let is_there = example.windows(shown.len()).any(|part| part == shown);
            assert!(is_there, "not in the example:{code}");
            blocks += 1;
        }
        assert_eq!(blocks, 6);
    }

    #[test]
    fn secrets_are_not_printed() {
        let builder = Client::builder().user("alice").password("hunter22");
        let printed = format!("{builder:?}");
        assert!(printed.contains("alice"), "{printed}");
        assert!(!printed.contains("hunter22"), "{printed}");
        let printed = format!("{:?}", Client::builder().token(Token::new("1.key.here")));
        assert!(!printed.contains("key"), "{printed}");
    }
}
