//! A store of one's own, which keeps positions and sends together with the program's data: a bot that
//! tells everybody how many messages it has had from them, and is right however often it is killed.
//!
//! What it makes of a message gets to the disk in one write: the count, that the message is handled,
//! and the answer. Killed before, the bot gets the message again; killed after, it does not, and the
//! answer is offered when it comes back. `FileStore` comes close: it knows the answer and the place,
//! but not the count, so that a kill between two writes counts a message twice.
//!
//! `cargo run --example custom_store [FILE]`; goes on until it is killed. One file is for one bot.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

mod support;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use im_client::{
    Change, Client, Contents, Identity, LogEpoch, Message, MessageHandler, MessageId, PendingSend,
    Position, Sequence, Store, StoreError, StoreErrorKind, async_trait,
};
use serde::{Deserialize, Serialize};

/// An answer is worth something for so long, whether or not the bot or the cluster is up.
const ANSWER_WITHIN: Duration = Duration::from_secs(3600);

/// What is in the file.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Page {
    /// The user and the device it belongs to, once it was used.
    owner: Option<(String, String)>,
    /// How many messages came from each user.
    counts: BTreeMap<String, u64>,
    /// Up to where each conversation is handled.
    positions: BTreeMap<String, (LogEpoch, Sequence)>,
    /// What has no answer of the cluster yet, in order.
    sends: Vec<Unsent>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Unsent {
    id: String,
    to: String,
    text: String,
    deadline_ms: u64,
}

impl Page {
    /// All of it again is the same as once: the client saves what the bot has written already.
    fn apply(&mut self, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Handled(position) => self.handled(position),
            Change::Sending(send) => self.sending(send),
            Change::Ended(id) => self.sends.retain(|send| send.id != id.to_string()),
            later => {
                let message = format!("cannot keep {later:?}");
                return Err(StoreError::new(StoreErrorKind::Unavailable, message));
            }
        }
        Ok(())
    }

    /// Never back: the client saves a place some time after it was reached, when the bot may have
    /// written a later one. A log that lost something goes on in a later epoch.
    fn handled(&mut self, position: &Position) {
        let place = (position.epoch, position.sequence);
        let conversation = position.conversation.to_string();
        let known = self.positions.entry(conversation).or_insert(place);
        *known = place.max(*known);
    }

    fn sending(&mut self, send: &PendingSend) {
        let id = send.id.to_string();
        if !self.sends.iter().any(|known| known.id == id) {
            self.sends.push(Unsent {
                id,
                to: send.to.to_string(),
                text: send.text.clone(),
                deadline_ms: send.deadline_ms,
            });
        }
    }

    /// In the words of the SDK.
    fn contents(&self) -> Result<Contents, Box<dyn Error + Send + Sync>> {
        let mut contents = Contents::default();
        for (conversation, (epoch, sequence)) in &self.positions {
            contents.positions.push(Position {
                conversation: conversation.parse()?,
                epoch: *epoch,
                sequence: *sequence,
            });
        }
        for send in &self.sends {
            let (id, to) = (send.id.parse()?, send.to.parse()?);
            let send = PendingSend::new(id, to, send.text.clone(), send.deadline_ms);
            contents.sends.push(send);
        }
        Ok(contents)
    }
}

/// The file, and what it holds. Clones share it.
#[derive(Clone)]
struct Ledger {
    path: Arc<Path>,
    page: Arc<Mutex<Page>>,
}

impl Ledger {
    fn open(path: PathBuf) -> io::Result<Self> {
        let page = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == ErrorKind::NotFound => Page::default(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            path: path.into(),
            page: Arc::new(Mutex::new(page)),
        })
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes everything or nothing. What does not get to the disk has not happened.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Page) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut page = self.page();
        let mut next = page.clone();
        let outcome = change(&mut next)?;
        self.write(&next).map_err(|error| {
            let message = format!("cannot write {}", self.path.display());
            StoreError::new(StoreErrorKind::Unavailable, message).because(error)
        })?;
        *page = next;
        Ok(outcome)
    }

    /// Whoever reads the file finds the old page or the new one, never a part of it.
    fn write(&self, page: &Page) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(page)?)?;
        file.sync_data()?;
        fs::rename(new, &self.path)
    }

    /// Counts a message and answers it: in one write, with the place of the message.
    fn count(&self, message: &Message) -> Result<PendingSend, StoreError> {
        self.change(|page| {
            let count = page.counts.entry(message.sender.to_string()).or_default();
            *count += 1;
            let text = format!("that was number {count}");
            let (id, to) = (MessageId::fresh(), message.sender.into());
            let answer = PendingSend::new(id, to, text, deadline_ms());
            page.handled(&message.position());
            page.sending(&answer);
            Ok(answer)
        })
    }
}

fn deadline_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let deadline = now.unwrap_or_default() + ANSWER_WITHIN;
    deadline.as_millis().try_into().unwrap_or(u64::MAX)
}

#[async_trait]
impl Store for Ledger {
    async fn load(&self, owner: &Identity) -> Result<Contents, StoreError> {
        let owner = (owner.user.to_string(), owner.device.to_string());
        let mut page = self.page();
        if *page.owner.get_or_insert_with(|| owner.clone()) != owner {
            let message = "the ledger is of another bot";
            return Err(StoreError::new(StoreErrorKind::Foreign, message));
        }
        page.contents()
            .map_err(|error| StoreError::new(StoreErrorKind::Damaged, error.to_string()))
    }

    async fn save(&self, changes: &[Change]) -> Result<(), StoreError> {
        self.change(|page| changes.iter().try_for_each(|change| page.apply(change)))
    }
}

struct Counter {
    ledger: Ledger,
}

#[async_trait]
impl MessageHandler for Counter {
    async fn on_message(&self, client: &Client, message: Message) {
        if message.sender == client.identity().user || !message.is_private() {
            return;
        }
        match self.ledger.count(&message) {
            Ok(answer) => {
                println!("{}: {}", message.sender_name, answer.text);
                // It is kept, so it is offered until the cluster has it. Nobody has to wait.
                drop(client.send_as(answer.id, answer.to, answer.text));
            }
            // Better to stop than to count wrong: a message whose handler did not return comes again.
            Err(error) => {
                eprintln!("{error}");
                std::process::exit(1);
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or("ledger.json".to_owned());
    let ledger = Ledger::open(path.into())?;
    let counter = support::account(&support::route(), "counter").await?;
    let counter = counter
        .device("the-only-one")
        .send_timeout(ANSWER_WITHIN)
        .store(ledger.clone())
        .handler(Counter { ledger })
        .connect()
        .await?;
    println!("counting");
    counter.ended().await;
    Ok(())
}
