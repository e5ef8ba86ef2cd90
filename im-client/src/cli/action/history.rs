//! `im history`: prints what was said in a conversation.

use rust_i18n::t;

use super::printing::print;
use super::{archive_of, close, close_archive, connect};
use crate::Message;
use crate::cli::archive::{Archive, Part, Query};
use crate::cli::args::{Account, History, Manners};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::login::Login;
use crate::cli::render::Format;
use crate::cli::scrollback::{kept, look_back};
use crate::cli::signals::until_signal;
use crate::cli::tell;

/// Prints them, oldest first. Without the cluster, prints what is kept here and fails.
pub(in crate::cli) async fn run(
    account: &Account,
    manners: &Manners,
    wanted: &History,
) -> Result<Exit, Failure> {
    let archive = archive_of(account)?;
    let (messages, unreached) = match wanted.local {
        true => (kept(&archive, &wanted.with, part(wanted)).await, None),
        false => everywhere(account, &archive, wanted).await?,
    };
    let format = Format::of(wanted.json, manners.colour);
    print(account, &archive, &format, (&messages, &Query::default())).await?;
    close_archive(archive).await;
    match unreached {
        None => Ok(Exit::Done),
        Some(failure) => {
            tell(&t!("archive.only_here", why = failure));
            Ok(failure.exit)
        }
    }
}

/// Reads from the cluster as well, and says why not, if that may be mended.
async fn everywhere(
    account: &Account,
    archive: &Archive,
    wanted: &History,
) -> Result<(Vec<Message>, Option<Failure>), Failure> {
    let login = until_signal(Login::gather(account, "history")).await?;
    let _turn = until_signal(login.turn()).await?;
    let client = match connect(&login).await {
        Ok(client) => client,
        Err(failure) if matches!(failure.exit, Exit::Unavailable | Exit::Timeout) => {
            let messages = kept(archive, &wanted.with, part(wanted)).await;
            return Ok((messages, Some(failure)));
        }
        Err(failure) => return Err(failure),
    };
    let reading = look_back(&client, archive, &wanted.with, part(wanted));
    let past = until_signal(async { Ok(reading.await?) }).await;
    close(&client).await;
    let past = past?;
    Ok((past.messages, past.unreached.map(Failure::from)))
}

const fn part(wanted: &History) -> Part {
    Part {
        before: None,
        before_ms: wanted.before,
        limit: wanted.count,
    }
}
