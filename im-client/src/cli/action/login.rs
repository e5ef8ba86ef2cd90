//! `im login`: gets logins for everything that `im` does, and keeps them.

use rust_i18n::t;

use crate::cli::args::{Account, Manners};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::kept::{self, Kept};
use crate::cli::render::json;
use crate::cli::screen::Screen;
use crate::cli::signals::until_signal;
use crate::cli::{login, state};

/// Logs in and keeps the tokens. A chat that runs on this device ends, as with any newer login.
pub(in crate::cli) async fn run(
    account: &Account,
    manners: &Manners,
    json: bool,
) -> Result<Exit, Failure> {
    let user = account.user()?;
    let folder = state::state_dir()?;
    let password = until_signal(login::password(account, &user)).await?;
    let mut logins = Vec::with_capacity(login::USES.len());
    let mut devices = Vec::with_capacity(login::USES.len());
    for used_for in login::USES {
        let device = account.device(used_for)?;
        let builder = login::builder(account)
            .user(user.as_str())
            .password(password.as_str())
            .device(device.as_str());
        let token = until_signal(async { Ok(builder.log_in().await?) }).await?;
        logins.push(Kept::new(&account.routes, &user, &device, &token));
        devices.push(device);
    }
    kept::keep(&folder, &logins)?;
    let said = match json {
        true => json::login(user.as_str(), &devices),
        false if manners.quiet => String::new(),
        false => format!("{}\n", t!("login.kept", user = user)),
    };
    // The login is kept, whether or not anybody reads about it.
    let _ = Screen::plain()?.print(said).await;
    Ok(Exit::Done)
}
