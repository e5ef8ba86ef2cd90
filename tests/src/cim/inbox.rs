//! What a client's listener is told, text by text.

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::frame::{Command, Frame};
use crate::PATIENCE;

/// One text, with the sender that it came under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// As a message, or as one that had waited.
    pub command: Command,
    /// `sendUserId`.
    pub sender: i64,
    /// `sendUserName`.
    pub sender_name: String,
    /// What it says.
    pub text: String,
}

/// Is told every text, in the order in which they arrive.
pub trait Listener: Send + Sync + 'static {
    /// A text for this client has arrived.
    fn received(&self, received: Received);
}

/// Unrolls a frame as the SDK does, for the user whose connection it came on.
///
/// # Panics
/// When a property is missing or wrong: the SDK throws in its handler, and the message is lost.
pub(super) fn unroll(frame: Frame, user: i64) -> Vec<Received> {
    let property = |key: &str| {
        let value = frame.properties.get(key);
        value.unwrap_or_else(|| panic!("no {key} in {frame:?}"))
    };
    let number = |key: &str| {
        let value = property(key).parse();
        value.unwrap_or_else(|_| panic!("{key} is no number in {frame:?}"))
    };
    assert_eq!(number("receiveUserId"), user, "{frame:?}");
    assert_eq!(frame.id, user, "{frame:?}");
    assert_eq!(frame.properties.len(), 3, "{frame:?}");
    let received = |text| Received {
        command: frame.command,
        sender: number("sendUserId"),
        sender_name: property("sendUserName").clone(),
        text,
    };
    match frame.batch.is_empty() {
        true => vec![received(frame.text.clone())],
        false => frame.batch.iter().cloned().map(received).collect(),
    }
}

/// A listener that remembers everything.
#[derive(Debug, Default)]
pub struct Inbox {
    seen: Mutex<Vec<Received>>,
    changed: Notify,
}

impl Listener for Inbox {
    fn received(&self, received: Received) {
        self.seen.lock().push(received);
        self.changed.notify_waiters();
    }
}

impl Inbox {
    /// Everything so far.
    pub fn seen(&self) -> Vec<Received> {
        self.seen.lock().clone()
    }

    /// The texts so far.
    pub fn texts(&self) -> Vec<String> {
        self.seen
            .lock()
            .iter()
            .map(|one| one.text.clone())
            .collect()
    }

    /// Waits for a text and returns how it came.
    pub async fn expect(&self, text: &str) -> Received {
        let find = || {
            self.seen
                .lock()
                .iter()
                .find(|one| one.text == text)
                .cloned()
        };
        self.wait(text, find).await
    }

    /// Waits until this many texts have come, and returns all.
    pub async fn expect_count(&self, count: usize) -> Vec<Received> {
        let enough = || {
            let seen = self.seen.lock();
            (seen.len() >= count).then(|| seen.clone())
        };
        self.wait(&format!("{count} texts"), enough).await
    }

    async fn wait<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let found = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = look() {
                    return found;
                }
                changed.await;
            }
        };
        let found = timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("waited in vain for {what:?}; seen: {:?}", self.texts()))
    }
}
