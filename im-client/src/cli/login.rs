//! Logging in: who, with which password or kept login, as which device.

use std::fs::File;

use im_common::code::Code;
use im_common::id::DeviceId;
use im_common::name::UserName;
use rust_i18n::t;

use super::args::Account;
use super::exit::Exit;
use super::failure::Failure;
use super::kept::{self, Kept};
use super::{detached, password, state, terminal};
use crate::{Client, ClientBuilder, Error, ErrorKind, Token};

/// What devices are for: `im login` keeps a login for each, so that none takes the connection of
/// another. The chat comes first.
pub(super) const USES: [&str; 6] = ["", "send", "tail", "online", "history", "doctor"];

/// Everything needed to log in.
pub(super) struct Login<'a> {
    account: &'a Account,
    user: UserName,
    device: DeviceId,
    proof: Proof,
}

/// What shows that it is the user.
enum Proof {
    Password(String),
    Kept(Token),
}

impl<'a> Login<'a> {
    /// Gathers it: a kept login, or else the password, which is asked for if need be.
    pub(super) async fn gather(account: &'a Account, used_for: &str) -> Result<Self, Failure> {
        let user = account.user()?;
        let device = account.device(used_for)?;
        let proof = match find(account, &user, &device)? {
            Some(token) => Proof::Kept(token),
            None => Proof::Password(password(account, &user).await?),
        };
        Ok(Self {
            account,
            user,
            device,
            proof,
        })
    }

    /// Gathers it as far as nobody has to be asked.
    pub(super) async fn without_asking(
        account: &'a Account,
        used_for: &str,
    ) -> Result<Option<Self>, Failure> {
        let device = account.device(used_for)?;
        let is_kept = find(account, &account.user()?, &device)?.is_some();
        match is_kept || account.password.is_some() {
            true => Self::gather(account, used_for).await.map(Some),
            false => Ok(None),
        }
    }

    /// Returns a client that is ready to connect.
    pub(super) fn builder(&self) -> ClientBuilder {
        let builder = builder(self.account)
            .user(self.user.as_str())
            .device(self.device.as_str());
        match &self.proof {
            Proof::Password(password) => builder.password(password.as_str()),
            Proof::Kept(token) => builder.token(token.clone()),
        }
    }

    /// Says why there is no connection: a kept login that has ended needs another one.
    pub(super) fn explain(&self, error: Error) -> Failure {
        match &self.proof {
            Proof::Kept(_) if error.kind() == ErrorKind::Unauthenticated => {
                Failure::new(Exit::Unauthorised, t!("login.ended"))
            }
            _ => error.into(),
        }
    }

    /// Waits for its turn among programs that use the same device: a second login would end the
    /// first.
    pub(super) async fn turn(&self) -> Result<Option<File>, Failure> {
        // Without a folder for state there is nothing to meet at; the login itself still works.
        let Ok(folder) = state::state_dir() else {
            return Ok(None);
        };
        let name = format!("{}-{}", self.user, self.device);
        let lock = detached::run("lock", move || state::lock(&folder, &name)).await;
        Ok(lock.map(Some)?)
    }

    /// After a refused login: offers to create the account. The cluster does not tell whether the
    /// name or the password was wrong; registering does, and takes nothing from anybody.
    pub(super) async fn offer_account(&self, refused: Failure) -> Result<(), Failure> {
        let password = match &self.proof {
            Proof::Password(typed) if self.may_ask() => typed,
            _ => return Err(refused),
        };
        let question = t!("login.offer", user = self.user);
        let is_wanted = |answer: &str| matches!(answer.trim(), "y" | "Y" | "yes" | "是");
        match terminal::ask(&question).await {
            Ok(answer) if is_wanted(&answer) => {}
            _ => return Err(refused),
        }
        password::confirm(password).await?;
        match register(self.account, &self.user, password).await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(Code::NAME_TAKEN) => Err(Failure::new(
                Exit::Unauthorised,
                t!("login.other_password", user = self.user),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether somebody is there who has typed the password.
    fn may_ask(&self) -> bool {
        !self.account.no_input && self.account.password.is_none()
    }
}

/// A client of this cluster, as patient as asked for.
pub(super) fn builder(account: &Account) -> ClientBuilder {
    let builder = match account.timeout {
        Some(timeout) => Client::builder()
            .connect_timeout(timeout)
            .send_timeout(timeout),
        None => Client::builder(),
    };
    let routes = account.routes.iter();
    routes.fold(builder, |builder, route| builder.route(route.as_str()))
}

/// The password of an account, asked for if need be.
pub(super) async fn password(account: &Account, user: &UserName) -> Result<String, Failure> {
    match &account.password {
        Some(source) => password::from(source).await,
        None if account.no_input => Err(no_password()),
        None => password::ask(user.as_str()).await,
    }
}

/// The login that is kept for this device.
fn find(account: &Account, user: &UserName, device: &DeviceId) -> Result<Option<Token>, Failure> {
    // Without a folder for state nothing is kept.
    let Ok(folder) = state::state_dir() else {
        return Ok(None);
    };
    let all = kept::all(&folder).map_err(|error| Failure::fixable(error.to_string()))?;
    let of_device = |kept: &&Kept| kept.is_of(&account.routes, user) && kept.is_on(device);
    Ok(all.iter().find(of_device).map(Kept::token))
}

/// Creates an account.
pub(super) async fn register(
    account: &Account,
    user: &UserName,
    password: &str,
) -> Result<im_common::id::UserId, Error> {
    crate::register(&account.routes, user.as_str(), password).await
}

/// Without a terminal or a source there is no password.
pub(super) fn no_password() -> Failure {
    Failure::usage(t!("password.not_asked"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_login_is_kept_for_every_use() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/action");
        for file in fs::read_dir(folder).unwrap() {
            let source = fs::read_to_string(file.unwrap().path()).unwrap();
            for call in source.split("Login::gather(account, \"").skip(1) {
                let used_for = call.split('"').next().unwrap();
                assert!(
                    USES.contains(&used_for),
                    "im login keeps none for {used_for:?}"
                );
            }
        }
    }
}
