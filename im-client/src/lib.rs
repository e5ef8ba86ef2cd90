//! The SDK of the IM cluster: an account sends and receives, over as many connections as it takes.
//!
//! # A bot in fifteen lines
//!
//! ```no_run
//! use im_client::{Client, Message};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), im_client::Error> {
//!     let answer = async |client: Client, message: Message| {
//!         if message.is_private() && message.sender != client.identity().user {
//!             let _ = client.reply(&message, message.text.clone()).await;
//!         }
//!     };
//!     let route = "http://127.0.0.1:8083";
//!     let bot = Client::builder().route(route).user("echo").password("correct horse");
//!     let bot = bot.handler(answer).connect().await?;
//!     println!("{:?}", bot.ended().await);
//!     Ok(())
//! }
//! ```
//!
//! # Sending
//!
//! [`Client::send`] returns at once; the message is on its way. Awaiting the returned [`Sending`]
//! tells how it ended: with a [`Receipt`] (the cluster has stored it), refused with a
//! [`Code`] that says why, or unknown, when there was no answer in time; then sending it again
//! under the same id is safe.
//!
//! ```no_run
//! # async fn example(client: im_client::Client) -> Result<(), Box<dyn std::error::Error>> {
//! use im_client::{Recipient, SendError};
//!
//! let bob: Recipient = "bob".parse()?;
//! let sending = client.send(bob.clone(), "hello");
//! let id = sending.id();
//! match sending.await {
//!     Ok(receipt) => println!("stored as number {}", receipt.position.sequence),
//!     Err(SendError::Refused(refusal)) => println!("refused: {}", refusal.reason),
//!     Err(_) => drop(client.send_as(id, bob, "hello").await?),
//! }
//! client.send(Recipient::Lobby, "hello everybody").await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Receiving
//!
//! A [`MessageHandler`] is called once for each message, in the order of each conversation. What
//! arrives while the program is not running waits in the cluster for each device. Implement the
//! trait to be told of [`Event`]s as well; an async closure over [`Message`] will do otherwise.
//!
//! ```
//! use im_client::{Client, Event, Message, MessageHandler, async_trait};
//!
//! struct Printer;
//!
//! #[async_trait]
//! impl MessageHandler for Printer {
//!     async fn on_message(&self, _client: &Client, message: Message) {
//!         println!("{}: {:?}", message.sender_name, message.text);
//!     }
//!
//!     async fn on_event(&self, event: Event) {
//!         println!("{event:?}");
//!     }
//! }
//! ```
//!
//! # Connections
//!
//! A client reconnects by itself, to another server if need be; [`Client::state`] says where it
//! stands. It gives up only when the cluster refuses it for good, such as after a newer login on
//! the same device.

#[cfg(feature = "cli")]
rust_i18n::i18n!("locales", fallback = "en");

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
pub use token::Token;

#[cfg(test)]
mod tests {
    use super::*;

    const fn crosses_threads<T: Send + Sync>() {}

    #[test]
    fn everything_may_cross_threads() {
        crosses_threads::<Client>();
        crosses_threads::<ClientBuilder>();
        crosses_threads::<Error>();
        crosses_threads::<Event>();
        crosses_threads::<Events>();
        crosses_threads::<Message>();
        crosses_threads::<Sending>();
        crosses_threads::<Token>();
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
