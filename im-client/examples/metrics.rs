//! Counts what a client does and prints it in the text format of Prometheus.
//!
//! `cargo run --example metrics`; sends itself ten messages from another device, then prints.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod support;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use im_client::{Client, Event, Message, MessageHandler, Recipient, async_trait};
use tokio::sync::Notify;
use tokio::time::Instant;

const MESSAGES: u64 = 10;

#[derive(Default)]
struct Metrics {
    received: AtomicU64,
    received_bytes: AtomicU64,
    state_changes: AtomicU64,
    accepted: AtomicU64,
    accepted_us: AtomicU64,
    changed: Notify,
}

#[async_trait]
impl MessageHandler for Metrics {
    async fn on_message(&self, _client: &Client, message: Message) {
        self.received.fetch_add(1, Ordering::Relaxed);
        self.received_bytes
            .fetch_add(message.text.len() as u64, Ordering::Relaxed);
        self.changed.notify_one();
    }

    async fn on_event(&self, event: Event) {
        if let Event::StateChanged(_) = event {
            self.state_changes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Metrics {
    fn print(&self, is_attached: bool) {
        for (name, value) in [
            ("im_client_attached", &AtomicU64::new(is_attached.into())),
            ("im_client_received_total", &self.received),
            ("im_client_received_bytes_total", &self.received_bytes),
            ("im_client_state_changes_total", &self.state_changes),
            ("im_client_accepted_total", &self.accepted),
            ("im_client_accepted_microseconds_total", &self.accepted_us),
        ] {
            println!("{name} {}", value.load(Ordering::Relaxed));
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let route = support::route();
    let metrics = Arc::new(Metrics::default());
    let phone = support::account(&route, "counted").await?.device("phone");
    let phone = phone.handler(Arc::clone(&metrics)).connect().await?;
    let laptop = support::account(&route, "counted").await?.device("laptop");
    let laptop = laptop.connect().await?;

    for number in 0..MESSAGES {
        let begun = Instant::now();
        laptop
            .send(Recipient::Lobby, format!("message {number}"))
            .await?;
        let took = u64::try_from(begun.elapsed().as_micros())?;
        metrics.accepted.fetch_add(1, Ordering::Relaxed);
        metrics.accepted_us.fetch_add(took, Ordering::Relaxed);
    }
    while metrics.received.load(Ordering::Relaxed) < MESSAGES {
        metrics.changed.notified().await;
    }
    metrics.print(phone.state().borrow().is_attached());
    phone.close().await;
    laptop.close().await;
    Ok(())
}
