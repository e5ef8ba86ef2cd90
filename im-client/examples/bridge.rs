//! Carries what is said in the lobby of one cluster into that of another, and back.
//!
//! A message is forwarded under the id it came with and counts as handled once the other cluster
//! has stored it. A bridge that is killed in between gets it again and offers it again; the same id
//! is stored once, so each message crosses exactly once.
//!
//! `cargo run --example bridge`; `IM_ROUTE` and `IM_ROUTE_2` name a route of each cluster. Ends after
//! a message has crossed in each direction.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;
use std::sync::Arc;

use im_client::{Client, Message, Recipient};
use tokio::sync::{OnceCell, mpsc};

/// The other end of the bridge, once it is connected.
type OtherEnd = Arc<OnceCell<Client>>;

/// Connects one end, which hands everything to the other.
async fn end(route: &str, other: OtherEnd) -> Result<Client, im_client::Error> {
    let carry = move |client: Client, message: Message| {
        let other = Arc::clone(&other);
        async move {
            let is_own = message.sender == client.identity().user;
            if is_own || message.is_private() {
                return;
            }
            let text = format!("{}: {}", message.sender_name, message.text);
            // What one cluster is told before the other is there waits here.
            let other = wait_for(&other).await;
            while let Err(error) = other.send_as(message.id, Recipient::Lobby, &text).await {
                if !error.is_retryable() {
                    println!("not carried: {error}");
                    return;
                }
            }
        }
    };
    let end = support::account(route, "bridge").await?;
    end.handler(carry).connect().await
}

async fn wait_for(end: &OnceCell<Client>) -> &Client {
    loop {
        if let Some(client) = end.get() {
            return client;
        }
        tokio::task::yield_now().await;
    }
}

/// Says something in one cluster and waits until it is heard in the other.
async fn cross(from: &str, to: &str, text: &str) -> Result<(), Box<dyn Error>> {
    let (heard, mut hearing) = mpsc::channel(16);
    let listener = support::account(to, "listener").await?;
    let listener = listener.handler(move |message: Message| {
        let heard = heard.clone();
        // Nobody waits any more once the right one was heard.
        async move { drop(heard.send(message.text).await) }
    });
    let _listener = listener.connect().await?;
    let speaker = support::account(from, "speaker").await?.connect().await?;
    speaker.send(Recipient::Lobby, text).await?;
    let expected = format!("speaker: {text}");
    while let Some(said) = hearing.recv().await {
        if said == expected {
            println!("heard in the other cluster: {said}");
            return Ok(());
        }
    }
    Err("the listener is gone".into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (here, there) = (support::route(), std::env::var("IM_ROUTE_2")?);
    let (this_end, that_end) = (OtherEnd::default(), OtherEnd::default());
    this_end.set(end(&here, Arc::clone(&that_end)).await?)?;
    that_end.set(end(&there, Arc::clone(&this_end)).await?)?;
    cross(&here, &there, "hello over there").await?;
    cross(&there, &here, "hello back").await?;
    // It was heard; that it was stored, each end is told a moment later.
    for end in [this_end, that_end] {
        wait_for(&end).await.flush().await;
    }
    Ok(())
}
