//! `im history`: prints what was said in a conversation.

use im_common::message::Recipient;
use rust_i18n::t;

use super::printing::print;
use super::{close, connect};
use crate::Message;
use crate::cli::archive::{Archive, Part, Query};
use crate::cli::args::{Account, Manners};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::login::Login;
use crate::cli::render::Format;
use crate::cli::scrollback::{kept, look_back};
use crate::cli::signals::until_signal;
use crate::cli::tell;

/// What is asked for.
#[derive(Debug)]
pub(in crate::cli) struct Wanted<'a> {
    /// The conversation.
    pub(in crate::cli) with: &'a Recipient,
    /// At most so many messages.
    pub(in crate::cli) count: usize,
    /// Only those accepted before this time, in milliseconds since 1970.
    pub(in crate::cli) before_ms: Option<u64>,
    /// Only what is kept on this machine.
    pub(in crate::cli) is_local: bool,
    /// For a program.
    pub(in crate::cli) json: bool,
}

/// Prints them, oldest first. Without the cluster, prints what is kept here and fails.
pub(in crate::cli) async fn run(
    account: &Account,
    manners: &Manners,
    wanted: Wanted<'_>,
) -> Result<Exit, Failure> {
    let archive = Archive::of_account(&account.user()?, &account.routes)?;
    let (messages, unreached) = match wanted.is_local {
        true => (kept(&archive, wanted.with, wanted.part()).await, None),
        false => everywhere(account, &archive, &wanted).await?,
    };
    let format = Format::of(wanted.json, manners.colour);
    print(account, &archive, &format, (&messages, &Query::default())).await?;
    if let Some(trouble) = archive.close().await {
        tell(&trouble.to_string());
    }
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
    wanted: &Wanted<'_>,
) -> Result<(Vec<Message>, Option<Failure>), Failure> {
    let login = until_signal(Login::gather(account, "history")).await?;
    let _turn = until_signal(login.turn()).await?;
    let client = match connect(&login).await {
        Ok(client) => client,
        Err(failure) if matches!(failure.exit, Exit::Unavailable | Exit::Timeout) => {
            let messages = kept(archive, wanted.with, wanted.part()).await;
            return Ok((messages, Some(failure)));
        }
        Err(failure) => return Err(failure),
    };
    let reading = look_back(&client, archive, wanted.with, wanted.part());
    let past = until_signal(async { Ok(reading.await?) }).await;
    close(&client).await;
    let past = past?;
    Ok((past.messages, past.unreached.map(Failure::from)))
}

impl Wanted<'_> {
    const fn part(&self) -> Part {
        Part {
            before: None,
            before_ms: self.before_ms,
            limit: self.count,
        }
    }
}
