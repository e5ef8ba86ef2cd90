//! The embedded `Directory`: accounts and logins in the database of this process.

use std::sync::Arc;

use async_trait::async_trait;
use prost::Message as _;

use super::{Account, Adopted, Directory, LOGINS_MAX, Login, Registered};
use crate::backend::embedded::{Change, Durable, Store, View, keys, now_ms, values};
use crate::backend::{BackendError, Result};
use crate::id::{DeviceId, UserId};
use crate::name::UserName;
use crate::secret::Secret;
use crate::wire::{AccountRecord, LoginRecord, LoginsRecord};

/// Accounts and logins in the database of this process.
pub(in crate::backend) struct EmbeddedDirectory {
    store: Arc<Store>,
}

impl EmbeddedDirectory {
    pub(in crate::backend) fn new(store: Arc<Store>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Directory for EmbeddedDirectory {
    async fn register(&self, name: &UserName, password_hash: Secret<String>) -> Result<Registered> {
        let name = name.clone();
        let register = move |change: &mut Change<'_>| register(change, name, password_hash);
        self.store.write(Durable::Now, register).await
    }

    async fn adopt(&self, account: &Account) -> Result<Adopted> {
        let account = account.clone();
        let adopt = move |change: &mut Change<'_>| adopt(change, &account);
        self.store.write(Durable::Now, adopt).await
    }

    async fn find(&self, name: &UserName) -> Result<Option<Account>> {
        let view = self.store.view()?;
        let Some(user) = view.get(&keys::name(name))? else {
            return Ok(None);
        };
        let user = values::user(&user)?;
        let account = view
            .account(user)?
            .ok_or_else(|| BackendError::Damaged(format!("user {user} has a name, no account")))?;
        Ok((account.name.folded() == name.folded()).then_some(account))
    }

    async fn name_of(&self, user: UserId) -> Result<Option<UserName>> {
        let account = self.store.view()?.account(user)?;
        Ok(account.map(|account| account.name))
    }

    async fn log_in(&self, user: UserId, device: &DeviceId, token_digest: [u8; 32]) -> Result<u64> {
        let device = device.clone();
        let log_in = move |change: &mut Change<'_>| {
            let mut logins = logins(change.get(&keys::logins(user))?)?;
            let epoch = add_login(&mut logins, &device, token_digest);
            change.insert(keys::logins(user), logins.encode_to_vec());
            Ok(epoch)
        };
        self.store.write(Durable::Now, log_in).await
    }

    async fn login(&self, user: UserId, device: &DeviceId) -> Result<Option<Login>> {
        let logins = logins(self.store.view()?.get(&keys::logins(user))?)?;
        let login = logins
            .logins
            .into_iter()
            .find(|login| login.device == device.as_str());
        login.map(Login::try_from).transpose()
    }

    async fn log_out(&self, user: UserId, device: &DeviceId, epoch: u64) -> Result<()> {
        let device = device.clone();
        let log_out = move |change: &mut Change<'_>| {
            let mut logins = logins(change.get(&keys::logins(user))?)?;
            let held = logins.logins.len();
            logins
                .logins
                .retain(|login| login.device != device.as_str() || login.epoch != epoch);
            if logins.logins.len() < held {
                change.insert(keys::logins(user), logins.encode_to_vec());
            }
            Ok(())
        };
        self.store.write(Durable::Now, log_out).await
    }
}

fn register(
    change: &mut Change<'_>,
    name: UserName,
    password_hash: Secret<String>,
) -> Result<Registered> {
    if change.get(&keys::name(&name))?.is_some() {
        return Ok(Registered::Taken);
    }
    let account = Account {
        user: draw_id(change)?,
        name,
        password_hash,
    };
    change.insert(keys::newest_user(), values::number(account.user.number()));
    enter(change, &account);
    Ok(Registered::New(account))
}

/// The next id after the newest that was drawn which no adopted account has.
fn draw_id(change: &Change<'_>) -> Result<UserId> {
    let newest = change.get(&keys::newest_user())?;
    let newest = newest.map(|value| values::user(&value)).transpose()?;
    let mut number = newest.map_or(0, UserId::number);
    loop {
        number += 1;
        let user = UserId::new(number).map_err(BackendError::unavailable)?;
        if change.get(&keys::account(user))?.is_none() {
            return Ok(user);
        }
    }
}

fn adopt(change: &mut Change<'_>, account: &Account) -> Result<Adopted> {
    let holder = change.get(&keys::name(&account.name))?;
    let holder = holder.map(|user| values::user(&user)).transpose()?;
    let known = change.get(&keys::account(account.user))?;
    let known: Option<AccountRecord> = known.map(|value| values::record(&value)).transpose()?;
    match (holder, known) {
        (None, None) => {
            enter(change, account);
            Ok(Adopted::New)
        }
        (_, Some(known)) if known.name == account.name.as_str() => Ok(Adopted::Known),
        _ => Ok(Adopted::Taken),
    }
}

fn enter(change: &mut Change<'_>, account: &Account) {
    let record = AccountRecord {
        name: account.name.to_string(),
        password_hash: account.password_hash.0.clone(),
    };
    let number = values::number(account.user.number());
    change.insert(keys::name(&account.name), number);
    change.insert(keys::account(account.user), record.encode_to_vec());
}

/// One epoch for all devices of a user, so that nothing is kept of devices that logged out. The
/// clock lets epochs rise even in a store that lost the last ones.
fn add_login(logins: &mut LoginsRecord, device: &DeviceId, token_digest: [u8; 32]) -> u64 {
    let epoch = now_ms().max(logins.last_epoch + 1);
    logins.last_epoch = epoch;
    logins
        .logins
        .retain(|login| login.device != device.as_str());
    logins.logins.push(LoginRecord {
        device: device.to_string(),
        epoch,
        token_digest: token_digest.to_vec().into(),
    });
    // They lie in the order of their epochs: the first is the oldest.
    let beyond = logins.logins.len().saturating_sub(LOGINS_MAX);
    logins.logins.drain(..beyond);
    epoch
}

fn logins(value: Option<fjall::Slice>) -> Result<LoginsRecord> {
    value.map_or_else(
        || Ok(LoginsRecord::default()),
        |value| values::record(&value),
    )
}

impl View {
    fn account(&self, user: UserId) -> Result<Option<Account>> {
        let Some(value) = self.get(&keys::account(user))? else {
            return Ok(None);
        };
        let record: AccountRecord = values::record(&value)?;
        Ok(Some(Account {
            user,
            name: UserName::new(&record.name).map_err(BackendError::damaged)?,
            password_hash: Secret(record.password_hash),
        }))
    }
}

impl TryFrom<LoginRecord> for Login {
    type Error = BackendError;

    fn try_from(record: LoginRecord) -> Result<Self> {
        let token_digest = record.token_digest.as_ref().try_into();
        Ok(Self {
            epoch: record.epoch,
            token_digest: token_digest.map_err(BackendError::damaged)?,
        })
    }
}
