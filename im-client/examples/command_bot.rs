//! Obeys commands in private messages: `!help`, `!online PREFIX`, `!count`.
//!
//! `cargo run --example command_bot`; ends after a user has tried each command.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use im_client::{Client, Message, MessageHandler, Recipient, async_trait};
use tokio::sync::mpsc;

#[derive(Default)]
struct Bot {
    obeyed: AtomicU64,
}

impl Bot {
    async fn answer(&self, client: &Client, command: &str) -> String {
        let (word, argument) = command.split_once(' ').unwrap_or((command, ""));
        match word {
            "!help" => "!online PREFIX, !count".to_owned(),
            "!count" => format!("{} commands so far", self.obeyed.load(Ordering::Relaxed)),
            "!online" => match client.online(argument, None, 10).await {
                Ok(page) => {
                    let names: Vec<_> = page.users.into_iter().map(|user| user.name).collect();
                    names.join(", ")
                }
                Err(error) => format!("cannot look: {error}"),
            },
            _ => format!("{word:?} is no command; !help lists them"),
        }
    }
}

#[async_trait]
impl MessageHandler for Bot {
    async fn on_message(&self, client: &Client, message: Message) {
        // Never answer yourself, and never answer what is no command: two bots would talk forever.
        let is_own = message.sender == client.identity().user;
        if is_own || !message.is_private() || !message.text.starts_with('!') {
            return;
        }
        self.obeyed.fetch_add(1, Ordering::Relaxed);
        let answer = self.answer(client, &message.text).await;
        if let Err(error) = client.reply(&message, answer).await {
            println!("no answer for {}: {error}", message.sender_name);
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let route = support::route();
    let bot = support::account(&route, "helper").await?;
    let bot = bot.handler(Arc::new(Bot::default())).connect().await?;

    let (heard, mut answers) = mpsc::channel(1);
    let alice = support::account(&route, "alice").await?;
    let alice = alice.handler(move |message: Message| {
        let heard = heard.clone();
        async move { drop(heard.send(message.text).await) }
    });
    let alice = alice.connect().await?;
    let helper: Recipient = "helper".parse()?;
    for command in ["!help", "!online al", "!dance", "!count"] {
        alice.send(helper.clone(), command).await?;
        let answer = answers.recv().await.ok_or("the handler is gone")?;
        println!("{command}: {answer}");
    }
    alice.close().await;
    bot.close().await;
    Ok(())
}
