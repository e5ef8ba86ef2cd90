//! `im send`: sends one message and waits until it is accepted.

use std::io::{self, Read};

use im_common::message::{Identity, Position, Receipt, Recipient, TEXT_BYTES_MAX};
use rust_i18n::t;
use tokio::time::{Instant, timeout_at};

use super::{archive_of, close, close_archive, connect};
use crate::cli::archive::Sent;
use crate::cli::args::{Account, Manners};
use crate::cli::detached;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::login::Login;
use crate::cli::render::json;
use crate::cli::screen::Screen;
use crate::cli::signals::until_signal;
use crate::{SendError, Sending};

/// Enough to see that a text is too long, and for its last line end.
const STDIN_BYTES_MAX: u64 = TEXT_BYTES_MAX as u64 + 2;

/// Sends, and says where the message is.
pub(in crate::cli) async fn run(
    account: &Account,
    manners: &Manners,
    to: &Recipient,
    text: &str,
    json: bool,
) -> Result<Exit, Failure> {
    let login = until_signal(Login::gather(account, "send")).await?;
    let text = match text {
        "-" => until_signal(read_stdin()).await?,
        _ => text.to_owned(),
    };
    let _turn = until_signal(login.turn()).await?;
    // One limit for both, so that a script knows how long this takes at most.
    let deadline = account.timeout.map(|timeout| Instant::now() + timeout);
    let client = connect(&login).await?;
    let sending = by(deadline, client.send(to.clone(), text.as_str()));
    let sent = until_signal(async { Ok(sending.await?) }).await;
    close(&client).await;
    let receipt = sent?;
    let sent = Sent {
        to,
        receipt: &receipt,
        text: &text,
    };
    keep(account, client.identity(), sent).await?;
    let said = match json {
        true => json::receipt(&receipt),
        false if manners.quiet => return Ok(Exit::Done),
        false => accepted(&receipt),
    };
    // The message is accepted, whether or not anybody reads about it.
    let _ = Screen::plain()?.print(said).await;
    Ok(Exit::Done)
}

/// Keeps the message on this machine, where it is found again.
async fn keep(account: &Account, sender: &Identity, sent: Sent<'_>) -> Result<(), Failure> {
    let archive = archive_of(account)?;
    archive.record_sent(sender, sent).await;
    close_archive(archive).await;
    Ok(())
}

/// Gives a send up when the time for everything is over.
async fn by(deadline: Option<Instant>, sending: Sending) -> Result<Receipt, SendError> {
    match deadline {
        None => sending.await,
        Some(deadline) => timeout_at(deadline, sending)
            .await
            .unwrap_or(Err(SendError::Unknown)),
    }
}

fn accepted(receipt: &Receipt) -> String {
    let Position {
        conversation,
        sequence,
        ..
    } = &receipt.position;
    let said = t!(
        "shell.sent",
        sequence = sequence,
        conversation = conversation
    );
    format!("{said}\n")
}

async fn read_stdin() -> Result<String, Failure> {
    let read = detached::run("stdin", || {
        let mut text = Vec::new();
        io::stdin()
            .lock()
            .take(STDIN_BYTES_MAX)
            .read_to_end(&mut text)?;
        Ok(text)
    });
    let text = read.await?;
    // A text that was cut within a character is too long, and is refused as that.
    let mut text = match text.len() > TEXT_BYTES_MAX + 1 {
        true => String::from_utf8_lossy(&text).into_owned(),
        false => {
            String::from_utf8(text).map_err(|_| Failure::fixable(t!("shell.stdin_not_text")))?
        }
    };
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
