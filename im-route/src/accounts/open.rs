//! Accounts without a password: for clients whose protocol has none.
//!
//! Whoever knows such an account's name and id can be its user. Nobody gets into an account that
//! has a password this way, and no password opens these.

use im_common::backend::directory::{Account, Registered};
use im_common::backend::registry::ServerInfo;
use im_common::code::Code;
use im_common::id::{DeviceId, UserId};
use im_common::message::Identity;
use im_common::name::UserName;
use im_common::secret::Secret;
use im_common::transport::Refusal;

use super::{Accounts, Caller, digest, fresh_secret};

impl Accounts {
    /// Registers an account without a password, or returns the one that has exactly this name.
    pub(crate) async fn register_open(&self, name: &UserName) -> Result<UserId, Refusal> {
        if let Some(account) = self.directory.find(name).await? {
            return same(account, name);
        }
        match self.directory.register(name, Secret(String::new())).await? {
            Registered::New(account) => {
                self.reading.begin_in_lobby(account.user).await?;
                Ok(account.user)
            }
            // By a look-alike, or by the same name at the same moment.
            Registered::Taken => match self.directory.find(name).await? {
                Some(account) => same(account, name),
                None => Err(taken(name)),
            },
        }
    }

    /// Returns the account of a user, if it has no password.
    pub(crate) async fn open_account(&self, user: UserId) -> Result<Account, Refusal> {
        let account = self.directory.account(user).await?;
        let open = account.filter(|account| !account.has_password());
        open.ok_or_else(|| Code::USER_UNKNOWN.into())
    }

    /// Logs a device in and chooses a server that has an entrance for its protocol. Refused with
    /// [`Code::ALREADY_ONLINE`] while a session holds the slot and lives, whatever second logins may
    /// do otherwise.
    pub(crate) async fn log_in_open(
        &self,
        user: UserId,
        name: &UserName,
        device: &DeviceId,
        protocol: &str,
    ) -> Result<ServerInfo, Refusal> {
        let account = self.open_account(user).await?;
        if account.name != *name {
            return Err(Code::USER_UNKNOWN.into());
        }
        let slots = self.attachments.slots.refusing();
        slots.admit(user, device).await?;
        // Before anything is changed: who finds no server is not logged in.
        let server = self.entrance(user, protocol);
        let server = server.ok_or_else(|| Refusal::from(Code::NO_SERVER))?;
        // Nobody is given the token.
        let token = digest(&fresh_secret());
        self.directory.log_in(user, device, token).await?;
        Ok(server)
    }

    /// Ends the login that a device has now, and its connection.
    pub(crate) async fn log_out_open(&self, user: UserId, device: DeviceId) -> Result<(), Refusal> {
        let account = self.open_account(user).await?;
        let Some(login) = self.directory.login(user, &device).await? else {
            return Ok(());
        };
        let name = account.name;
        self.log_out(&Caller {
            identity: Identity { user, name, device },
            login_epoch: login.epoch,
        })
        .await
    }

    fn entrance(&self, user: UserId, protocol: &str) -> Option<ServerInfo> {
        let mut servers = self.servers.placeable();
        servers.retain(|server| server.entrances.contains_key(protocol));
        self.placement.choose(user, &servers).into_iter().next()
    }
}

/// Names that differ in case only are two persons elsewhere, so they are not taken for one here.
fn same(account: Account, name: &UserName) -> Result<UserId, Refusal> {
    if account.name == *name && !account.has_password() {
        Ok(account.user)
    } else {
        Err(taken(name))
    }
}

fn taken(name: &UserName) -> Refusal {
    let reason = format!(
        "the name {name}, or one that looks like it, belongs to a user who has another name or a \
         password"
    );
    Refusal::new(Code::NAME_TAKEN, reason)
}
