//! From one stored message to its readers: one push for each server that holds any of them.
//!
//! A single worker plans batches (who is where, in one round trip); a lane for each server carries
//! the pushes, in order. A message is settled when every server that must have it has taken it;
//! until then it stays marked in the store, and a sweeper on some route fans it out again.

mod errand;
mod lanes;
mod sweep;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use im_common::backend::messages::MessageStore;
use im_common::backend::sessions::SessionStore;
use im_common::backend::{Backend, Result};
use im_common::id::{ConversationId, LogEpoch, Members, ServerId, UserId};
use im_common::message::{Session, StoredMessage};
use im_common::tasks::Tasks;
use im_common::transport::{Downlink, Push};
use moka::sync::Cache;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::errand::{Errand, Settler};
use self::lanes::{Lanes, Parcel};
use crate::counters::Counters;
use crate::servers::Servers;

/// Messages waiting to be planned. One that finds no room stays unsettled and is claimed later.
const QUEUE_MAX: usize = 8192;
/// Messages planned together; one round trip to the session store for all of them.
const BATCH_MAX: usize = 256;
/// A store that stands still must not hold up the queue while a batch is halved again and again.
const PLAN_WITHIN: Duration = Duration::from_secs(3);
/// Conversations whose members are known to be enlisted; some 100 bytes each.
const ENLISTED_MAX: u64 = 100_000;
/// Bounds how long a list of members that was lost with its store seems to be there.
const ENLISTED_FOR: Duration = Duration::from_secs(600);

/// The entrance. Clones share the queue.
#[derive(Clone)]
pub(crate) struct FanOut {
    queue: mpsc::Sender<StoredMessage>,
}

impl FanOut {
    /// Starts the worker and the sweeper.
    pub(crate) fn start(
        backend: &Backend,
        downlink: Arc<dyn Downlink>,
        servers: Servers,
        counters: &Arc<Counters>,
        tasks: &Tasks,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let planner = Planner {
            messages: Arc::clone(&backend.messages),
            sessions: Arc::clone(&backend.sessions),
            settler: Settler::start(Arc::clone(&backend.messages), tasks),
            lanes: Lanes::new(
                downlink,
                servers.clone(),
                Arc::clone(&backend.sessions),
                Arc::clone(counters),
                tasks.clone(),
            ),
            enlisted: Cache::builder()
                .max_capacity(ENLISTED_MAX)
                .time_to_live(ENLISTED_FOR)
                .build(),
            servers,
        };
        let token = tasks.token();
        tasks.spawn("fan out", async move {
            token.run_until_cancelled(planner.run(waiting)).await;
        });
        let fan_out = Self { queue };
        sweep::start(
            Arc::clone(&backend.messages),
            fan_out.clone(),
            Arc::clone(counters),
            tasks,
        );
        fan_out
    }

    /// Hands over a message that was just stored. Never waits: one too many is claimed later.
    pub(crate) fn offer(&self, message: StoredMessage) {
        if self.queue.try_send(message).is_err() {
            tracing::debug!("fan-out queue is full, leaving the message to the sweeper");
        }
    }

    /// Hands over a claimed message, when there is room.
    async fn repeat(&self, message: StoredMessage) {
        // The receiver is gone only when the node stops; another route claims the message then.
        self.queue.send(message).await.ok();
    }
}

/// Decides which server gets what.
struct Planner {
    messages: Arc<dyn MessageStore>,
    sessions: Arc<dyn SessionStore>,
    servers: Servers,
    settler: Settler,
    lanes: Lanes,
    enlisted: Cache<(ConversationId, LogEpoch), ()>,
}

impl Planner {
    async fn run(self, mut waiting: mpsc::Receiver<StoredMessage>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
            self.plan(&batch).await;
            batch.clear();
        }
    }

    /// Plans a batch. One that fails is halved, so that readers whose part of the store is away
    /// hold up nobody else. What is left over stays unsettled and is claimed later.
    async fn plan(&self, batch: &[StoredMessage]) {
        let give_up_at = Instant::now() + PLAN_WITHIN;
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let Err(error) = self.plan_together(part).await else {
                continue;
            };
            if part.len() == 1 || Instant::now() >= give_up_at {
                tracing::warn!(%error, messages = part.len(), "fan-out is put off");
                continue;
            }
            let (first, second) = part.split_at(part.len() / 2);
            // The last one in is taken next, so order is kept.
            parts.extend([second, first]);
        }
    }

    async fn plan_together(&self, batch: &[StoredMessage]) -> Result<()> {
        self.enlist(batch).await?;
        let located = self.locate(batch).await?;
        for message in batch {
            self.dispatch(message, &located);
        }
        Ok(())
    }

    /// Makes sure that members find the conversation when they come back.
    async fn enlist(&self, batch: &[StoredMessage]) -> Result<()> {
        for message in batch {
            let Members::Users(users) = message.conversation.members() else {
                continue;
            };
            let key = (message.conversation.clone(), message.epoch);
            if !self.enlisted.contains_key(&key) {
                self.messages.enlist(&message.conversation, &users).await?;
                self.enlisted.insert(key, ());
            }
        }
        Ok(())
    }

    async fn locate(&self, batch: &[StoredMessage]) -> Result<HashMap<UserId, Vec<Session>>> {
        let mut users: Vec<UserId> = batch
            .iter()
            .filter_map(|message| match message.conversation.members() {
                Members::Users(users) => Some(users),
                Members::Everyone => None,
            })
            .flatten()
            .collect();
        users.sort_unstable();
        users.dedup();
        let mut located: HashMap<UserId, Vec<Session>> = HashMap::new();
        if !users.is_empty() {
            for session in self.sessions.locate(&users).await? {
                located.entry(session.user).or_default().push(session);
            }
        }
        Ok(located)
    }

    /// Puts a message on the lane of every server that must have it. A session on a server that
    /// nobody knows leaves the message unsettled: the server may be too new for our list.
    fn dispatch(&self, message: &StoredMessage, located: &HashMap<UserId, Vec<Session>>) {
        let errand = self.settler.errand(message);
        match message.conversation.members() {
            Members::Everyone => {
                for server in self.servers.all().iter() {
                    let push = Push {
                        message: message.clone(),
                        to: Members::Everyone,
                    };
                    self.lanes.put(
                        &server.info,
                        Parcel {
                            push,
                            sessions: Vec::new(),
                            errand: Arc::clone(&errand),
                        },
                    );
                }
            }
            Members::Users(users) => {
                for (server, sessions) in by_server(&users, located) {
                    match self.servers.find(&server) {
                        None => errand.fail(),
                        Some(info) => self.lanes.put(&info, parcel(message, sessions, &errand)),
                    }
                }
            }
        }
    }
}

fn by_server(
    users: &[UserId],
    located: &HashMap<UserId, Vec<Session>>,
) -> HashMap<ServerId, Vec<Session>> {
    let mut servers: HashMap<ServerId, Vec<Session>> = HashMap::new();
    for session in users.iter().filter_map(|user| located.get(user)).flatten() {
        servers
            .entry(session.server.clone())
            .or_default()
            .push(session.clone());
    }
    servers
}

fn parcel(message: &StoredMessage, sessions: Vec<Session>, errand: &Arc<Errand>) -> Parcel {
    let mut users: Vec<UserId> = sessions.iter().map(|session| session.user).collect();
    users.dedup();
    let push = Push {
        message: message.clone(),
        to: Members::Users(users),
    };
    Parcel {
        push,
        sessions,
        errand: Arc::clone(errand),
    }
}
