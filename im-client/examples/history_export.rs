//! Writes a whole conversation to standard output, oldest first, one JSON object on a line.
//!
//! Reading the past marks nothing as handled, and needs no handler.
//!
//! `cargo run --example history_export`; exports the lobby, in which it has just spoken.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;

use im_client::{Client, Message, Recipient};

/// Messages asked for at once.
const PAGE: usize = 2;

/// Reads backwards, page by page, until nothing is before.
async fn read_all(client: &Client, with: &Recipient) -> Result<Vec<Message>, im_client::Error> {
    let mut newest_first = Vec::new();
    let mut before = None;
    loop {
        let page = client.history(with, before, PAGE).await?;
        let Some(oldest) = page.first() else {
            break;
        };
        before = Some(oldest.sequence);
        newest_first.extend(page.into_iter().rev());
    }
    newest_first.reverse();
    Ok(newest_first)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = support::account(&support::route(), "archivist").await?;
    let client = client.connect().await?;
    for number in 1..=5 {
        client
            .send(Recipient::Lobby, format!("line {number}"))
            .await?;
    }
    for message in read_all(&client, &Recipient::Lobby).await? {
        let line = serde_json::json!({
            "sequence": message.sequence.0,
            "sender": message.sender_name.as_str(),
            "text": message.text,
        });
        println!("{line}");
    }
    client.close().await;
    Ok(())
}
