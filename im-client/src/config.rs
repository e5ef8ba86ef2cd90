//! How a client is set up.

use std::sync::Arc;
use std::time::Duration;

use im_common::backoff::{Backoff, random_fraction};
use im_common::id::DeviceId;
use im_common::message::Identity;
use im_common::name::UserName;
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::{Client, ClientConfig};
use crate::error::{Error, ErrorKind};
use crate::handler::{IntoHandler, MessageHandler};
use crate::login::{Credentials, Login, Proof};
use crate::route_api::RouteApi;
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

/// Collects what a [`Client`] needs; made by [`Client::builder`].
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

    /// Goes on with the login that this token came from ([`Client::token`],
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

    /// Sets what is called for each message: a [`MessageHandler`], or an async closure.
    ///
    /// Without a handler, messages stay in the cluster and are not marked as handled.
    pub fn handler<Kind>(mut self, handler: impl IntoHandler<Kind>) -> Self {
        self.handler = Some(handler.into_handler());
        self
    }

    /// Logs in and attaches to a server; afterwards the client reconnects by itself.
    ///
    /// Fails at once when waiting cannot help, such as with a wrong password, or with a token whose
    /// login has ended ([`ErrorKind::Unauthenticated`]); tries again until the connect timeout when it
    /// may. Cancel-safe: dropping it ends what it began.
    pub async fn connect(self) -> Result<Client, Error> {
        let deadline = Instant::now() + self.connect_timeout;
        let (route, login) = self.begin(deadline).await?;
        let config = ClientConfig {
            route,
            send_timeout: self.send_timeout,
            handler: self.handler,
        };
        let client = Client::start(config, login);
        client.wait_until_attached(deadline).await?;
        Ok(client)
    }

    /// Logs in without connecting, and returns the token to connect with later. With a token, makes
    /// sure that it is still good.
    ///
    /// Fails as [`ClientBuilder::connect`] does. When this is cancelled, the login may have been made
    /// all the same, and have ended the earlier one of the device.
    pub async fn log_in(self) -> Result<Token, Error> {
        let deadline = Instant::now() + self.connect_timeout;
        let (_, login) = self.begin(deadline).await?;
        Ok(login.token().get())
    }

    /// Ends the login that the token came from, without connecting. Whoever is connected with it is
    /// closed. The token has to be set.
    ///
    /// Fails with [`ErrorKind::Unauthenticated`] when the login has ended already. When this is
    /// cancelled, the login may have ended all the same.
    pub async fn log_out(self) -> Result<(), Error> {
        let route = RouteApi::new(&self.routes)?;
        let token = self
            .token
            .ok_or_else(|| Error::invalid("no token is given"))?;
        route.logout(&token).await
    }

    async fn begin(&self, deadline: Instant) -> Result<(RouteApi, Login), Error> {
        let route = RouteApi::new(&self.routes)?;
        let login = log_in(&route, &self.proof()?, deadline).await?;
        self.compare(login.identity())?;
        Ok((route, login))
    }

    fn proof(&self) -> Result<Proof, Error> {
        if let Some(token) = &self.token {
            if !self.password.0.is_empty() {
                return Err(Error::invalid(
                    "a password and a token are given: leave one out",
                ));
            }
            return Ok(Proof::Token(token.clone()));
        }
        if self.user.is_empty() {
            return Err(Error::invalid("no user is given"));
        }
        let device = self.device.as_deref().unwrap_or(DEVICE);
        Ok(Proof::Password(Credentials {
            name: self.user.clone(),
            password: self.password.clone(),
            device: DeviceId::new(device).map_err(|error| Error::invalid(&error).because(error))?,
        }))
    }

    /// A token may be of another login than its holder thinks.
    fn compare(&self, identity: &Identity) -> Result<(), Error> {
        let Identity { name, device, .. } = identity;
        let is_same = |asked: &str| {
            UserName::new(asked).is_ok_and(|asked| asked.skeleton() == name.skeleton())
        };
        if !self.user.is_empty() && !is_same(&self.user) {
            let message = format!("the login is of the user {name}, not {:?}", self.user);
            return Err(Error::invalid(message));
        }
        match &self.device {
            Some(asked) if asked != device.as_str() => Err(Error::invalid(format!(
                "the login is of the device {device}, not {asked:?}"
            ))),
            _ => Ok(()),
        }
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

/// Logs in, trying again while waiting may help and there is time.
async fn log_in(route: &RouteApi, proof: &Proof, deadline: Instant) -> Result<Login, Error> {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_LONGEST);
    let mut last = Error::new(ErrorKind::Timeout, "no route answered in time");
    loop {
        let begin = Login::begin(route.clone(), proof.clone());
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
