//! `Actor`: one device of one user on the real SDK, every step of which is recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use im_client::{Client, ConnectionState, Error, Event, Message, MessageHandler, SendError};
use im_common::id::{DeviceId, MessageId, UserId};
use im_common::message::{Receipt, Recipient};
use im_common::name::UserName;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::{ActorIx, History};
use crate::user::PASSWORD;

/// How long a handler takes for each message, in microseconds. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Pace(Arc<AtomicU64>);

impl Pace {
    /// From the next message on.
    pub fn set(&self, pause: Duration) {
        let micros = u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
        self.0.store(micros, Ordering::Relaxed);
    }

    async fn keep(&self) {
        let micros = self.0.load(Ordering::Relaxed);
        if micros > 0 {
            tokio::time::sleep(Duration::from_micros(micros)).await;
        }
    }
}

/// A user on one device.
pub struct Actor {
    history: History,
    ix: ActorIx,
    urls: Vec<String>,
    name: UserName,
    user: UserId,
    device: DeviceId,
    pace: Pace,
    client: Option<Client>,
    /// One at a time: numbers rise in the order in which the SDK gets the messages.
    sent: Mutex<Option<Sent>>,
}

/// A message, to send it again as it was.
#[derive(Clone)]
struct Sent {
    number: u32,
    id: MessageId,
    to: Recipient,
    text: String,
}

struct Recorder {
    history: History,
    ix: ActorIx,
    pace: Pace,
}

#[async_trait]
impl MessageHandler for Recorder {
    async fn on_message(&self, _client: &Client, message: Message) {
        self.pace.keep().await;
        self.history.on_message(self.ix, &message);
    }

    async fn on_event(&self, event: Event) {
        match event {
            Event::StateChanged(state) => {
                self.history.state_changed(self.ix, format!("{state:?}"));
            }
            Event::Reset { conversation } => self.history.rewound(self.ix, &conversation),
            Event::Rewound { conversation, .. } => {
                self.history.rewound(self.ix, &conversation);
            }
            other => self.history.state_changed(self.ix, format!("{other:?}")),
        }
    }

    async fn on_error(&self, error: Error) {
        self.history.state_changed(self.ix, format!("{error:?}"));
    }
}

impl Actor {
    /// Registers an account; its first device is not attached yet.
    pub async fn register(history: &History, urls: &[String], name: &str) -> Self {
        let user = im_client::register(urls, name, PASSWORD)
            .await
            .unwrap_or_else(|error| panic!("register {name}: {error}"));
        let name = UserName::new(name).expect("a valid name");
        Self::new(history, urls, (user, name), "one")
    }

    /// Registers an account and attaches its first device.
    pub async fn join(history: &History, urls: &[String], name: &str) -> Self {
        let mut actor = Self::register(history, urls, name).await;
        let attached = actor.attach().await;
        attached.unwrap_or_else(|error| panic!("attach {name}: {error}"));
        actor
    }

    /// The first device of an account that exists, not attached yet.
    pub fn known(history: &History, urls: &[String], (user, name): (UserId, UserName)) -> Self {
        Self::new(history, urls, (user, name), "one")
    }

    /// Another device of the same user, not attached yet.
    pub fn on_device(&self, device: &str) -> Self {
        let who = (self.user, self.name.clone());
        Self::new(&self.history, &self.urls, who, device)
    }

    /// The same device in another program at the same time: a second login. It shares this actor's
    /// place in the history, so at most one of both may be attached, and both write for one author.
    pub fn rival(&self) -> Self {
        self.on_device(self.device.as_str())
    }

    fn new(
        history: &History,
        urls: &[String],
        (user, name): (UserId, UserName),
        device: &str,
    ) -> Self {
        let device = DeviceId::new(device).expect("a valid device");
        Self {
            history: history.clone(),
            ix: history.enter(user, &name, &device),
            urls: urls.to_vec(),
            name,
            user,
            device,
            pace: Pace::default(),
            client: None,
            sent: Mutex::new(None),
        }
    }

    /// Logs in and attaches.
    pub async fn attach(&mut self) -> Result<(), im_client::Error> {
        self.attach_in(&Handle::current()).await
    }

    /// As [`Actor::attach`], with all that the client does in another runtime: when that ends, the
    /// client ends as a program that is killed, in the middle of whatever it does.
    pub async fn attach_in(&mut self, program: &Handle) -> Result<(), im_client::Error> {
        let recorder = Recorder {
            history: self.history.clone(),
            ix: self.ix,
            pace: self.pace.clone(),
        };
        let mut builder = Client::builder()
            .user(self.name.as_str())
            .password(PASSWORD)
            .device(self.device.as_str());
        for url in &self.urls {
            builder = builder.route(url);
        }
        let connected = program.spawn(builder.handler(recorder).connect());
        self.client = Some(connected.await.expect("connecting does not panic")?);
        self.history.attached(self.ix);
        Ok(())
    }

