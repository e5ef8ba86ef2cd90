//! Prints messages of the past.

use im_common::message::Identity;

use crate::Message;
use crate::cli::archive::{Archive, Query};
use crate::cli::args::Account;
use crate::cli::failure::Failure;
use crate::cli::names::Names;
use crate::cli::render::{Format, json};
use crate::cli::screen::Screen;

/// Prints messages that the archive holds; what was looked for stands out.
pub(super) async fn print(
    account: &Account,
    archive: &Archive,
    format: &Format,
    (messages, query): (&[Message], &Query),
) -> Result<(), Failure> {
    let lines = match format {
        Format::Json => messages.iter().map(json::message).collect(),
        Format::Text(view) => {
            let Some(user) = archive.owner().await.ok().flatten() else {
                return Ok(());
            };
            let reader = Identity {
                user,
                name: account.user()?,
                device: account.device("")?,
            };
            let names = Names::default();
            archive.introduce(&reader, &names, messages).await;
            let line = |message| view.found(message, &reader, (&names, query));
            messages.iter().map(line).collect()
        }
    };
    // Nobody has to read it.
    let _ = Screen::plain()?.print(lines).await;
    Ok(())
}
