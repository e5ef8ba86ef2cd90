//! Keeps one device attached: log in, connect, serve, back off, and round again.

mod cause;
mod next_step;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use im_common::backoff::{Backoff, random_fraction};
use im_common::code::Code;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::connection::{self, Closure, Connection, End, OpenError, Traffic};
use crate::error::Error;
use crate::inbox::Inbox;
use crate::login::Login;
use crate::outbox::SharedOutbox;
use crate::state::ConnectionState;
use crate::store::Keeping;
use cause::Cause;
use next_step::{AfterClose, after_close};

/// A live server takes a connection within a round trip; another one is tried after this.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// A server that restarts at once is found again at once.
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Users are back a few seconds after an outage ends, spread so that they do not come together.
const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// A connection that lasted less counts as one more failure.
const STEADY_AFTER: Duration = Duration::from_secs(2);
/// How long closing waits for what is being handled, so that it is acked.
const HANDLER_ENDS_WITHIN: Duration = Duration::from_secs(1);

type Link = Connection<TcpStream>;

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Closed,
    Refused(Code),
}

/// The task behind a client.
pub(crate) struct Session {
    login: Login,
    traffic: Traffic,
    /// Whether something is handed out that is not handled yet; `None` when nobody receives.
    is_busy: Option<watch::Receiver<bool>>,
    /// `None` for a client without a store.
    keeping: Option<Keeping>,
    backoff: Backoff,
    cause: Cause,
    /// Whether the last connection ended soon after it began: then even the first attempt waits,
    /// lest a client whose every connection fails connects without end.
    is_flapping: bool,
    /// Whether a candidate was tried that did not take over, as far as was heard: it may have
    /// displaced the connection that stands all the same.
    may_displace_itself: bool,
}

impl Session {
    pub(crate) fn new(
        login: Login,
        traffic: Traffic,
        is_busy: Option<watch::Receiver<bool>>,
        keeping: Option<Keeping>,
    ) -> Self {
        Self {
            login,
            traffic,
            is_busy,
            keeping,
            backoff: Backoff::new(RETRY_FIRST, RETRY_LONGEST),
            cause: Cause::default(),
            is_flapping: false,
            may_displace_itself: false,
        }
    }

    /// Runs until the client closes or the cluster refuses it for good.
    pub(crate) async fn run(mut self) {
        let outbox = CloseOnDrop(Arc::clone(&self.traffic.outbox));
        let over = tokio::select! {
            over = self.stay_attached() => over,
            () = outbox.0.watch_deadlines() => return,
        };
        drop(outbox);
        if let Some(keeping) = self.keeping.take() {
            keeping.finish().await;
        }
        self.publish(match over {
            Over::Closed => ConnectionState::Closed,
            Over::Refused(code) => ConnectionState::Refused(code),
        });
        if let Over::Refused(code) = over {
            tracing::warn!(%code, "the cluster refuses this client");
        }
    }

    async fn stay_attached(&mut self) -> Over {
        let mut link = match self.attach().await {
            Ok(link) => link,
            Err(over) => return over,
        };
        loop {
            let attached_at = Instant::now();
            self.publish(link.state(&self.traffic));
            let end = link.serve(&mut self.traffic).await;
            self.is_flapping = attached_at.elapsed() < STEADY_AFTER;
            if !self.is_flapping {
                self.backoff.reset();
            }
            let next = match end {
                End::Closing => {
                    self.finish(link).await;
                    return Over::Closed;
                }
                End::GoAway(candidates) => Ok(self.switch(link, &candidates).await),
                End::Lost(reason) => {
                    tracing::info!(reason, "connection lost");
                    self.cause = Cause::new(reason);
                    self.come_back().await
                }
                // If it was somebody else, the next attempt is told so.
                End::Closed(closure)
                    if closure.code == Code::DISPLACED && self.may_displace_itself =>
                {
                    tracing::info!("displaced, perhaps by an attempt of its own");
                    self.cause = Cause::from(&closure);
                    self.come_back().await
                }
                End::Closed(closure) => match self.react(&closure) {
                    Ok(()) => self.come_back().await,
                    Err(over) => Err(over),
                },
            };
            link = match next {
                Ok(link) => link,
                Err(over) => return over,
            };
        }
    }

    /// After the end of a connection: the other servers first.
    async fn come_back(&mut self) -> Result<Link, Over> {
        self.login.put_first_last();
        self.attach().await
    }

    /// Connects to a candidate while the old connection still stands; stays where it is when none
    /// of them answers.
    async fn switch(&mut self, link: Link, candidates: &[String]) -> Link {
        for candidate in candidates {
            match self.dial(candidate).await {
                Ok(new) => {
                    self.login.put_first(candidate);
                    self.may_displace_itself = false;
                    link.finish(None).await;
                    self.traffic.attach();
                    return new;
                }
                Err(error) => {
                    self.may_displace_itself = true;
                    tracing::debug!(candidate, ?error, "candidate does not take over");
                }
            }
        }
        link
    }

