//! The handle that a program holds: cheap to clone, sends commands, owns no socket.

mod assembly;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use im_common::api::RegisterRequest;
use im_common::code::Code;
use im_common::id::{ConversationId, LogEpoch, MessageId, Sequence, UserId};
use im_common::message::{Identity, Position, Recipient, Submission, TEXT_BYTES_MAX};
use im_common::tasks::Tasks;
use tokio::sync::watch;

use crate::config::ClientBuilder;
use crate::convert;
use crate::dispatch::is_inside_handler;
use crate::error::Error;
use crate::message::{Message, OnlinePage};
use crate::outbox::{NewSend, SharedOutbox, deadline_after};
use crate::route_api::RouteApi;
use crate::sending::Sending;
use crate::state::ConnectionState;
use crate::token::{CurrentToken, Token};

pub(crate) use assembly::ClientConfig;

/// One device of one user, connected to the cluster. Clones share the connection.
///
/// It reconnects by itself until it is closed or the cluster refuses it for good. When the last
/// clone is dropped, it closes without waiting for anything.
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

/// What all clones share. The tasks behind a client hold it weakly.
pub(crate) struct Handle {
    identity: Identity,
    route: RouteApi,
    token: CurrentToken,
    outbox: Arc<SharedOutbox>,
    state: watch::Receiver<ConnectionState>,
    send_timeout: Duration,
    tasks: Tasks,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl Client {
    /// Sets up a new client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::new()
    }

    /// Who this client speaks for.
    pub fn identity(&self) -> &Identity {
        &self.handle.identity
    }

    /// The token of this login, to come back with ([`ClientBuilder::token`]) without the password.
    pub fn token(&self) -> Token {
        self.handle.token.get()
    }

