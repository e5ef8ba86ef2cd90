//! Answers every private message with its own text. The account must exist (`im register`).
use im_client::{Client, Message};

async fn answer(client: Client, message: Message) {
    if message.is_private() && message.sender != client.identity().user {
        let _ = client.reply(&message, message.text.as_str()).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), im_client::Error> {
    let route = std::env::var("IM_ROUTE").unwrap_or("http://127.0.0.1:8083".to_owned());
    let bot = Client::builder().route(route).user("parrot");
    let bot = bot.password("correct horse battery").handler(answer);
    bot.connect().await?.ended().await;
    Ok(())
}
