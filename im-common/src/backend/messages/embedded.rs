//! The embedded `MessageStore`: what it reads it reads at once, what it writes goes to the writer.

mod advance;
mod append;
mod read;
mod settle;
mod unsettled;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use self::read::lineage;
use self::unsettled::Unsettled;
use super::{AppendError, Appended, MessageStore, Range};
use crate::backend::Result;
use crate::backend::embedded::{Change, Durable, Store, keys, values};
use crate::id::{ConversationId, DeviceId, Sequence, UserId};
use crate::message::{Draft, Head, Page, Position, StoredMessage};

/// Logs and positions in the database of this process.
pub(in crate::backend) struct EmbeddedMessages {
    store: Arc<Store>,
    unsettled: Arc<Unsettled>,
    /// The opening of the database from which the marks were loaded.
    loaded_from: AtomicU64,
}

impl EmbeddedMessages {
    /// Finds again which messages a crash kept from their fan-out.
    pub(in crate::backend) fn open(store: Arc<Store>) -> Result<Self> {
        let messages = Self {
            store,
            unsettled: Arc::default(),
            loaded_from: AtomicU64::new(0),
        };
        let loaded = messages.load_marks();
        loaded.map_err(|error| messages.store.located(error))?;
        Ok(messages)
    }

    fn load_marks(&self) -> Result<()> {
        let times_opened = self.store.times_opened();
        self.unsettled.begin_loading();
        let now = Instant::now();
        for entry in self.store.view()?.prefix(&keys::marks()) {
            let (key, _) = entry?;
            let (conversation, sequence) = keys::parse_mark(&key)?;
            if !self.unsettled.note(conversation, sequence, now) {
                break;
            }
        }
        self.loaded_from.store(times_opened, Ordering::Relaxed);
        Ok(())
    }

    /// After a failed write the database may hold marks again whose removal was lost with it.
    fn has_missed_marks(&self) -> bool {
        self.unsettled.has_room_for_more()
            || self.loaded_from.load(Ordering::Relaxed) != self.store.times_opened()
    }

    /// Writes on the first call for a device only. Durable at once: after a power cut the device
    /// would begin again, behind what others handle before it is back.
    async fn begin_device(&self, user: UserId, device: &DeviceId) -> Result<()> {
        if self
            .store
            .view()?
            .get(&keys::began(user, device))?
            .is_some()
        {
            return Ok(());
        }
        let device = device.clone();
        let begin = move |change: &mut Change<'_>| advance::begin(change, user, &device);
        self.store.write(Durable::Now, begin).await
    }

    fn stored(&self, marks: Vec<(ConversationId, Sequence)>) -> Result<Vec<StoredMessage>> {
        let view = self.store.view()?;
        let messages = marks.into_iter().filter_map(|(conversation, sequence)| {
            match view.message(&conversation, sequence) {
                Ok(message) => Some(message),
                // One that cannot be read must not keep the others from their fan-out.
                Err(error) => {
                    tracing::error!(%error, conversation.id = %conversation, seq = sequence.0,
                        "cannot read an unsettled message");
                    None
                }
            }
        });
        Ok(messages.collect())
    }
}

