//! `Directory` in Redis: accounts under the skeletons of their names, logins under their users.

use std::sync::LazyLock;

use async_trait::async_trait;

use super::{Account, Adopted, Directory, LOGINS_MAX, Login, Registered};
use crate::backend::redis::{Call, Connection, Keys, Script};
use crate::backend::{BackendError, Result};
use crate::id::{DeviceId, UserId};
use crate::name::UserName;
use crate::secret::Secret;

static DRAW_USER: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("redis/draw_user.lua")));
static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/claim.lua")));
static LOG_IN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/log_in.lua")));
static LOG_OUT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/log_out.lua")));

/// Accounts and logins in Redis, as durable as Redis is configured to be.
pub(in crate::backend) struct RedisDirectory {
    connection: Connection,
    keys: Keys,
}

impl RedisDirectory {
    /// Uses a connection that others may share.
    pub(in crate::backend) fn new(connection: Connection, keys: Keys) -> Self {
        Self { connection, keys }
    }

    /// Draws an id that nobody has or had, even if the counter was lost. Should the clock have been
    /// set back too, while accounts were not lost: steps that double leave any number of taken ids
    /// behind soon.
    async fn draw_id(&self) -> Result<UserId> {
        for doublings in 0..53 {
            let draw = DRAW_USER
                .on(&[self.keys.last_user()])
                .arg(1_u64 << doublings);
            let user = UserId::new(self.connection.call(&draw).await?)
                .map_err(BackendError::unavailable)?;
            let look = Call::new("EXISTS", &self.keys.name(user));
            if !self.connection.call::<bool>(&look).await? {
                return Ok(user);
            }
        }
        Err(BackendError::unavailable("no user id is free"))
    }

    /// Makes the name the account's; returns whether nobody else has it.
    async fn claim(&self, account: &Account) -> Result<bool> {
        let claim = CLAIM
            .on(&[self.keys.account(&account.name)])
            .arg(account.user.number())
            .arg(account.name.as_str())
            .arg(&account.password_hash.0);
        self.connection.call(&claim).await
    }

    /// Makes the account known under its id. Idempotent, so that whoever finds the account by name
    /// can complete a registration that was cut short.
    async fn enter(&self, account: &Account) -> Result<()> {
        let key = self.keys.name(account.user);
        let enter = Call::new("SETNX", &key).arg(account.name.as_str());
        self.connection.call(&enter).await
    }
}

#[async_trait]
impl Directory for RedisDirectory {
    async fn register(&self, name: &UserName, password_hash: Secret<String>) -> Result<Registered> {
        let account = Account {
            user: self.draw_id().await?,
            name: name.clone(),
            password_hash,
        };
        if !self.claim(&account).await? {
            return Ok(Registered::Taken);
        }
        self.enter(&account).await?;
        Ok(Registered::New(account))
    }

    async fn adopt(&self, account: &Account) -> Result<Adopted> {
        match self.name_of(account.user).await? {
            Some(name) if name == account.name => return Ok(Adopted::Known),
            Some(_) => return Ok(Adopted::Taken),
            None => {}
        }
        if !self.claim(account).await? {
            return Ok(Adopted::Taken);
        }
        self.enter(account).await?;
        Ok(Adopted::New)
    }

    async fn find(&self, name: &UserName) -> Result<Option<Account>> {
        let look = Call::new("HMGET", &self.keys.account(name)).arg(&["id", "name", "password"]);
        let (user, stored, password): (Option<u64>, Option<String>, Option<String>) =
            self.connection.call(&look).await?;
        let (Some(user), Some(stored), Some(password)) = (user, stored, password) else {
            return Ok(None);
        };
        let account = Account {
            user: UserId::new(user).map_err(BackendError::damaged)?,
            name: UserName::new(&stored).map_err(BackendError::damaged)?,
            password_hash: Secret(password),
        };
        // Names that only look alike share a skeleton, and so a key.
        if account.name.folded() != name.folded() {
            return Ok(None);
        }
        self.enter(&account).await?;
        Ok(Some(account))
    }

    async fn name_of(&self, user: UserId) -> Result<Option<UserName>> {
        let look = Call::new("GET", &self.keys.name(user));
        let name: Option<String> = self.connection.call(&look).await?;
        name.map(|name| UserName::new(&name).map_err(BackendError::damaged))
            .transpose()
    }

    async fn log_in(&self, user: UserId, device: &DeviceId, token_digest: [u8; 32]) -> Result<u64> {
        let script = LOG_IN
            .on(&[self.keys.logins(user), self.keys.last_login(user)])
            .arg(device.as_str())
            .arg(&token_digest)
            .arg(LOGINS_MAX);
        self.connection.call(&script).await
    }

    async fn login(&self, user: UserId, device: &DeviceId) -> Result<Option<Login>> {
        let look = Call::new("HGET", &self.keys.logins(user)).arg(device.as_str());
        let login: Option<Vec<u8>> = self.connection.call(&look).await?;
        login.map(|login| decode(&login)).transpose()
    }

    async fn log_out(&self, user: UserId, device: &DeviceId, epoch: u64) -> Result<()> {
        let script = LOG_OUT
            .on(&[self.keys.logins(user)])
            .arg(device.as_str())
            .arg(epoch);
        self.connection.call(&script).await
    }
}

/// Reads what `log_in.lua` writes.
fn decode(login: &[u8]) -> Result<Login> {
    let malformed = || BackendError::damaged("a login that is none");
    let colon = login.iter().position(|byte| *byte == b':');
    let (epoch, digest) = login.split_at(colon.ok_or_else(malformed)?);
    Ok(Login {
        epoch: std::str::from_utf8(epoch)
            .ok()
            .and_then(|epoch| epoch.parse().ok())
            .ok_or_else(malformed)?,
        token_digest: digest[1..].try_into().map_err(|_| malformed())?,
    })
}
