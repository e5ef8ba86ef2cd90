//! Answers every private message with its own text.
use im_client::{Client, Message};

async fn answer(client: Client, message: Message) {
    if message.is_private() && message.sender != client.identity().user {
        let _ = client.reply(&message, message.text.as_str()).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), im_client::Error> {
    let bot = Client::builder().user("echo").handler(answer);
    let bot = bot.route("http://127.0.0.1:8083").password("secret");
    bot.connect().await?.ended().await;
    Ok(())
}
