//! How a client is set up.

use std::sync::Arc;
use std::time::Duration;

use im_common::backoff::{Backoff, random_fraction};
use im_common::id::DeviceId;
use im_common::message::Identity;
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::{Client, ClientConfig};
use crate::error::{Error, ErrorKind};
use crate::handler::{IntoHandler, MessageHandler};
use crate::login::{Credentials, Login, Secret};
use crate::route_api::RouteApi;

/// Long enough to survive a server that is killed and replaced while the message is on its way.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// A program that starts together with its cluster should not fail at once, nor hang.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Pauses between attempts to log in.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// A tenth of the time there is, so that several attempts fit.
const RETRY_LONGEST: Duration = Duration::from_secs(1);

/// Collects what a [`Client`] needs; made by [`Client::builder`].
#[derive(Clone)]
#[must_use = "nothing happens before connect"]
pub struct ClientBuilder {
    routes: Vec<String>,
    user: String,
    password: Secret,
    device: String,
    send_timeout: Duration,
    connect_timeout: Duration,
    handler: Option<Arc<dyn MessageHandler>>,
}

impl ClientBuilder {
    pub(crate) fn new() -> Self {
        Self {
            routes: Vec::new(),
            user: String::new(),
            password: Secret::default(),
            device: "default".to_owned(),
            send_timeout: SEND_WITHIN,
            connect_timeout: CONNECT_WITHIN,
            handler: None,
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

    /// Names this installation: 1 to 64 of `A-Z a-z 0-9 . _ -`; `default` unless set.
    ///
    /// The cluster remembers for each device what it has handled. Logging in anew on the same
    /// device ends the earlier login.
    pub fn device(mut self, device: impl Into<String>) -> Self {
        self.device = device.into();
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

    /// Sets what is called for each message: a [`MessageHandler`], or an async closure.
    ///
    /// Without a handler, messages stay in the cluster and are not marked as handled.
    pub fn handler<Kind>(mut self, handler: impl IntoHandler<Kind>) -> Self {
        self.handler = Some(handler.into_handler());
        self
    }

    /// Logs in and attaches to a server; afterwards the client reconnects by itself.
    ///
    /// Fails at once when waiting cannot help, such as with a wrong password; tries again until
    /// the connect timeout when it may. Cancel-safe: dropping it ends what it began.
    pub async fn connect(self) -> Result<Client, Error> {
        let deadline = Instant::now() + self.connect_timeout;
        let route = RouteApi::new(&self.routes)?;
        if self.user.is_empty() {
            return Err(Error::invalid("no user is given"));
        }
        let credentials = Credentials {
            name: self.user,
            password: self.password,
            device: DeviceId::new(&self.device)
                .map_err(|error| Error::invalid(&error).because(error))?,
        };
        let (login, identity) = log_in(&route, &credentials, deadline).await?;
        let config = ClientConfig {
            route,
            identity,
            send_timeout: self.send_timeout,
            handler: self.handler,
        };
        let client = Client::start(config, login);
        client.wait_until_attached(deadline).await?;
        Ok(client)
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("routes", &self.routes)
            .field("user", &self.user)
            .field("password", &self.password)
            .field("device", &self.device)
            .field("send_timeout", &self.send_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// Logs in, trying again while waiting may help and there is time.
async fn log_in(
    route: &RouteApi,
    credentials: &Credentials,
    deadline: Instant,
) -> Result<(Login, Identity), Error> {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LONGEST);
    let mut last = Error::new(ErrorKind::Timeout, "no route answered in time");
    loop {
        let begin = Login::begin(route.clone(), credentials.clone());
        match timeout_at(deadline, begin).await {
            Ok(Ok(login)) => return Ok(login),
            Ok(Err(error)) if error.is_retryable() => last = error,
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(last),
        }
        if timeout_at(deadline, sleep(backoff.next(random_fraction())))
            .await
            .is_err()
        {
            return Err(last);
        }
    }
}
