//! Everything that happens to a client as one stream, instead of a handler.
//!
//! A message counts as handled when the next item is asked for. While nothing is asked for, 256
//! messages wait in memory and the rest in the cluster.
//!
//! `cargo run --example event_stream`; ends after three messages, which it says itself.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;

use im_client::{Event, Recipient};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let route = support::route();
    let listener = support::account(&route, "listener").await?;
    let (listener, mut events) = listener.connect_with_events().await?;
    let speaker = support::account(&route, "speaker").await?.connect().await?;
    for text in ["one", "two", "three"] {
        speaker.send(Recipient::Lobby, text).await?;
    }

    let mut heard = 0;
    while heard < 3 {
        match events.next().await.ok_or("the client is gone")? {
            Event::Message(message) => {
                println!("{} says {:?}", message.sender_name, message.text);
                heard += 1;
            }
            Event::Error(error) => return Err(error.into()),
            // Connections come and go by themselves.
            other => println!("({other:?})"),
        }
    }
    // Nothing more is asked for, so the last message is told to be handled.
    events.handled();
    listener.close().await;
    Ok(())
}
