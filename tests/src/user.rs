//! `TestUser`: a user on the real SDK who remembers everything its handler saw.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use im_client::{Client, ConnectionState, Event, Message, MessageHandler, Sending};
use im_common::id::{ConversationId, MessageId, Sequence, UserId};
use im_common::message::{Receipt, Recipient};
use im_common::name::UserName;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::PATIENCE;

/// The password of every test user.
pub const PASSWORD: &str = "correct horse battery";

/// A user with one device.
pub struct TestUser {
    name: String,
    device: String,
    urls: Vec<String>,
    client: Option<Client>,
    inbox: Arc<Inbox>,
}

/// What the handler saw, in order.
#[derive(Default)]
pub struct Inbox {
    seen: Mutex<Vec<Message>>,
    events: Mutex<Vec<Event>>,
    changed: Notify,
}

#[async_trait]
impl MessageHandler for Inbox {
    async fn on_message(&self, _client: &Client, message: Message) {
        self.seen.lock().push(message);
        self.changed.notify_waiters();
    }

    async fn on_event(&self, event: Event) {
        self.events.lock().push(event);
        self.changed.notify_waiters();
    }
}

impl TestUser {
    /// Registers an account and connects its first device.
    pub async fn register(urls: &[String], name: &str) -> Self {
        let urls: Vec<String> = urls.to_vec();
        im_client::register(&urls, name, PASSWORD)
            .await
            .unwrap_or_else(|error| panic!("register {name}: {error}"));
        let mut user = Self::offline(&urls, name);
        user.reconnect().await;
        user
    }

    /// A user that exists already and is not connected.
    pub fn offline(urls: &[String], name: &str) -> Self {
        Self {
            name: name.to_owned(),
            device: "test".into(),
            urls: urls.to_vec(),
            client: None,
            inbox: Arc::default(),
        }
    }

    /// The same user on another device, not connected.
    pub fn another_device(&self, device: &str) -> Self {
        let other = Self::offline(&self.urls, &self.name);
        Self {
            device: device.to_owned(),
            ..other
        }
    }

    /// Logs in and attaches; what was handled before counts as handled.
    pub async fn reconnect(&mut self) {
        let name = self.name.clone();
        self.try_connect()
            .await
            .unwrap_or_else(|error| panic!("connect {name}: {error}"));
    }

    /// As [`TestUser::reconnect`], for when it may fail.
    pub async fn try_connect(&mut self) -> Result<(), im_client::Error> {
        let mut builder = Client::builder()
            .user(&self.name)
            .password(PASSWORD)
            .device(&self.device);
        for url in &self.urls {
            builder = builder.route(url);
        }
        self.client = Some(builder.handler(Arc::clone(&self.inbox)).connect().await?);
        Ok(())
    }

    /// Closes the connection, as `:q` does.
    pub async fn disconnect(&mut self) {
        if let Some(client) = self.client.take() {
            client.close().await;
        }
    }

    /// The SDK's handle.
    pub fn client(&self) -> &Client {
        self.client.as_ref().expect("the user is connected")
    }

    /// The user's id.
    pub fn id(&self) -> UserId {
        self.client().identity().user
    }

    /// The user's name, as an address.
    pub fn address(&self) -> Recipient {
        Recipient::Name(UserName::new(&self.name).expect("a valid name"))
    }

    /// Sends to another user and waits until it is accepted.
    pub async fn send(&self, to: &TestUser, text: &str) -> Receipt {
        accepted(self.client().send(to.address(), text)).await
    }

    /// Sends to the lobby and waits until it is accepted.
    pub async fn say(&self, text: &str) -> Receipt {
        accepted(self.client().send(Recipient::Lobby, text)).await
    }

    /// Waits until the handler saw a message with this text, and returns it.
    pub async fn expect(&self, text: &str) -> Message {
        let find = || {
            self.inbox
                .seen
                .lock()
                .iter()
                .find(|message| message.text == text)
                .cloned()
        };
        self.wait(
            &format!("{:?} to reach {}", text, self.name),
            PATIENCE,
            find,
        )
        .await
    }

    /// Waits until the handler saw this many messages, and returns all.
    pub async fn expect_count(&self, count: usize) -> Vec<Message> {
        let enough = || {
            let seen = self.inbox.seen.lock();
            (seen.len() >= count).then(|| seen.clone())
        };
        self.wait(
            &format!("{count} messages to reach {}", self.name),
            PATIENCE,
            enough,
        )
        .await
    }

    /// Waits for an event.
    pub async fn expect_event(&self, what: &str, is_it: impl Fn(&Event) -> bool) {
        let find = || self.inbox.events.lock().iter().any(&is_it).then_some(());
        self.wait(what, PATIENCE, find).await;
    }

    /// Waits until the connection is in a state.
    pub async fn expect_state(&self, what: &str, is_it: impl Fn(&ConnectionState) -> bool) {
        let mut state = self.client().state();
        let reached = timeout(PATIENCE, state.wait_for(|state| is_it(state))).await;
        assert!(
            matches!(reached, Ok(Ok(_))),
            "{} never became {what}",
            self.name
        );
    }

    /// Everything the handler saw so far.
    pub fn seen(&self) -> Vec<Message> {
        self.inbox.seen.lock().clone()
    }

    /// How many messages the handler saw so far.
    pub fn seen_count(&self) -> usize {
        self.inbox.seen.lock().len()
    }

    /// Checks what must hold for every reader: each message once, in order within a conversation.
    pub fn check_order(&self) {
        let mut last: HashMap<ConversationId, Sequence> = HashMap::new();
        let mut ids: HashMap<MessageId, usize> = HashMap::new();
        for message in self.inbox.seen.lock().iter() {
            let before = last.insert(message.conversation.clone(), message.sequence);
            assert!(
                before < Some(message.sequence),
                "{}: {message:?} after {before:?}",
                self.name
            );
            let times = ids.entry(message.id).or_default();
            *times += 1;
            assert_eq!(*times, 1, "{} saw {message:?} twice", self.name);
        }
    }

    async fn wait<T>(&self, what: &str, patience: Duration, look: impl Fn() -> Option<T>) -> T {
        let found = async {
            loop {
                let changed = self.inbox.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = look() {
                    return found;
                }
                changed.await;
            }
        };
        let seen = || self.inbox.seen.lock().len();
        timeout(patience, found)
            .await
            .unwrap_or_else(|_| panic!("waited in vain for {what}; {} messages seen", seen()))
    }
}

/// Waits until a message is accepted.
pub async fn accepted(sending: Sending) -> Receipt {
    let receipt = timeout(PATIENCE, sending)
        .await
        .expect("a send ends in time");
    receipt.unwrap_or_else(|error| panic!("not accepted: {error}"))
}
