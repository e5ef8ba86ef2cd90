//! One login: what proves it, how long, and where it can be used.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use im_common::api::{LoginRequest, TicketResponse};
use im_common::code::Code;
use im_common::frame::PROTOCOL_VERSION;
use im_common::id::{DeviceId, UserId};
use im_common::message::Identity;
use im_common::name::UserName;
use im_common::wire::{self, Hello};

use crate::error::{Error, ErrorKind};
use crate::route_api::RouteApi;
use crate::token::{CurrentToken, Secret, Token};

/// A ticket about to end is renewed first, so that it does not end on the way.
const TICKET_MARGIN: Duration = Duration::from_secs(5);
/// From 1970 to when there was no token yet.
const YEAR_2026: Duration = Duration::from_secs(1_767_225_600);

/// Who logs in, and from where.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) name: String,
    pub(crate) password: Secret,
    pub(crate) device: DeviceId,
}

/// What proves who is there.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// A new login, which ends the earlier one of that device.
    Password(Credentials),
    /// The login that this token came from goes on.
    Token(Token),
}

/// Until when a ticket will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// By the clock of this machine.
    At(SystemTime),
    /// The clocks of this machine and of the route disagree: the servers will say.
    WhenRefused,
    /// It will not do any more.
    Over,
}

impl Ends {
    /// A ticket that is new and over at once only says that a clock is wrong. To ask for another
    /// one then would never end.
    fn of_new(expires_at_ms: u64, now: SystemTime) -> Self {
        match UNIX_EPOCH.checked_add(Duration::from_millis(expires_at_ms)) {
            Some(end) if now + TICKET_MARGIN < end => Self::At(end),
            _ => Self::WhenRefused,
        }
    }
}

/// A device that is logged in.
pub(crate) struct Login {
    identity: Identity,
    /// To log in again; `None` where there was only a token.
    credentials: Option<Credentials>,
    route: RouteApi,
    token: CurrentToken,
    ticket: Bytes,
    ends: Ends,
    /// Where to connect, the best first.
    servers: VecDeque<String>,
    /// Never set back, so that the newest connection always wins.
    attempt: u32,
}

impl Login {
    /// Logs in with the password, or goes on where a token was left.
    pub(crate) async fn begin(route: RouteApi, proof: Proof) -> Result<Self, Error> {
        match proof {
            Proof::Password(credentials) => {
                let answer = route.login(&request(&credentials)).await?;
                let token = Token::new(answer.token);
                Self::new(route, token, answer.ticket, Some(credentials), 0)
            }
            Proof::Token(token) => {
                let answer = route.ticket(&token).await?;
                let attempt = attempts_before(SystemTime::now());
                Self::new(route, token, answer, None, attempt)
            }
        }
    }

    fn new(
        route: RouteApi,
        token: Token,
        answer: TicketResponse,
        credentials: Option<Credentials>,
        attempt: u32,
    ) -> Result<Self, Error> {
        let mut login = Self {
            identity: identity(&answer)?,
            credentials,
            route,
            token: CurrentToken::new(token),
            ticket: Bytes::new(),
            ends: Ends::Over,
            servers: VecDeque::new(),
            attempt,
        };
        login.take_ticket(answer)?;
        Ok(login)
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) const fn token(&self) -> &CurrentToken {
        &self.token
    }

    /// Whether the ticket will do for another connection.
    pub(crate) fn is_fresh(&self) -> bool {
        match self.ends {
            Ends::At(end) => SystemTime::now() + TICKET_MARGIN < end,
            Ends::WhenRefused => true,
            Ends::Over => false,
        }
    }

    /// The servers refuse the ticket.
    pub(crate) const fn spoil(&mut self) {
        self.ends = Ends::Over;
    }

    /// Gets a fresh ticket and fresh servers; logs in again when the token is not known any more and
    /// there is a password.
    ///
    /// Not when the login was ended by somebody: another login of the same device would only be
    /// thrown out in turn.
    pub(crate) async fn renew(&mut self) -> Result<(), Error> {
        let refused = match self.route.ticket(&self.token.get()).await {
            Ok(answer) => return self.take_ticket(answer),
            Err(error) => error,
        };
        match &self.credentials {
            Some(credentials) if refused.code() == Some(Code::UNAUTHENTICATED) => {
                let request = request(credentials);
                // The new login ends the old ticket, also when the answer gets lost.
                self.spoil();
                let answer = self.route.login(&request).await?;
                self.token.replace(Token::new(answer.token));
                self.take_ticket(answer.ticket)
            }
            _ => Err(refused),
        }
    }

    /// Introduces this device for one more attempt to connect.
    pub(crate) fn hello(&mut self, positions: Vec<wire::Position>) -> Hello {
        self.attempt = self.attempt.saturating_add(1);
        Hello {
            version: PROTOCOL_VERSION,
            ticket: self.ticket.clone(),
            device: self.identity.device.to_string(),
            attempt: self.attempt,
            positions,
        }
    }

    /// Where to connect, the best first.
    pub(crate) fn servers(&self) -> Vec<String> {
        self.servers.iter().cloned().collect()
    }

    /// That server holds the connection.
    pub(crate) fn put_first(&mut self, server: &str) {
        self.servers.retain(|known| known != server);
        self.servers.push_front(server.to_owned());
    }

    /// The server that held the connection has just been lost: the others come first.
    pub(crate) fn put_first_last(&mut self) {
        if !self.servers.is_empty() {
            self.servers.rotate_left(1);
        }
    }

    fn take_ticket(&mut self, answer: TicketResponse) -> Result<(), Error> {
        let ticket = BASE64_URL_SAFE_NO_PAD
            .decode(&answer.ticket)
            .map_err(|error| protocol("the route's ticket is not base64").because(error))?;
        self.ticket = ticket.into();
        self.ends = Ends::of_new(answer.ticket_expires_at_ms, SystemTime::now());
        self.servers = answer.servers.into();
        Ok(())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("name", &self.identity.name.as_str())
            .field("device", &self.identity.device.as_str())
            .field("attempt", &self.attempt)
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

fn request(credentials: &Credentials) -> LoginRequest {
    LoginRequest {
        name: credentials.name.clone(),
        password: credentials.password.0.clone(),
        device: credentials.device.to_string(),
    }
}

fn identity(answer: &TicketResponse) -> Result<Identity, Error> {
    let wrong = "the route's answer to the login makes no sense";
    Ok(Identity {
        user: UserId::new(answer.user_id).map_err(|error| protocol(wrong).because(error))?,
        name: UserName::new(&answer.name).map_err(|error| protocol(wrong).because(error))?,
        device: DeviceId::new(&answer.device).map_err(|error| protocol(wrong).because(error))?,
    })
}

/// Connections of one login are ordered by their attempts, and another program may have made some
/// with the same token: the seconds since 2026 are more than it can have got to, because nobody
/// connects once a second for long.
fn attempts_before(now: SystemTime) -> u32 {
    let since_2026 = now.duration_since(UNIX_EPOCH + YEAR_2026);
    let seconds = since_2026.map_or(0, |time| time.as_secs());
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

fn protocol(message: &str) -> Error {
    Error::new(ErrorKind::Protocol, message)
}