    /// Tries until there is a connection, or until there is no point any more.
    async fn attach(&mut self) -> Result<Link, Over> {
        let closing = self.traffic.closing.clone();
        tokio::select! {
            biased;
            () = closing.cancelled() => Err(Over::Closed),
            attached = self.attach_patiently() => attached,
        }
    }

    /// The known servers once, then over and over: fresh ticket, its servers, a pause.
    async fn attach_patiently(&mut self) -> Result<Link, Over> {
        if self.is_flapping {
            self.pause().await;
        }
        self.publish(ConnectionState::Connecting);
        if self.login.is_fresh()
            && let Some(link) = self.try_servers().await?
        {
            return Ok(link);
        }
        loop {
            if let Err(error) = self.login.renew().await {
                self.blame(&error)?;
            }
            if self.login.is_fresh()
                && let Some(link) = self.try_servers().await?
            {
                return Ok(link);
            }
            self.pause().await;
            self.publish(ConnectionState::Connecting);
        }
    }

    async fn try_servers(&mut self) -> Result<Option<Link>, Over> {
        let servers = self.login.servers();
        if servers.is_empty() {
            let code = Code::NO_SERVER;
            self.cause = Cause::with_code(Some(code), code.meaning().to_owned());
        }
        for server in servers {
            match self.dial(&server).await {
                Ok(link) => {
                    self.login.put_first(&server);
                    self.cause = Cause::default();
                    self.may_displace_itself = false;
                    self.traffic.attach();
                    return Ok(Some(link));
                }
                Err(OpenError::Lost(reason)) => {
                    self.cause = Cause::new(format!("cannot connect to {server}: {reason}"));
                }
                Err(OpenError::Closed(closure)) => self.react(&closure)?,
            }
            if !self.login.is_fresh() {
                break;
            }
        }
        Ok(None)
    }

    async fn dial(&mut self, server: &str) -> Result<Link, OpenError> {
        let inbox = self.traffic.inbox.as_ref();
        let positions = inbox.map_or_else(Vec::new, Inbox::hello_positions);
        let stream = reach(server).await?;
        connection::open(stream, self.login.hello(positions)).await
    }

    /// Does what a close code asks for.
    fn react(&mut self, closure: &Closure) -> Result<(), Over> {
        tracing::info!(code = %closure.code, reason = closure.reason, "the server closed");
        self.cause = Cause::from(closure);
        match after_close(closure.code) {
            AfterClose::Reconnect => {}
            AfterClose::NewTicket => self.login.spoil(),
            AfterClose::GiveUp => return Err(Over::Refused(closure.code)),
        }
        Ok(())
    }

    /// Notes why the route gave no ticket; over if it never will.
    fn blame(&mut self, error: &Error) -> Result<(), Over> {
        tracing::debug!(%error, "no ticket");
        match error.code() {
            Some(code) if error.is_final() => Err(Over::Refused(code)),
            code => {
                self.cause = Cause::with_code(code, error.to_string());
                Ok(())
            }
        }
    }

    async fn pause(&mut self) {
        let retry_after = std::mem::take(&mut self.cause.retry_after);
        let delay = self.backoff.next(random_fraction()).max(retry_after);
        self.publish(ConnectionState::BackingOff {
            delay,
            code: self.cause.code,
            reason: self.cause.reason.clone(),
        });
        sleep(delay).await;
    }

    async fn finish(&mut self, link: Link) {
        if let Some(is_busy) = &mut self.is_busy {
            let handled = is_busy.wait_for(|is_busy| !is_busy);
            if timeout(HANDLER_ENDS_WITHIN, handled).await.is_err() {
                tracing::debug!("closing while something is still being handled");
            }
        }
        link.finish(self.traffic.inbox.as_ref()).await;
    }

    fn publish(&self, state: ConnectionState) {
        self.traffic.reporter.publish(state);
    }
}

async fn reach(server: &str) -> Result<TcpStream, OpenError> {
    let lost = |reason: String| OpenError::Lost(reason);
    let stream = timeout(CONNECT_WITHIN, TcpStream::connect(server))
        .await
        .map_err(|_| lost("no answer in time".to_owned()))?
        .map_err(|error| lost(error.to_string()))?;
    // Frames are written whole: waiting for more to send would only delay them.
    stream
        .set_nodelay(true)
        .map_err(|error| lost(error.to_string()))?;
    Ok(stream)
}

/// However the session ends, nobody waits for an answer that cannot come.
struct CloseOnDrop(Arc<SharedOutbox>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}
