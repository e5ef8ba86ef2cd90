//! `im send`: sends one message and waits until it is accepted.

use std::io::{self, Read};

use im_common::message::{Recipient, TEXT_BYTES_MAX};

use super::{close, connect};
use crate::cli::args::Account;
use crate::cli::detached;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::login::Login;
use crate::cli::render::json;
use crate::cli::screen::Screen;
use crate::cli::signals::until_signal;

/// Enough to see that a text is too long, and for its last line end.
const STDIN_BYTES_MAX: u64 = TEXT_BYTES_MAX as u64 + 2;

/// Sends; silent when it worked, unless JSON is asked for.
pub(in crate::cli) async fn run(
    account: &Account,
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
    let client = connect(&login).await?;
    let sent = until_signal(async { Ok(client.send(to.clone(), text).await?) }).await;
    close(&client).await;
    let receipt = sent?;
    if json {
        // The message is accepted, whether or not anybody reads about it.
        let _ = Screen::plain()?.print(json::receipt(&receipt)).await;
    }
    Ok(Exit::Done)
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
            String::from_utf8(text).map_err(|_| Failure::fixable("standard input is not UTF-8"))?
        }
    };
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
