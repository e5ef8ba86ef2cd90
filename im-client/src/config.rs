//! How a client is set up.

mod connecting;

use std::sync::Arc;
use std::time::Duration;

use crate::handler::{IntoHandler, MessageHandler};
use crate::store::Store;
use crate::token::{Secret, Token};

/// Long enough to survive a server that is killed and replaced while the message is on its way.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// A program that starts together with its cluster should not fail at once, nor hang.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// The device of a program that names none.
const DEVICE: &str = "default";
/// Pauses between attempts to log in.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// A tenth of the time there is, so that several attempts fit.
const RETRY_LONGEST: Duration = Duration::from_secs(1);

/// Collects what a [`Client`](crate::Client) needs; made by [`Client::builder`](crate::Client::builder).
#[derive(Clone)]
#[must_use = "nothing happens before connect"]
pub struct ClientBuilder {
    routes: Vec<String>,
    user: String,
    password: Secret,
    token: Option<Token>,
    device: Option<String>,
    send_timeout: Duration,
    connect_timeout: Duration,
    handler: Option<Arc<dyn MessageHandler>>,
    store: Option<Arc<dyn Store>>,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            routes: Vec::new(),
            user: String::new(),
            password: Secret::default(),
            token: None,
            device: None,
            send_timeout: SEND_WITHIN,
            connect_timeout: CONNECT_WITHIN,
            handler: None,
            store: None,
        }
    }

    /// Adds the address of a route, such as `http://127.0.0.1:8083`. Several are tried in turn.
    pub fn route(mut self, route: impl Into<String>) -> Self {
        self.routes.push(route.into());
        self
    }

    /// Sets the account's name.
    pub fn user(mut self, name: impl Into<String>) -> Self {
        self.user = name.into();
        self
    }

    /// Sets the account's password.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Secret(password.into());
        self
    }

    /// Goes on with the login that this token came from ([`Client::token`](crate::Client::token),
    /// [`ClientBuilder::log_in`]), in place of a password. User and device are those of that login,
    /// and need not be set; if they are, they are compared.
    ///
    /// The device has one connection: a client that is connected with the same token ends, displaced.
    pub fn token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// Names this installation: 1 to 64 of `A-Z a-z 0-9 . _ -`; `default` unless set.
    ///
    /// The cluster remembers for each device what it has handled. Logging in anew on the same
    /// device ends the earlier login.
    pub fn device(mut self, device: impl Into<String>) -> Self {
        self.device = Some(device.into());
        self
    }

    /// Sets after how long a send without an answer ends as
    /// [`SendError::Unknown`](crate::SendError::Unknown); 30 s unless set.
    pub const fn send_timeout(mut self, timeout: Duration) -> Self {
        self.send_timeout = timeout;
        self
    }

    /// Sets for how long [`ClientBuilder::connect`] tries; 10 s unless set.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets what is called for each message: a [`MessageHandler`], or a closure, async or plain.
    ///
    /// Without a handler, messages stay in the cluster and are not marked as handled; see also
    /// [`ClientBuilder::connect_with_events`].
    pub fn handler<Kind>(mut self, handler: impl IntoHandler<Kind>) -> Self {
        self.handler = Some(handler.into_handler());
        self
    }

    /// Sets where the client keeps what must survive the program: up to where the handler has
    /// finished, and the sends that have no answer. Each message is handled once then, and no send is
    /// forgotten, however often the program ends; [`Store`] says what exactly holds.
    ///
    /// Without a store, the cluster remembers for the device what was acked last.
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// The account's name, if it is set.
    #[cfg(feature = "cli")]
    pub(crate) fn name(&self) -> &str {
        &self.user
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("routes", &self.routes)
            .field("user", &self.user)
            .field("password", &self.password)
            .field("token", &self.token)
            .field("device", &self.device)
            .field("send_timeout", &self.send_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}
