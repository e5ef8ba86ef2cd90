//! Observes the connection: what a status line or a health check of your program would show.
//!
//! The client reconnects by itself; nothing has to be done about any of these states.
//!
//! `cargo run --example reconnects [TIMES]`; ends when it has been connected so many times, once if
//! nothing is said. Stop and start the cluster meanwhile to see more.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;

use im_client::{Client, ConnectionState, Event, Message, MessageHandler, async_trait};
use tokio::sync::mpsc;

struct Observer {
    states: mpsc::Sender<ConnectionState>,
}

#[async_trait]
impl MessageHandler for Observer {
    async fn on_message(&self, _client: &Client, _message: Message) {}

    async fn on_event(&self, event: Event) {
        if let Event::StateChanged(state) = event {
            // Nobody listens any more once the program is about to end.
            let _ = self.states.send(state).await;
        }
    }
}

fn describe(state: &ConnectionState) -> String {
    match state {
        ConnectionState::Connecting => "looking for a server".to_owned(),
        ConnectionState::Attached { server } => format!("connected to {server}"),
        ConnectionState::BackingOff { delay, reason, .. } => {
            format!("next attempt in {delay:?}: {reason}")
        }
        ConnectionState::Refused(code) => format!("refused for good: {}", code.meaning()),
        ConnectionState::Closed => "closed".to_owned(),
        // Later versions may have more states.
        other => format!("{other:?}"),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut left: u32 = std::env::args()
        .nth(1)
        .map_or(Ok(1), |times| times.parse())?;
    let (states, mut changes) = mpsc::channel(16);
    let client = support::account(&support::route(), "observer").await?;
    let client = client.handler(Observer { states }).connect().await?;
    while left > 0 {
        let state = changes.recv().await.ok_or("the client is gone")?;
        println!("{}", describe(&state));
        if state.is_final() {
            return Err("the cluster does not want this client any more".into());
        }
        left -= u32::from(matches!(state, ConnectionState::Attached { .. }));
    }
    client.close().await;
    println!("{}", describe(&client.ended().await));
    Ok(())
}