    /// Where the client stands with the cluster, now and whenever it changes.
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.handle.state.clone()
    }

    /// Sends a message. It goes out in the order of the calls, over as many connections as it
    /// takes; await the returned handle to learn how it ends.
    ///
    /// It ends in one of these ways, by the [send timeout](ClientBuilder::send_timeout) at the latest:
    /// accepted, with a [`Receipt`](crate::Receipt); refused, with a [`Code`](crate::Code); unknown,
    /// without an answer in time; or closed, with the client. Only a client with a
    /// [`Store`](crate::Store) has a fifth one, not kept.
    ///
    /// With 10,000 sends unanswered, further ones wait for room, in the same order, each as long as
    /// its handle is kept and its deadline has not passed.
    pub fn send(&self, to: impl Into<Recipient>, text: impl Into<String>) -> Sending {
        self.send_as(MessageId::fresh(), to, text)
    }

    /// As [`Client::send`], under a given id: the same id with the same content is stored once,
    /// however often it is sent.
    pub fn send_as(
        &self,
        id: MessageId,
        to: impl Into<Recipient>,
        text: impl Into<String>,
    ) -> Sending {
        let (to, text) = (to.into(), text.into());
        if text.is_empty() {
            return Sending::refused(id, Code::TEXT_EMPTY);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Sending::refused(id, Code::TEXT_TOO_LONG);
        }
        let send = NewSend {
            submission: Submission { id, to, text },
            deadline: deadline_after(self.handle.send_timeout),
        };
        self.handle.outbox.start(send)
    }

    /// Sends a message to where another one came from: the lobby, or the other user.
    pub fn reply(&self, message: &Message, text: impl Into<String>) -> Sending {
        let to = message
            .conversation
            .peer_of(self.identity().user)
            .map_or(Recipient::Lobby, Recipient::User);
        self.send(to, text)
    }

    /// Lists users who are online, by name; `after` is [`OnlinePage::next`] of the page before.
    /// Cancel-safe.
    pub async fn online(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<OnlinePage, Error> {
        let token = self.handle.token.get();
        let answer = self.handle.route.online(&token, prefix, after, limit);
        convert::online_page(answer.await?)
    }

    /// Reads the newest messages of a conversation, or those before a sequence; oldest first.
    /// Marks nothing as handled. Cancel-safe.
    pub async fn history(
        &self,
        with: &Recipient,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        let conversation = self.conversation(with).await?;
        let token = self.handle.token.get();
        let answer = self
            .handle
            .route
            .history(&token, &conversation, before, limit)
            .await?;
        let epoch = LogEpoch(answer.epoch);
        let messages = answer.messages.into_iter();
        messages
            .map(|message| convert::past_message(&conversation, epoch, message))
            .collect()
    }

    /// Tells how far the other user is: the furthest position in your conversation up to which one of
    /// their devices has handled everything; `None` when there is none. What you sent is delivered
    /// when this [covers](Position::covers) the [`Receipt::position`](crate::Receipt::position).
    /// Asks a route each time; a user id saves it from looking up the name. Cancel-safe.
    ///
    /// Fails with [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for the lobby, which
    /// everybody reads in their own time.
    pub async fn delivered(&self, with: &Recipient) -> Result<Option<Position>, Error> {
        let conversation = match self.conversation(with).await? {
            ConversationId::Lobby => {
                return Err(Error::invalid("the lobby does not tell what was delivered"));
            }
            private => private,
        };
        let token = self.handle.token.get();
        let answer = self.handle.route.delivered(&token, &conversation).await?;
        Ok(convert::delivered(conversation, &answer))
    }

    /// Waits until every send so far has ended, one way or the other; those that still wait for
    /// room do not count. Cancel-safe.
    pub async fn flush(&self) {
        self.handle.outbox.flush().await;
    }

    /// Closes the connection; the device stays logged in. What the handler has finished is acked;
    /// what waits for it comes again next time. Sends without an answer end as
    /// [`SendError::Closed`](crate::SendError::Closed): [`Client::flush`] first to let them end.
    ///
    /// Waits up to a second for a handler call that is under way; inside the handler it returns
    /// at once, so that the message being handled is acked too. Cancelling the wait does not keep
    /// the client open.
    pub async fn close(&self) {
        if self.begin_close() {
            self.ended().await;
        }
    }

    /// Asks the client to close. Returns whether its end can be waited for from here.
    pub(crate) fn begin_close(&self) -> bool {
        self.handle.tasks.cancel();
        !is_inside_handler(&self.handle)
    }

    /// Closes as [`Client::close`] does, then ends the login at the route: the device cannot come
    /// back without the password. The client is closed even if this fails. When this is cancelled,
    /// the client closes all the same; the login may have ended or not.
    pub async fn logout(&self) -> Result<(), Error> {
        self.close().await;
        let token = self.handle.token.get();
        self.handle.route.logout(&token).await
    }

    /// Waits until the client is closed or refused, and returns which. Cancel-safe.
    pub async fn ended(&self) -> ConnectionState {
        let mut state = self.state();
        match state.wait_for(ConnectionState::is_final).await {
            Ok(state) => state.clone(),
            // The session is gone without a word, which only a panic in it can bring about.
            Err(_) => ConnectionState::Closed,
        }
    }

    pub(crate) fn upgrade(handle: &Weak<Handle>) -> Option<Self> {
        handle.upgrade().map(|handle| Self { handle })
    }

    /// The conversation that messages to this recipient are in; asks a route when it is a name.
    /// Cancel-safe.
    pub async fn conversation(&self, with: &Recipient) -> Result<ConversationId, Error> {
        let user = match with {
            Recipient::Lobby => return Ok(ConversationId::Lobby),
            Recipient::User(user) => *user,
            Recipient::Name(name) => {
                let token = self.handle.token.get();
                let user = self.handle.route.user(&token, name.as_str()).await?;
                convert::user_id(user.user_id)?
            }
        };
        Ok(ConversationId::private(self.identity().user, user))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("user", &self.identity().name.as_str())
            .field("device", &self.identity().device.as_str())
            .field("state", &*self.handle.state.borrow())
            .finish_non_exhaustive()
    }
}

/// Registers an account and returns its id. Not cancel-safe: the account may exist afterwards.
pub async fn register<R: AsRef<str>>(
    routes: &[R],
    name: &str,
    password: &str,
) -> Result<UserId, Error> {
    let request = RegisterRequest {
        name: name.to_owned(),
        password: password.to_owned(),
    };
    let user = RouteApi::new(routes)?.register(&request).await?;
    convert::user_id(user.user_id)
}
