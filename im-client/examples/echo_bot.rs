//! Answers every private message with its own text.
use im_client::{Client, Message};

#[tokio::main]
async fn main() -> Result<(), im_client::Error> {
    let answer = async |client: Client, message: Message| {
        if message.is_private() && message.sender != client.identity().user {
            let _ = client.reply(&message, message.text.clone()).await;
        }
    };
    let bot = Client::builder()
        .route("http://127.0.0.1:8083")
        .user("echo");
    let bot = bot
        .password("correct horse")
        .handler(answer)
        .connect()
        .await?;
    bot.ended().await;
    Ok(())
}
