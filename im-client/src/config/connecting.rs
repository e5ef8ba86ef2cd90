//! From a builder to a client: logging in, with a password or a token, and connecting.

use std::sync::Arc;
use std::time::Duration;

use im_common::backoff::{Backoff, random_fraction};
use im_common::id::DeviceId;
use im_common::message::Identity;
use im_common::name::UserName;
use tokio::time::{Instant, sleep, timeout_at};

use super::{ClientBuilder, DEVICE, RETRY_FIRST, RETRY_LONGEST};
use crate::client::{Client, ClientConfig};
use crate::error::{Error, ErrorKind};
use crate::events::Events;
use crate::login::{Credentials, Login, Proof};
use crate::outbox::EndedSends;
use crate::route_api::RouteApi;
use crate::store::{Keeper, Store};
use crate::token::Token;

impl ClientBuilder {
    /// Logs in and attaches to a server; afterwards the client reconnects by itself.
    ///
    /// Fails at once when waiting cannot help, such as with a wrong password, or with a token whose
    /// login has ended ([`ErrorKind::Unauthenticated`]); tries again until the connect timeout when it
    /// may. Cancel-safe: dropping it ends what it began.
    pub async fn connect(self) -> Result<Client, Error> {
        let deadline = Instant::now() + self.connect_timeout;
        let (config, login) = self.prepare(deadline).await?;
        let client = Client::start(config, login);
        client.wait_until_attached(deadline).await?;
        Ok(client)
    }

    /// As [`ClientBuilder::connect`], with a stream of everything that a handler would be called
    /// for. Fails if there is a handler too: what arrives goes to one place. Cancel-safe.
    ///
    /// Keep the client: dropping its last clone closes it, and the stream ends.
    pub async fn connect_with_events(self) -> Result<(Client, Events), Error> {
        if self.handler.is_some() {
            return Err(Error::invalid(
                "a handler is set, so there is no stream of events",
            ));
        }
        let deadline = Instant::now() + self.connect_timeout;
        let (config, login) = self.prepare(deadline).await?;
        let (client, events) = Client::start_with_events(config, login);
        client.wait_until_attached(deadline).await?;
        Ok((client, events))
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

    async fn prepare(self, deadline: Instant) -> Result<(ClientConfig, Login), Error> {
        let (route, login) = self.begin(deadline).await?;
        let keeping = match self.store {
            Some(store) => Some(load(store, login.identity(), self.send_timeout, deadline).await?),
            None => None,
        };
        let config = ClientConfig {
            route,
            send_timeout: self.send_timeout,
            handler: self.handler,
            keeping,
        };
        Ok((config, login))
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

/// Reads what an earlier client has kept.
async fn load(
    store: Arc<dyn Store>,
    owner: &Identity,
    send_timeout: Duration,
    deadline: Instant,
) -> Result<(Keeper, EndedSends), Error> {
    let contents = match timeout_at(deadline, store.load(owner)).await {
        Ok(contents) => contents?,
        Err(_) => {
            return Err(Error::new(
                ErrorKind::Timeout,
                "the store did not answer in time",
            ));
        }
    };
    Ok(Keeper::begin(store, contents, send_timeout))
}
