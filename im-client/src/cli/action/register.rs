//! `im register`: creates an account.

use rust_i18n::t;

use crate::cli::args::Account;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::json;
use crate::cli::screen::Screen;
use crate::cli::signals::until_signal;
use crate::cli::{login, password};

/// Creates the account and says its id.
pub(in crate::cli) async fn run(account: &Account, json: bool) -> Result<Exit, Failure> {
    let user = account.user()?;
    let password = match &account.password {
        Some(source) => until_signal(password::from(source)).await?,
        None if account.no_input => return Err(login::no_password()),
        None => until_signal(password::ask_new(user.as_str())).await?,
    };
    let id = until_signal(async { Ok(login::register(account, &user, &password).await?) }).await?;
    let line = match json {
        true => json::user(id, user.as_str()),
        false => format!("{}\n", t!("shell.registered", user = user, id = id)),
    };
    // The account exists, whether or not anybody reads about it.
    let _ = Screen::plain()?.print(line).await;
    Ok(Exit::Done)
}