    /// Closes as a user does who quits: what was handled is acked, and never comes again.
    pub async fn close(&mut self) {
        if let Some(client) = self.client.take() {
            client.close().await;
        }
    }

    /// The program dies: what it handled last may come again when it is back.
    pub fn abandon(&mut self) {
        drop(self.client.take());
        self.history.crashed(self.ix);
    }

    /// It will not come back, and nothing is asked of it any more.
    pub fn retire(&mut self) {
        drop(self.client.take());
        self.history.retired(self.ix);
    }

    /// Sends a short message, without waiting.
    pub fn send(&self, to: impl Into<Recipient>) {
        self.send_text(to, "");
    }

    /// Sends a message of about this many bytes, without waiting.
    pub fn send_padded(&self, to: impl Into<Recipient>, bytes: usize) {
        self.send_text(to, &"x".repeat(bytes));
    }

    /// Sends a message that says this after its number, without waiting.
    pub fn send_text(&self, to: impl Into<Recipient>, body: &str) {
        let sending = self.start(to.into(), body);
        self.history.shared.tasks.spawn("send", async move {
            // How it ended is in the history.
            sending.await.ok();
        });
    }

    /// Sends and waits for the end, which may be a refusal.
    pub async fn send_and_wait(
        &self,
        to: impl Into<Recipient>,
        body: &str,
    ) -> Result<Receipt, SendError> {
        self.start(to.into(), body).await
    }

    /// Sends once a place in a window is free, and holds it until the end.
    pub async fn send_within(&self, window: &Arc<Semaphore>, to: impl Into<Recipient>) {
        let place = Arc::clone(window).acquire_owned().await;
        let sending = self.start(to.into(), "");
        self.history.shared.tasks.spawn("send", async move {
            let _place = place;
            sending.await.ok();
        });
    }

    /// Sends the last message again under the same id and waits for its end.
    pub async fn send_again(&self) -> Result<Receipt, SendError> {
        let sent = self.sent.lock().clone().expect("something was sent");
        self.history.resubmitting(self.ix, sent.number);
        self.offer(sent).await
    }

    /// Numbers a message and hands it to the SDK at once; the future waits for its end. Until then
    /// an unknown outcome is asked for again, as an integrator would.
    fn start(
        &self,
        to: Recipient,
        body: &str,
    ) -> impl Future<Output = Result<Receipt, SendError>> + Send + use<> {
        let mut last = self.sent.lock();
        let (number, text) = self.history.submitting(self.ix, &to, body);
        let id = MessageId::fresh();
        let sent = Sent {
            number,
            id,
            to,
            text,
        };
        *last = Some(sent.clone());
        self.offer(sent)
    }

    fn offer(&self, sent: Sent) -> impl Future<Output = Result<Receipt, SendError>> + Send + use<> {
        let (history, ix) = (self.history.clone(), self.ix);
        let client = self.client().clone();
        let first = client.send_as(sent.id, sent.to.clone(), sent.text.clone());
        let mut began = Instant::now();
        async move {
            let mut result = first.await;
            while matches!(result, Err(SendError::Unknown)) {
                history.resubmitting(ix, sent.number);
                history.ended(ix, sent.number, &result, began.elapsed());
                began = Instant::now();
                result = client
                    .send_as(sent.id, sent.to.clone(), sent.text.clone())
                    .await;
            }
            history.ended(ix, sent.number, &result, began.elapsed());
            result
        }
    }

    /// Where it stands with the cluster; the last state after it was closed is not kept.
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.client().state()
    }

    /// Whether it says that it is attached.
    pub fn is_attached(&self) -> bool {
        let state = self.client.as_ref().map(Client::state);
        state.is_some_and(|state| state.borrow().is_attached())
    }

    /// Whether it will not be attached again by itself: closed, refused, or never begun.
    pub fn has_ended(&self) -> bool {
        let state = self.client.as_ref().map(Client::state);
        state.is_none_or(|state| state.borrow().is_final())
    }

    /// The SDK's handle.
    ///
    /// # Panics
    /// When it has never been attached, or was closed.
    pub fn client(&self) -> &Client {
        self.client.as_ref().expect("the actor has a client")
    }

    /// How long its handler takes.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Its name.
    pub fn name(&self) -> &UserName {
        &self.name
    }

    /// Its user.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// Its device.
    pub fn device(&self) -> &DeviceId {
        &self.device
    }

    /// Its place in the history.
    pub fn ix(&self) -> ActorIx {
        self.ix
    }
}
