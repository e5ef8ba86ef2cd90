//! One lane for each server: pushes leave in order, and gather while a request is under way.
//!
//! A server that stands still holds up its own lane only.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use im_common::backend::registry::ServerInfo;
use im_common::backend::sessions::SessionStore;
use im_common::id::{ServerId, UserId};
use im_common::message::Session;
use im_common::tasks::Tasks;
use im_common::transport::{Downlink, Push};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;

use super::errand::Errand;
use crate::counters::Counters;
use crate::servers::Servers;

/// Parcels waiting for one server. One too many fails its errand and is repeated later.
const LANE_MAX: usize = 4096;
/// Parcels in one request.
const BATCH_MAX: usize = 512;
/// Bytes of text in one request: with the largest text and its headers still well under the
/// 8 MiB that a server accepts.
const BATCH_TEXT_BYTES: usize = 4 * 1024 * 1024;
/// A lane without work ends after this long; the next parcel opens it anew.
const IDLE: Duration = Duration::from_secs(60);

/// A message on its way to one server.
pub(super) struct Parcel {
    pub(super) push: Push,
    /// The sessions that led to this server, so that stale ones can be ended.
    pub(super) sessions: Vec<Session>,
    pub(super) errand: Arc<Errand>,
}

/// All lanes of a route.
pub(super) struct Lanes {
    carrier: Carrier,
    tasks: Tasks,
    open: Mutex<HashMap<ServerId, mpsc::Sender<Parcel>>>,
}

impl Lanes {
    pub(super) fn new(
        downlink: Arc<dyn Downlink>,
        servers: Servers,
        sessions: Arc<dyn SessionStore>,
        counters: Arc<Counters>,
        tasks: Tasks,
    ) -> Self {
        let carrier = Carrier {
            downlink,
            servers,
            sessions,
            counters,
        };
        Self {
            carrier,
            tasks,
            open: Mutex::default(),
        }
    }

    /// Puts a parcel on its server's lane, behind those put there before. Never waits.
    pub(super) fn put(&self, server: &ServerInfo, parcel: Parcel) {
        let mut open = self.open.lock();
        let parcel = match open.get(&server.id) {
            None => parcel,
            Some(lane) => match lane.try_send(parcel) {
                Ok(()) => return,
                Err(TrySendError::Full(parcel)) => return parcel.errand.fail(),
                Err(TrySendError::Closed(parcel)) => parcel,
            },
        };
        open.retain(|_, lane| !lane.is_closed());
        let (lane, waiting) = mpsc::channel(LANE_MAX);
        // A new lane has room for its first parcel.
        lane.try_send(parcel).ok();
        open.insert(server.id.clone(), lane);
        let (carrier, server, token) = (self.carrier.clone(), server.clone(), self.tasks.token());
        self.tasks.spawn("lane", async move {
            token
                .run_until_cancelled(carrier.run(server, waiting))
                .await;
        });
    }
}

/// Carries the parcels of one lane.
#[derive(Clone)]
struct Carrier {
    downlink: Arc<dyn Downlink>,
    servers: Servers,
    sessions: Arc<dyn SessionStore>,
    counters: Arc<Counters>,
}

impl Carrier {
    async fn run(self, server: ServerInfo, mut waiting: mpsc::Receiver<Parcel>) {
        loop {
            match timeout(IDLE, waiting.recv()).await {
                Ok(Some(first)) => self.carry(&server, gather(first, &mut waiting)).await,
                Ok(None) => return,
                // Closing first and then draining means that no parcel is lost in between.
                Err(_) => waiting.close(),
            }
        }
    }

    async fn carry(&self, server: &ServerInfo, parcels: Vec<Parcel>) {
        Counters::add(&self.counters.pushes, parcels.len());
        Counters::add(&self.counters.push_requests, 1);
        let mut pushes = Vec::with_capacity(parcels.len());
        let mut rest = Vec::with_capacity(parcels.len());
        for Parcel {
            push,
            sessions,
            errand,
        } in parcels
        {
            pushes.push(push);
            rest.push((sessions, errand));
        }
        match self.downlink.push(server, pushes).await {
            Ok(absent) => {
                self.end_stale(&absent, rest.iter().flat_map(|(sessions, _)| sessions))
                    .await;
            }
            Err(error) => {
                Counters::add(&self.counters.push_failures, 1);
                self.servers.heard(&server.id, &error);
                tracing::debug!(server.id = %server.id, %error, "push failed");
                rest.iter().for_each(|(_, errand)| errand.fail());
            }
        }
    }

    /// A session on a server that does not hold the user is over: its detach was lost.
    async fn end_stale(&self, absent: &[UserId], sessions: impl Iterator<Item = &Session>) {
        for session in sessions.filter(|session| absent.contains(&session.user)) {
            // Should this fail, the lease ends it.
            self.sessions.detach(session).await.ok();
        }
    }
}

fn gather(first: Parcel, waiting: &mut mpsc::Receiver<Parcel>) -> Vec<Parcel> {
    let mut bytes = first.push.message.text.len();
    let mut parcels = vec![first];
    while parcels.len() < BATCH_MAX && bytes < BATCH_TEXT_BYTES {
        let Ok(parcel) = waiting.try_recv() else {
            break;
        };
        bytes += parcel.push.message.text.len();
        parcels.push(parcel);
    }
    parcels
}
