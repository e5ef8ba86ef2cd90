//! Several accounts in one program: each has a connection, a handler and an order of its own.
//!
//! `cargo run --example many_clients`; ten users stand in a ring and pass on a word until it is back.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;

use futures::future::try_join_all;
use im_client::{Client, Message, Recipient};
use tokio::sync::mpsc;

const USERS: usize = 10;

fn name(number: usize) -> String {
    format!("ring-{}", number % USERS)
}

/// Connects a user who passes on whatever it is told; the first one keeps it.
async fn join(
    route: &str,
    number: usize,
    back: mpsc::Sender<String>,
) -> Result<Client, im_client::Error> {
    let pass_on = move |client: Client, message: Message| {
        let back = back.clone();
        async move {
            let text = format!("{} > {}", message.text, client.identity().name);
            if number == 0 {
                // The word was seen already if nobody waits for it.
                let _ = back.try_send(text);
                return;
            }
            let next = name(number + 1).parse::<Recipient>();
            let next = next.expect("the names of the ring are valid");
            if let Err(error) = client.send(next, text).await {
                println!("the word is lost: {error}");
            }
        }
    };
    let user = support::account(route, &name(number)).await?;
    user.handler(pass_on).connect().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let route = support::route();
    let (back, mut came_back) = mpsc::channel(1);
    let users = (0..USERS).map(|number| join(&route, number, back.clone()));
    let users = try_join_all(users).await?;
    println!("{} users are connected", users.len());

    users[0].send(name(1).parse::<Recipient>()?, "word").await?;
    println!("{}", came_back.recv().await.ok_or("the ring is broken")?);
    // The word may be back before whoever sent it last has heard that it was accepted. All at once:
    // each takes as long as its server does.
    let leaving = users.iter().map(async |user| {
        user.flush().await;
        user.close().await;
    });
    futures::future::join_all(leaving).await;
    Ok(())
}
