//! Appends what is said in the lobby to a file, one JSON object on a line.
//!
//! A message counts as handled when its handler returns, so it is written and synced before. A
//! logger that is killed in between gets the message again: no line is lost, the last may be twice.
//!
//! `cargo run --example file_logger [FILE]`; ends after three messages, which it says itself.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

mod support;

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::Arc;

use im_client::{Client, Message, MessageHandler, Recipient, async_trait};
use tokio::sync::Semaphore;

struct Logger {
    file: Arc<File>,
    /// Gets a permit for each line.
    written: Arc<Semaphore>,
}

#[async_trait]
impl MessageHandler for Logger {
    async fn on_message(&self, _client: &Client, message: Message) {
        let line = serde_json::json!({
            "sequence": message.sequence.0,
            "sender": message.sender_name.as_str(),
            "text": message.text,
        });
        let mut file = Arc::clone(&self.file);
        // A disk may take its time, which is not the runtime's.
        let write = move || writeln!(file, "{line}").and_then(|()| file.sync_data());
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => self.written.add_permits(1),
            // Better to stop than to leave gaps: a message whose handler did not return comes again,
            // one whose handler panicked counts as handled.
            failed => {
                eprintln!("cannot write the log: {failed:?}");
                std::process::exit(1);
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or("lobby.jsonl".to_owned());
    let file = OpenOptions::new().create(true).append(true).open(&path)?;
    let written = Arc::new(Semaphore::new(0));
    let logger = Logger {
        file: Arc::new(file),
        written: Arc::clone(&written),
    };
    let route = support::route();
    let listener = support::account(&route, "logger").await?;
    let listener = listener.handler(logger).connect().await?;

    let speaker = support::account(&route, "speaker").await?.connect().await?;
    for text in ["one", "two", "and\nthree"] {
        speaker.send(Recipient::Lobby, text).await?;
    }
    let _ = written.acquire_many(3).await?;
    println!("3 messages are in {path}");
    // Closing acks what was handled.
    listener.close().await;
    Ok(())
}
