//! Says something in the lobby at fixed times.
//!
//! The id of each message follows from its time, so a sender that is restarted, or runs twice,
//! cannot say the same thing twice.
//!
//! `cargo run --example scheduled`; ends after three messages.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use im_client::{MessageId, Recipient};
use tokio::time::{MissedTickBehavior, interval};

/// Every so often.
const PERIOD: Duration = Duration::from_millis(500);

/// The same for everybody who says the time with this number.
fn id_of(number: u128) -> Result<MessageId, im_client::InvalidId> {
    MessageId::from_bytes(&number.to_be_bytes())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let clock = support::account(&support::route(), "clock").await?;
    let clock = clock.connect().await?;
    let mut ticks = interval(PERIOD);
    // After a pause of the machine the past is not made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for _ in 0..3 {
        ticks.tick().await;
        let number = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() / PERIOD.as_millis();
        let text = format!("tick {number}");
        let receipt = clock
            .send_as(id_of(number)?, Recipient::Lobby, &text)
            .await?;
        println!(
            "{text} is number {} of the lobby",
            receipt.position.sequence
        );
    }
    clock.close().await;
    Ok(())
}
