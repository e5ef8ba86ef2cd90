//! Registering, logging in and out, tickets, and who a token belongs to.

mod open;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use im_common::backend::directory::{Directory, Registered};
use im_common::code::Code;
use im_common::id::{DeviceId, SessionEpoch, UserId};
use im_common::message::Identity;
use im_common::name::UserName;
use im_common::secret::Secret;
use im_common::ticket::{Ticket, TicketKey};
use im_common::transport::Refusal;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use crate::attachments::Attachments;
use crate::names::Names;
use crate::password::Passwords;
use crate::placement::Placement;
use crate::reading::Reading;
use crate::servers::Servers;

/// How long who logs out waits for the server of the connection: many times what an answer takes,
/// and little for a person.
const GONE_WITHIN: Duration = Duration::from_secs(1);
/// 256 bits cannot be guessed.
const TOKEN_BYTES: usize = 32;

/// Accounts and their logins.
#[derive(Clone)]
pub(crate) struct Accounts {
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) names: Names,
    pub(crate) passwords: Passwords,
    pub(crate) tickets: TicketKey,
    pub(crate) ticket_lifetime: Duration,
    pub(crate) placement: Arc<Placement>,
    pub(crate) servers: Servers,
    pub(crate) attachments: Attachments,
    pub(crate) reading: Reading,
}

/// Who a request comes from, proven by its token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    pub(crate) login_epoch: u64,
}

/// What a device needs to connect.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) ticket: Bytes,
    pub(crate) expires_at: SystemTime,
    /// The best first; empty when none can take the client now.
    pub(crate) servers: Vec<String>,
}

impl Accounts {
    /// Registers an account.
    pub(crate) async fn register(
        &self,
        name: &UserName,
        password: Secret<String>,
    ) -> Result<UserId, Refusal> {
        let hash = self.passwords.hash(password).await?;
        match self.directory.register(name, hash).await? {
            Registered::Taken => Err(Refusal::new(
                Code::NAME_TAKEN,
                format!("the name {name}, or one that looks like it, is taken; choose another"),
            )),
            Registered::New(account) => {
                self.reading.begin_in_lobby(account.user).await?;
                Ok(account.user)
            }
        }
    }

    /// Logs a device in; its earlier login ends, and so does that login's connection. Refused with
    /// [`Code::ALREADY_ONLINE`] where the policy says so.
    pub(crate) async fn log_in(
        &self,
        name: &str,
        password: Secret<String>,
        device: DeviceId,
    ) -> Result<(Caller, Secret<String>), Refusal> {
        let account = match UserName::new(name) {
            Ok(name) => self.directory.find(&name).await?,
            Err(_) => None,
        };
        let hash = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        let matches = self.passwords.verify(password, hash).await?;
        let Some(account) = account.filter(|_| matches) else {
            return Err(Code::WRONG_PASSWORD.into());
        };
        self.attachments.slots.admit(account.user, &device).await?;
        let secret = fresh_secret();
        let epoch = self
            .directory
            .log_in(account.user, &device, digest(&secret))
            .await?;
        let token = Secret(format!("{}.{secret}.{device}", account.user));
        let identity = Identity {
            user: account.user,
            name: account.name,
            device,
        };
        Ok((
            Caller {
                identity,
                login_epoch: epoch,
            },
            token,
        ))
    }

    /// Returns whom a token speaks for.
    pub(crate) async fn authenticate(&self, token: &str) -> Result<Caller, Refusal> {
        let unauthenticated = || Refusal::from(Code::UNAUTHENTICATED);
        let (user, secret, device) = split_token(token).ok_or_else(unauthenticated)?;
        let login = self
            .directory
            .login(user, &device)
            .await?
            .ok_or_else(unauthenticated)?;
        if !bool::from(login.token_digest.ct_eq(&digest(secret))) {
            // The device has logged in anew; whoever holds the old token must not fight it.
            return Err(Code::LOGGED_OUT.into());
        }
        let name = self.names.name(user).await?.ok_or_else(unauthenticated)?;
        Ok(Caller {
            identity: Identity { user, name, device },
            login_epoch: login.epoch,
        })
    }

    /// Issues a ticket and chooses servers.
    pub(crate) fn pass(&self, caller: &Caller) -> Pass {
        let expires_at = SystemTime::now() + self.ticket_lifetime;
        let ticket = self.tickets.issue(&Ticket {
            identity: caller.identity.clone(),
            login_epoch: caller.login_epoch,
            expires_at,
        });
        let chosen = self
            .placement
            .choose(caller.identity.user, &self.servers.placeable());
        let servers = chosen
            .into_iter()
            .map(|server| server.client_address)
            .collect();
        Pass {
            ticket,
            expires_at,
            servers,
        }
    }

    /// Ends a login and its connection, which nobody sees any more when this returns; unless its
    /// server does not answer in time.
    pub(crate) async fn log_out(&self, caller: &Caller) -> Result<(), Refusal> {
        let Identity { user, device, .. } = &caller.identity;
        self.directory
            .log_out(*user, device, caller.login_epoch)
            .await?;
        let sessions = self.attachments.sessions.locate(&[*user]).await?;
        let newest_ended = SessionEpoch {
            login: caller.login_epoch,
            attempt: u32::MAX,
        };
        for session in sessions {
            if session.device == *device && session.epoch <= newest_ended {
                self.attachments.sessions.detach(&session).await?;
                let kicked = self.attachments.kick(session, Code::LOGGED_OUT);
                timeout(GONE_WITHIN, kicked).await.ok();
            }
        }
        Ok(())
    }

    /// Returns a user by name or id.
    pub(crate) async fn user(&self, name_or_id: &str) -> Result<(UserId, UserName), Refusal> {
        let user = match name_or_id.parse::<UserId>() {
            Ok(user) => Some(user),
            Err(_) => match UserName::new(name_or_id) {
                Ok(name) => self.names.user(&name).await?,
                Err(_) => None,
            },
        };
        let unknown = || Refusal::new(Code::USER_UNKNOWN, format!("there is no user {name_or_id}"));
        let user = user.ok_or_else(unknown)?;
        let name = self.names.name(user).await?.ok_or_else(unknown)?;
        Ok((user, name))
    }
}

/// A token is `user.secret.device`; only the device may contain dots.
fn split_token(token: &str) -> Option<(UserId, &str, DeviceId)> {
    let mut parts = token.splitn(3, '.');
    let user = parts.next()?.parse().ok()?;
    let secret = parts.next()?;
    let device = DeviceId::new(parts.next()?).ok()?;
    Some((user, secret, device))
}

fn fresh_secret() -> String {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness");
    URL_SAFE_NO_PAD.encode(bytes)
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}
