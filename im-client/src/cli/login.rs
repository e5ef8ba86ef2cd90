//! Logging in: who, with which password, as which device.

use std::fs::File;

use im_common::code::Code;
use im_common::id::DeviceId;
use im_common::name::UserName;
use rust_i18n::t;

use super::args::Account;
use super::exit::Exit;
use super::failure::Failure;
use super::{detached, password, state, terminal};
use crate::{Client, ClientBuilder};

/// Everything needed to log in.
pub(super) struct Login<'a> {
    account: &'a Account,
    user: UserName,
    device: DeviceId,
    password: String,
}

impl<'a> Login<'a> {
    /// Gathers it from the command line, and asks for the password if need be.
    pub(super) async fn gather(account: &'a Account, used_for: &str) -> Result<Self, Failure> {
        let user = account.user()?;
        let device = account.device(used_for)?;
        let password = match &account.password {
            Some(source) => password::from(source).await?,
            None if account.no_input => return Err(no_password()),
            None => password::ask(user.as_str()).await?,
        };
        Ok(Self {
            account,
            user,
            device,
            password,
        })
    }

    /// Returns a client that is ready to connect.
    pub(super) fn builder(&self) -> ClientBuilder {
        let builder = Client::builder()
            .user(self.user.as_str())
            .password(self.password.as_str())
            .device(self.device.as_str());
        let builder = match self.account.timeout {
            Some(timeout) => builder.connect_timeout(timeout).send_timeout(timeout),
            None => builder,
        };
        let routes = self.account.routes.iter();
        routes.fold(builder, |builder, route| builder.route(route.as_str()))
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
        if self.account.no_input || self.account.password.is_some() {
            return Err(refused);
        }
        let question = t!("login.offer", user = self.user);
        let is_wanted = |answer: &str| matches!(answer.trim(), "y" | "Y" | "yes" | "是");
        match terminal::ask(&question).await {
            Ok(answer) if is_wanted(&answer) => {}
            _ => return Err(refused),
        }
        password::confirm(&self.password).await?;
        match register(self.account, &self.user, &self.password).await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(Code::NAME_TAKEN) => Err(Failure::new(
                Exit::Unauthorised,
                t!("login.other_password", user = self.user),
            )),
            Err(error) => Err(error.into()),
        }
    }
}

/// Creates an account.
pub(super) async fn register(
    account: &Account,
    user: &UserName,
    password: &str,
) -> Result<im_common::id::UserId, crate::Error> {
    crate::register(&account.routes, user.as_str(), password).await
}

/// Without a terminal or a file there is no password.
pub(super) fn no_password() -> Failure {
    Failure::usage(t!("password.not_asked"))
}