#[async_trait]
impl MessageStore for EmbeddedMessages {
    async fn append(&self, drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>> {
        let count = drafts.len();
        let (unsettled, now) = (Arc::clone(&self.unsettled), Instant::now());
        let append =
            move |change: &mut Change<'_>| Ok(append::append(change, &drafts, &unsettled, now));
        match self.store.write(Durable::Now, append).await {
            Ok(outcomes) => outcomes,
            Err(error) => vec![Err(error.into()); count],
        }
    }

    async fn read(
        &self,
        conversation: &ConversationId,
        range: Range,
        limit: usize,
    ) -> Result<Page> {
        self.store.view()?.page(conversation, range, limit)
    }

    async fn heads(&self, conversations: &[ConversationId]) -> Result<Vec<Position>> {
        let view = self.store.view()?;
        conversations.iter().map(|id| view.head(id)).collect()
    }

    async fn resume(&self, positions: &[Position]) -> Result<Vec<Head>> {
        let view = self.store.view()?;
        let resume = |position: &Position| {
            let newest = view.head(&position.conversation)?;
            Ok(lineage(&newest).resume(position))
        };
        positions.iter().map(resume).collect()
    }

    async fn enlist(&self, conversation: &ConversationId, users: &[UserId]) -> Result<()> {
        let mut missing = Vec::new();
        {
            let view = self.store.view()?;
            for user in users {
                let key = keys::enlisted(*user, conversation);
                if view.get(&key)?.is_none() {
                    missing.push(key);
                }
            }
        }
        // Nearly always: everybody was enlisted by an earlier message.
        if missing.is_empty() {
            return Ok(());
        }
        let enlist = |change: &mut Change<'_>| {
            for key in missing {
                change.insert(key, []);
            }
            Ok(())
        };
        self.store.write(Durable::Now, enlist).await
    }

    async fn conversations(&self, user: UserId) -> Result<Vec<ConversationId>> {
        let prefix = keys::enlisted_in(user);
        let view = self.store.view()?;
        view.prefix(&prefix)
            .map(|entry| keys::conversation_behind(&prefix, &entry?.0))
            .filter(|conversation| !matches!(conversation, Ok(ConversationId::Lobby)))
            .collect()
    }

    async fn advance(&self, user: UserId, device: &DeviceId, positions: &[Position]) -> Result<()> {
        if positions.is_empty() {
            return Ok(());
        }
        let (device, positions) = (device.clone(), positions.to_vec());
        let advance = move |change: &mut Change<'_>| {
            advance::begin(change, user, &device)?;
            advance::advance(change, user, Some(&device), &positions)?;
            advance::advance(change, user, None, &positions)
        };
        self.store.write(Durable::Now, advance).await
    }

    async fn begin_at(&self, user: UserId, positions: &[Position]) -> Result<()> {
        let positions = positions.to_vec();
        let advance =
            move |change: &mut Change<'_>| advance::advance(change, user, None, &positions);
        self.store.write(Durable::Now, advance).await
    }

    async fn begin(&self, user: UserId, device: &DeviceId) -> Result<Vec<Position>> {
        self.begin_device(user, device).await?;
        let prefix = keys::positions(user, Some(device));
        let view = self.store.view()?;
        view.prefix(&prefix)
            .map(|entry| {
                let (key, value) = entry?;
                values::parse_position(keys::conversation_behind(&prefix, &key)?, &value)
            })
            .collect()
    }

    async fn handled(
        &self,
        user: UserId,
        conversation: &ConversationId,
    ) -> Result<Option<Position>> {
        let key = keys::position(user, None, conversation);
        let value = self.store.view()?.get(&key)?;
        value
            .map(|value| values::parse_position(conversation.clone(), &value))
            .transpose()
    }

    async fn settle(&self, messages: &[Position]) -> Result<()> {
        let messages = messages.to_vec();
        let unsettled = Arc::clone(&self.unsettled);
        let settle = move |change: &mut Change<'_>| {
            let settled = settle::settle(change, &messages)?;
            change.when_committed(move || unsettled.forget(&settled));
            Ok(())
        };
        // A mark that a crash brings back costs one fan-out more, which receivers do not notice.
        self.store.write(Durable::WithTheNext, settle).await
    }

    async fn claim_unsettled(&self, waiting: Duration, limit: usize) -> Result<Vec<StoredMessage>> {
        if self.has_missed_marks() {
            self.load_marks()?;
        }
        self.stored(self.unsettled.claim(Instant::now(), waiting, limit))
    }

    async fn ready(&self) -> Result<()> {
        self.heads(&[ConversationId::Lobby]).await?;
        // A change of nothing, which fails while the disk takes no writes.
        self.store.write(Durable::WithTheNext, |_| Ok(())).await
    }
}
