//! The code of the tutorial in the documentation of the crate (`cargo doc -p im-client --open`),
//! which shows it block by block.
//!
//! `cargo run --example tutorial`; `IM_ROUTE` names a route. Ends after a user has talked to the bot.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use im_client::{
    Client, Code, ConnectionState, Event, FileStore, Message, MessageHandler, Recipient, SendError,
    async_trait, register,
};
use tokio::time::timeout;

const PASSWORD: &str = "correct horse battery";
/// Far longer than two questions and answers take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes sure that there is an account of that name.
async fn ensure_account(route: &str, name: &str) -> Result<(), im_client::Error> {
    match register(&[route], name, PASSWORD).await {
        Ok(user) => println!("{name} is user {user}"),
        Err(error) if error.code() == Some(Code::NAME_TAKEN) => println!("{name} is there"),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Answers private messages.
struct Bot;

#[async_trait]
impl MessageHandler for Bot {
    async fn on_message(&self, client: &Client, message: Message) {
        let is_own = message.sender == client.identity().user;
        if is_own || !message.is_private() {
            return;
        }
        let answer = match message.text.as_str() {
            "help" => "I count the letters of what you say".to_owned(),
            text => format!("{} letters", text.chars().count()),
        };
        if let Err(error) = client.reply(&message, answer).await {
            println!("no answer for {}: {error}", message.sender_name);
        }
    }

    async fn on_event(&self, event: Event) {
        println!("the bot: {event:?}");
    }

    async fn on_error(&self, error: im_client::Error) {
        println!("the bot: {error}");
    }
}

/// Connects the bot, which keeps in the folder how far it is.
async fn start_bot(route: &str, folder: &Path) -> Result<Client, im_client::Error> {
    Client::builder()
        .route(route)
        .user("tutorial-bot")
        .password(PASSWORD)
        .device("the-only-one")
        .store(FileStore::new(folder.join("bot")))
        .handler(Bot)
        .connect()
        .await
}

/// Says something and makes sure that it is stored.
async fn say(client: &Client, to: &Recipient, text: &str) -> Result<(), SendError> {
    let sending = client.send(to.clone(), text);
    let id = sending.id();
    let mut outcome = sending.await;
    while outcome == Err(SendError::Unknown) {
        outcome = client.send_as(id, to.clone(), text).await;
    }
    let receipt = outcome?;
    println!("stored as number {}: {text}", receipt.position.sequence);
    Ok(())
}

async fn talk(route: &str) -> Result<(), Box<dyn Error>> {
    let builder = Client::builder().route(route).user("tutorial-user");
    let builder = builder.password(PASSWORD);
    let (client, mut events) = builder.connect_with_events().await?;
    let bot: Recipient = "tutorial-bot".parse()?;
    for text in ["help", "four words, no more"] {
        say(&client, &bot, text).await?;
        while let Some(event) = events.next().await {
            match event {
                Event::Message(message) if message.is_private() => {
                    println!("{}: {:?}", message.sender_name, message.text);
                    break;
                }
                Event::Message(_) => {}
                other => println!("the user: {other:?}"),
            }
        }
    }
    events.handled();
    client.close().await;
    Ok(())
}

/// Tells whenever the bot is cut off and comes back, until its end.
async fn watch(bot: &Client) {
    let mut state = bot.state();
    loop {
        match &*state.borrow_and_update() {
            ConnectionState::Attached { server } => println!("the bot is up to date, on {server}"),
            ConnectionState::BackingOff { reason, .. } => println!("the bot is cut off: {reason}"),
            state if state.is_final() => return println!("the bot has ended: {state:?}"),
            _ => {}
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let route = std::env::var("IM_ROUTE").unwrap_or("http://127.0.0.1:8083".to_owned());
    for name in ["tutorial-bot", "tutorial-user"] {
        ensure_account(&route, name).await?;
    }
    let folder = tempfile::tempdir()?;
    // The second life goes on where the first one ended.
    for life in ["first", "second"] {
        println!("the {life} life of the bot");
        let bot = start_bot(&route, folder.path()).await?;
        let talking = async {
            let talked = timeout(PATIENCE, talk(&route)).await;
            bot.close().await;
            talked
        };
        let (talked, ()) = tokio::join!(talking, watch(&bot));
        talked??;
    }
    Ok(())
}
