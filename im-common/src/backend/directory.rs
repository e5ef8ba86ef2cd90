//! `Directory`: accounts and logins.

pub(super) mod embedded;
#[cfg(feature = "cluster")]
pub(super) mod redis;

use async_trait::async_trait;

use super::Result;
use crate::id::{DeviceId, UserId};
use crate::name::UserName;
use crate::secret::Secret;

/// A device beyond this many ends the oldest login of its user.
pub const LOGINS_MAX: usize = 32;

/// A registered user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id, drawn at registration.
    pub user: UserId,
    /// Its name, which never changes.
    pub name: UserName,
    /// The password's hash in PHC string format; empty when there is none, and then no password
    /// opens the account.
    pub password_hash: Secret<String>,
}

impl Account {
    /// Whether the account is protected by a password.
    pub fn has_password(&self) -> bool {
        !self.password_hash.0.is_empty()
    }
}

/// How a registration ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// The account is stored, durably.
    New(Account),
    /// The name, or one with the same skeleton, belongs to somebody else.
    Taken,
}

/// What became of an account that was made elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adopted {
    /// It is stored, durably.
    New,
    /// The user has this name already, whatever its password; nothing has changed.
    Known,
    /// The id has another name here, or the name, or one with the same skeleton, another id.
    Taken,
}

/// A device that is logged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Raised by each login of the device.
    pub epoch: u64,
    /// SHA-256 of the token that the device was given.
    pub token_digest: [u8; 32],
}

/// Accounts by name and id, and the devices that are logged in. Durable when it answers.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Registers a name. Of several at once with the same skeleton exactly one succeeds. The user id
    /// was never given to anybody before, also if the store has lost accounts since.
    async fn register(&self, name: &UserName, password_hash: Secret<String>) -> Result<Registered>;

    /// Takes over an account that was made elsewhere, under the id that it has there. No id that
    /// is drawn later is the same.
    async fn adopt(&self, account: &Account) -> Result<Adopted>;

    /// Finds an account by name, without regard to case.
    async fn find(&self, name: &UserName) -> Result<Option<Account>>;

    /// Returns the name of a user.
    async fn name_of(&self, user: UserId) -> Result<Option<UserName>>;

    /// Returns the account of a user.
    async fn account(&self, user: UserId) -> Result<Option<Account>> {
        match self.name_of(user).await? {
            Some(name) => self.find(&name).await,
            None => Ok(None),
        }
    }

    /// Logs a device in and ends its earlier login. Returns an epoch greater than that of every
    /// earlier login of this device, also after logging out.
    async fn log_in(&self, user: UserId, device: &DeviceId, token_digest: [u8; 32]) -> Result<u64>;

    /// Returns a device's login, if it is logged in.
    async fn login(&self, user: UserId, device: &DeviceId) -> Result<Option<Login>>;

    /// Ends a login, if it is the one that holds.
    async fn log_out(&self, user: UserId, device: &DeviceId, epoch: u64) -> Result<()>;
}
