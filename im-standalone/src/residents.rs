//! Who lives in the standalone: the echo bot, and the user of this machine.

use std::time::Duration;

use anyhow::Context as _;
use im_client::{Client, ClientBuilder, Error, Message};
use im_common::code::Code;
use im_common::name::{UserName, fold};

use crate::folder::Folder;

/// The echo bot's name.
pub(crate) const ECHO: &str = "echo";
/// Between two attempts of the echo bot, each of which takes its time by itself.
const ECHO_PAUSE: Duration = Duration::from_millis(500);
/// Whoever has no usable name of their own.
const SOMEBODY: &str = "me";

/// Registers and connects the bot that answers every private message with the same text. After a
/// crash everybody comes back at once, and a busy machine may let the bot wait: it tries again, for
/// the others are served all the while.
pub(crate) async fn start_echo_bot(route: &str, folder: &Folder) -> anyhow::Result<Client> {
    loop {
        match connect_echo_bot(route, folder).await {
            Err(error) if is_retryable(&error) => {
                tracing::warn!(error = format!("{error:#}"), "trying again");
                tokio::time::sleep(ECHO_PAUSE).await;
            }
            ended => return ended,
        }
    }
}

fn is_retryable(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Error>()
        .is_some_and(Error::is_retryable)
}

async fn connect_echo_bot(route: &str, folder: &Folder) -> anyhow::Result<Client> {
    let builder = resident(ECHO, route, folder).await?;
    let answer = async |client: Client, message: Message| {
        if message.is_private() {
            // A refusal is for the sender to see, who gets no echo.
            client.reply(&message, message.text.clone()).await.ok();
        }
    };
    builder
        .handler(answer)
        .connect()
        .await
        .map_err(|error| explain(error, ECHO, folder))
        .context("cannot start the echo bot")
}

/// Tells what to do when an account was made elsewhere, or its password is lost.
pub(crate) fn explain(error: Error, name: &str, folder: &Folder) -> anyhow::Error {
    let is_wrong = error.code() == Some(Code::WRONG_PASSWORD);
    let error = anyhow::Error::new(error);
    match folder.path(&password_file(name)) {
        Some(file) if is_wrong => error.context(format!(
            "{name} has an account already, and {} does not hold its password; put it there, or \
             start with --headless and chat with `im`",
            file.display()
        )),
        _ => error,
    }
}

/// The name of the user of this machine, as far as it can be one here.
pub(crate) fn local_user() -> String {
    let name = std::env::var("USER").unwrap_or_default();
    match UserName::new(&name) {
        Ok(_) if fold(&name) != ECHO => name,
        _ => SOMEBODY.to_owned(),
    }
}

/// Registers a user whose password is drawn once and kept in the data folder.
pub(crate) async fn resident(
    name: &str,
    route: &str,
    folder: &Folder,
) -> anyhow::Result<ClientBuilder> {
    let password = folder.secret(&password_file(name))?;
    match im_client::register(&[route], name, &password).await {
        Ok(_) => {}
        Err(error) if error.code() == Some(Code::NAME_TAKEN) => {}
        Err(error) => return Err(error).with_context(|| format!("cannot register {name}")),
    }
    let builder = Client::builder()
        .route(route)
        .user(name)
        .password(password)
        .device("standalone");
    Ok(builder)
}

fn password_file(name: &str) -> String {
    format!("password-{name}")
}
