//! Forwards every private message to an HTTP address, as a POST of JSON.
//!
//! The message counts as handled when the receiver has answered with success; until then the next
//! ones wait in the cluster. So none is lost while the receiver is down, and it may see one twice.
//!
//! `cargo run --example webhook http://127.0.0.1:9000/hook`; ends after one message, which it sends
//! itself.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;
use std::time::Duration;

use im_client::{Message, Recipient};
use tokio::sync::mpsc;

/// Between two attempts: long enough for a receiver that restarts.
const PAUSE: Duration = Duration::from_secs(1);

async fn forward(http: reqwest::Client, hook: String, message: Message) {
    let body = serde_json::json!({
        "id": message.id.to_string(),
        "from": message.sender_name.as_str(),
        "text": message.text,
    });
    loop {
        let answer = http.post(&hook).json(&body).send().await;
        match answer.and_then(reqwest::Response::error_for_status) {
            Ok(_) => return,
            Err(error) => println!("trying again: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hook = std::env::args().nth(1).ok_or("which address?")?;
    let http = reqwest::Client::new();
    let (forwarded, mut done) = mpsc::channel(1);
    let handler = move |message: Message| {
        let (http, hook, forwarded) = (http.clone(), hook.clone(), forwarded.clone());
        async move {
            let sender = message.sender_name.clone();
            forward(http, hook, message).await;
            // Nobody counts after the first.
            let _ = forwarded.try_send(sender);
        }
    };
    let route = support::route();
    let bot = support::account(&route, "hook").await?;
    let bot = bot.handler(handler).connect().await?;

    let alice = support::account(&route, "alice").await?.connect().await?;
    alice.send("hook".parse::<Recipient>()?, "ship it").await?;
    let sender = done.recv().await.ok_or("the handler is gone")?;
    println!("forwarded a message of {sender}");
    bot.close().await;
    Ok(())
}
