//! Sends no faster than so many messages a second, with so many unanswered at most.
//!
//! What ends unknown is offered again under its id, which is safe; what is refused as too much at
//! once is tried again later; anything else is given up.
//!
//! `cargo run --example rate_limited`; sends a hundred messages in about a second.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use im_client::{Client, MessageId, Recipient, SendError};
use tokio::time::{Instant, interval, sleep};

const MESSAGES: usize = 100;
const PER_SECOND: u32 = 100;
const UNANSWERED_MAX: usize = 16;
/// Before something is tried again.
const PAUSE: Duration = Duration::from_millis(500);

async fn deliver(client: &Client, text: String) -> Result<(), SendError> {
    let id = MessageId::fresh();
    loop {
        match client.send_as(id, Recipient::Lobby, text.as_str()).await {
            Ok(_) => return Ok(()),
            Err(error) => {
                let is_later = error.code().is_some_and(im_client::Code::is_retryable);
                if !error.is_retryable() && !is_later {
                    return Err(error);
                }
            }
        }
        sleep(PAUSE).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let client = support::account(&support::route(), "sender").await?;
    let client = client.connect().await?;
    let begun = Instant::now();

    let ticks = interval(Duration::from_secs(1) / PER_SECOND);
    let paced = stream::unfold(ticks, async |mut ticks| {
        ticks.tick().await;
        Some(((), ticks))
    });
    let sends = paced.enumerate().take(MESSAGES);
    let sends = sends.map(|(number, ())| deliver(&client, format!("message {number}")));
    let results: Vec<_> = sends.buffered(UNANSWERED_MAX).collect().await;

    let accepted = results.iter().filter(|result| result.is_ok()).count();
    println!(
        "{accepted} of {MESSAGES} accepted in {:.1?}",
        begun.elapsed()
    );
    client.close().await;
    results.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(())
}
