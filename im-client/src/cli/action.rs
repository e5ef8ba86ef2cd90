//! One file for each thing that `im` does.

pub(super) mod chat;
pub(super) mod completions;
pub(super) mod config;
pub(super) mod doctor;
pub(super) mod history;
pub(super) mod login;
pub(super) mod logout;
pub(super) mod man;
pub(super) mod online;
mod printing;
pub(super) mod register;
pub(super) mod search;
pub(super) mod send;
pub(super) mod tail;

use std::time::Duration;

use tokio::time::timeout;

use super::archive::Archive;
use super::args::Account;
use super::failure::Failure;
use super::login::Login;
use super::signals::until_signal;
use super::tell;
use crate::Client;

/// How long the end of a program waits for the cluster to take note of it.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// Connects without reading messages: those wait for the chat and for `tail`.
async fn connect(login: &Login<'_>) -> Result<Client, Failure> {
    let connecting = login.builder().connect();
    until_signal(async { connecting.await.map_err(|error| login.explain(error)) }).await
}

/// Ends a client in good order, unless that takes too long.
pub(super) async fn close(client: &Client) {
    if timeout(CLOSE_WITHIN, client.close()).await.is_err() {
        tracing::debug!("left before the cluster took note");
    }
}

/// What is kept on this machine of the account.
fn archive_of(account: &Account) -> Result<Archive, Failure> {
    Ok(Archive::of_account(&account.user()?, &account.routes)?)
}

/// Waits until everything is kept, and tells what the user should know of that.
async fn close_archive(archive: Archive) {
    if let Some(trouble) = archive.close().await {
        tell(&trouble.to_string());
    }
}
