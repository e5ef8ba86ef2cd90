//! A program without an asynchronous runtime: calls that wait, and handlers that are plain closures.
//!
//! `cargo run --example blocking`; ends when a question was answered.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::sync::mpsc::sync_channel;

use im_client::blocking::{Client, register};
use im_client::{ClientBuilder, Code, Message, Recipient};

const PASSWORD: &str = "correct horse battery";

/// Sets up a client of an account, which is registered unless it exists.
fn account(name: &str) -> Result<ClientBuilder, im_client::Error> {
    let route = std::env::var("IM_ROUTE").unwrap_or_else(|_| "http://127.0.0.1:8083".to_owned());
    match register(&[&route], name, PASSWORD) {
        Err(error) if error.code() != Some(Code::NAME_TAKEN) => Err(error),
        _ => Ok(Client::builder().route(route).user(name).password(PASSWORD)),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let answer = |client: Client, message: Message| {
        // Runs on a thread of its own, where it may wait.
        if let Err(error) = client.reply(&message, message.text.to_uppercase()) {
            println!("no answer for {}: {error}", message.sender_name);
        }
    };
    let bot = account("shouter")?.handler(answer).connect_blocking()?;

    let (heard, answers) = sync_channel(1);
    let hear = move |message: Message| {
        // Nobody waits any more after the first answer.
        let _ = heard.try_send(message.text);
    };
    let alice = account("alice")?.handler(hear).connect_blocking()?;
    let receipt = alice.send("shouter".parse::<Recipient>()?, "is anybody there?")?;
    println!("stored as number {}", receipt.position.sequence);
    println!("{}", answers.recv()?);
    alice.close();
    bot.close();
    Ok(())
}
