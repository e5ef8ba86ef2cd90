//! `im`: the chat prompt, and creating an account on the way.

use im_common::code::Code;
use tokio_util::sync::CancellationToken;

use super::archive_of;
use crate::cli::args::{Account, Manners};
use crate::cli::chat::{ChatError, ChatOptions, chat};
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::login::Login;
use crate::cli::signals::until_signal;

/// Chats until the user leaves.
pub(in crate::cli) async fn run(account: &Account, manners: &Manners) -> Result<Exit, Failure> {
    let login = until_signal(Login::gather(account, "")).await?;
    let archive = archive_of(account)?;
    loop {
        let options = ChatOptions {
            builder: login.builder(),
            archive: archive.clone(),
            colour: manners.colour,
            greeting: Vec::new(),
            bell: manners.bell,
            stop: CancellationToken::new(),
        };
        match chat(options).await {
            Ok(exit) => return Ok(exit),
            Err(ChatError::Terminal(error)) => return Err(error.into()),
            Err(ChatError::Client(error)) if error.code() == Some(Code::WRONG_PASSWORD) => {
                until_signal(login.offer_account(error.into())).await?;
            }
            Err(ChatError::Client(error)) => return Err(login.explain(error)),
        }
    }
}
