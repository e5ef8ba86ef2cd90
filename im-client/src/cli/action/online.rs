//! `im online`: lists who is online.

use rust_i18n::t;

use super::{close, connect};
use crate::Client;
use crate::cli::args::{Account, Manners};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::login::Login;
use crate::cli::render::Format;
use crate::cli::screen::Screen;
use crate::cli::signals::until_signal;
use crate::cli::tell;

/// Users asked for at once.
const PAGE: usize = 100;

/// Lists them all, page by page.
pub(in crate::cli) async fn run(
    account: &Account,
    manners: &Manners,
    prefix: &str,
    json: bool,
) -> Result<Exit, Failure> {
    let login = until_signal(Login::gather(account, "online")).await?;
    let _turn = until_signal(login.turn()).await?;
    let client = connect(&login).await?;
    let format = Format::of(json, manners.colour);
    let listed = until_signal(list(&client, prefix, &format)).await;
    close(&client).await;
    listed
}

async fn list(client: &Client, prefix: &str, format: &Format) -> Result<Exit, Failure> {
    let screen = Screen::plain()?;
    let mut after: Option<String> = None;
    let mut is_partial = false;
    loop {
        let page = client.online(prefix, after.as_deref(), PAGE).await?;
        is_partial |= page.partial;
        let users = page.users.iter();
        let lines = users.map(|user| format.user(user.user, &user.name, prefix));
        if screen.print(lines.collect()).await.is_err() {
            return Ok(Exit::Done);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if is_partial {
        tell(&t!("shell.partial"));
        return Ok(Exit::Unavailable);
    }
    Ok(Exit::Done)
}
