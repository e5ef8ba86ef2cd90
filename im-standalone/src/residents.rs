//! Who lives in the standalone: the echo bot, and the user of this machine.

use anyhow::Context as _;
use im_client::{Client, ClientBuilder, Message};
use im_common::code::Code;
use im_common::name::UserName;

use crate::folder::Folder;

/// The echo bot's name.
pub(crate) const ECHO: &str = "echo";
/// Whoever has no usable name of their own.
const SOMEBODY: &str = "me";

/// Registers and connects the bot that answers every private message with the same text.
pub(crate) async fn start_echo_bot(route: &str, folder: &Folder) -> anyhow::Result<Client> {
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
        .context("cannot start the echo bot")
}

/// Registers the user of this machine, under the name it has here.
pub(crate) async fn local_user(route: &str, folder: &Folder) -> anyhow::Result<ClientBuilder> {
    let name = std::env::var("USER").unwrap_or_default();
    let usable = UserName::new(&name).is_ok() && name != ECHO;
    resident(if usable { &name } else { SOMEBODY }, route, folder).await
}

/// A resident's password is drawn once and kept in the data folder.
async fn resident(name: &str, route: &str, folder: &Folder) -> anyhow::Result<ClientBuilder> {
    let password = folder.secret(&format!("password-{name}"))?;
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
