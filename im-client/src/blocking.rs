//! For programs without an asynchronous runtime: the same client, with calls that wait.
//!
//! Each [`Client`] brings a thread of its own, which keeps it attached. Handlers are plain closures,
//! called one message at a time on another thread, where they may block and call the client.
//!
//! ```no_run
//! use im_client::{Message, blocking::Client};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let answer = |client: Client, message: Message| {
//!         let _ = client.reply(&message, "I shall read it tomorrow");
//!     };
//!     let client = Client::builder()
//!         .route("http://127.0.0.1:8083")
//!         .user("alice")
//!         .password("correct horse")
//!         .handler(answer)
//!         .connect_blocking()?;
//!     let receipt = client.send("bob".parse::<im_client::Recipient>()?, "hello")?;
//!     println!("stored as number {}", receipt.position.sequence);
//!     client.close();
//!     Ok(())
//! }
//! ```
//!
//! In asynchronous code these calls would hold up a worker of the runtime: use
//! [`crate::Client`] there.

mod handler;
mod runtime;

use std::fmt;
use std::sync::Arc;

use im_common::id::{MessageId, Sequence, UserId};
use im_common::message::{Identity, Position, Receipt, Recipient};
use tokio::runtime::Handle;

use crate::config::ClientBuilder;
use crate::error::Error;
use crate::message::{Message, OnlinePage};
use crate::sending::{SendError, Sending};
use crate::state::ConnectionState;
use crate::token::Token;
use runtime::{RuntimeThread, wait};

/// One device of one user, connected to the cluster; see [`crate::Client`]. Clones share the
/// connection.
///
/// When the last clone is dropped it closes in the background, which the end of the program cuts
/// short: [`Client::close`] first, so that what was handled is acked.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    client: crate::Client,
    runtime: Handle,
    /// `None` inside of a handler, which does not keep the thread.
    thread: Option<RuntimeThread>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.end_after(self.client.state());
        }
    }
}

impl Client {
    /// Sets up a new client: the same as [`crate::Client::builder`], to be ended with
    /// [`ClientBuilder::connect_blocking`].
    pub fn builder() -> ClientBuilder {
        crate::Client::builder()
    }

    /// Who this client speaks for.
    pub fn identity(&self) -> &Identity {
        self.shared.client.identity()
    }

    /// The token of this login, to come back with; see [`crate::Client::token`].
    pub fn token(&self) -> Token {
        self.shared.client.token()
    }

    /// Where the client stands with the cluster now.
    pub fn state(&self) -> ConnectionState {
        self.shared.client.state().borrow().clone()
    }

    /// Sends a message and waits until it ends, at most for the send timeout of the builder.
    pub fn send(
        &self,
        to: impl Into<Recipient>,
        text: impl Into<String>,
    ) -> Result<Receipt, SendError> {
        self.ended_send(self.shared.client.send(to, text))
    }

    /// As [`Client::send`], under a given id: the same id with the same content is stored once,
    /// however often it is sent. So it is safe to repeat after [`SendError::Unknown`].
    pub fn send_as(
        &self,
        id: MessageId,
        to: impl Into<Recipient>,
        text: impl Into<String>,
    ) -> Result<Receipt, SendError> {
        self.ended_send(self.shared.client.send_as(id, to, text))
    }

    /// Sends a message to where another one came from: the lobby, or the other user. Waits as
    /// [`Client::send`] does.
    pub fn reply(&self, message: &Message, text: impl Into<String>) -> Result<Receipt, SendError> {
        self.ended_send(self.shared.client.reply(message, text))
    }

    /// Lists users who are online; see [`crate::Client::online`].
    pub fn online(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<OnlinePage, Error> {
        let client = self.shared.client.clone();
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        let asking = async move { client.online(&prefix, after.as_deref(), limit).await };
        wait(&self.shared.runtime, asking)?
    }

    /// Reads messages of a conversation; see [`crate::Client::history`].
    pub fn history(
        &self,
        with: &Recipient,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        let (client, with) = (self.shared.client.clone(), with.clone());
        let reading = async move { client.history(&with, before, limit).await };
        wait(&self.shared.runtime, reading)?
    }

    /// Tells how far the other user is; see [`crate::Client::delivered`].
    pub fn delivered(&self, with: &Recipient) -> Result<Option<Position>, Error> {
        let (client, with) = (self.shared.client.clone(), with.clone());
        let asking = async move { client.delivered(&with).await };
        wait(&self.shared.runtime, asking)?
    }

    /// Waits until every send so far has ended, those of other threads too.
    pub fn flush(&self) {
        let client = self.shared.client.clone();
        // Without the runtime no send is under way.
        let _ = wait(&self.shared.runtime, async move { client.flush().await });
    }

    /// Closes the connection; see [`crate::Client::close`]. Inside of a handler it returns at once,
    /// so that the message being handled is acked too.
    pub fn close(&self) {
        if self.shared.client.begin_close() {
            self.ended();
        }
    }

    /// Closes as [`Client::close`] does, then ends the login: the device cannot come back without
    /// the password.
    pub fn logout(&self) -> Result<(), Error> {
        self.close();
        let client = self.shared.client.clone();
        wait(&self.shared.runtime, async move { client.logout().await })?
    }

    /// Waits until the client is closed or refused for good, and returns which.
    pub fn ended(&self) -> ConnectionState {
        let client = self.shared.client.clone();
        let ended = wait(&self.shared.runtime, async move { client.ended().await });
        ended.unwrap_or(ConnectionState::Closed)
    }

    fn ended_send(&self, sending: Sending) -> Result<Receipt, SendError> {
        wait(&self.shared.runtime, sending).unwrap_or(Err(SendError::Closed))
    }
}

impl ClientBuilder {
    /// As [`ClientBuilder::connect`], for a program without an asynchronous runtime: waits until
    /// the client is attached, and keeps it so from a thread of its own.
    pub fn connect_blocking(self) -> Result<Client, Error> {
        let thread = RuntimeThread::start()?;
        let client = wait(thread.handle(), self.connect())??;
        let shared = Shared {
            client,
            runtime: thread.handle().clone(),
            thread: Some(thread),
        };
        Ok(Client {
            shared: Arc::new(shared),
        })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.client.fmt(f)
    }
}

/// Registers an account and returns its id; see [`crate::register`].
pub fn register<R: AsRef<str>>(routes: &[R], name: &str, password: &str) -> Result<UserId, Error> {
    let routes: Vec<String> = routes
        .iter()
        .map(|route| route.as_ref().to_owned())
        .collect();
    let (name, password) = (name.to_owned(), password.to_owned());
    let thread = RuntimeThread::start()?;
    let registering = async move { crate::register(&routes, &name, &password).await };
    wait(thread.handle(), registering)?
}
