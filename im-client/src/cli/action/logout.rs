//! `im logout`: ends the kept logins of a user.

use rust_i18n::t;

use crate::ErrorKind;
use crate::cli::args::{Account, Manners};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::kept::{self, Kept};
use crate::cli::screen::Screen;
use crate::cli::signals::until_signal;
use crate::cli::{login, state};

/// Ends them at the cluster, then forgets them. What cannot be ended now is kept, to be tried again.
pub(in crate::cli) async fn run(account: &Account, manners: &Manners) -> Result<Exit, Failure> {
    let user = account.user()?;
    let folder = state::state_dir()?;
    let all = kept::all(&folder)?.into_iter();
    let logins: Vec<Kept> = all
        .filter(|kept| kept.is_of(&account.routes, &user))
        .collect();
    for kept in &logins {
        until_signal(end(account, kept)).await?;
        kept::forget(&folder, std::slice::from_ref(kept))?;
    }
    let said = match logins.is_empty() {
        true => t!("login.none", user = user),
        false => t!("login.over", user = user),
    };
    if !manners.quiet {
        // The logins are over, whether or not anybody reads about it.
        let _ = Screen::plain()?.print(format!("{said}\n")).await;
    }
    Ok(Exit::Done)
}

async fn end(account: &Account, kept: &Kept) -> Result<(), Failure> {
    match login::builder(account).token(kept.token()).log_out().await {
        // It had ended already.
        Err(error) if error.kind() != ErrorKind::Unauthenticated => Err(error.into()),
        _ => Ok(()),
    }
}
