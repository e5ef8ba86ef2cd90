//! `im search`: finds messages among those that are kept on this machine.

use rust_i18n::t;

use super::archive_of;
use super::printing::print;
use crate::cli::archive::{Archive, Query};
use crate::cli::args::{Account, Manners};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::render::Format;
use crate::cli::signals::until_signal;
use crate::cli::tell;

/// Prints the newest matches, oldest first. As with `grep`, the exit code says when there are none.
pub(in crate::cli) async fn run(
    account: &Account,
    manners: &Manners,
    words: &[String],
    (count, json): (usize, bool),
) -> Result<Exit, Failure> {
    let query: Query = words
        .join(" ")
        .parse()
        .map_err(|error| Failure::usage(format!("{error}")))?;
    let user = account.user()?;
    if !Archive::exists(&user, &account.routes) {
        return Ok(Exit::NotFound);
    }
    let archive = archive_of(account)?;
    let found = until_signal(async {
        let found = archive.search(&query, None, count).await;
        found.map_err(|error| Failure::new(Exit::Internal, t!("archive.unusable", why = error)))
    });
    let found = found.await?;
    if found.messages.is_empty() {
        return Ok(Exit::NotFound);
    }
    let format = Format::of(json, manners.colour);
    print(account, &archive, &format, (&found.messages, &query)).await?;
    if found.next.is_some() && !manners.quiet {
        tell(&t!("archive.older", count = count));
    }
    Ok(Exit::Done)
}
