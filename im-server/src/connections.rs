//! The table of attached devices: attach (displaces), detach (fenced), and finding them.
//!
//! In one process it is the downlink as well. Every change is one operation under one lock; no
//! lock is held over an await.

mod downlink;
mod handle;
mod names;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use hashbrown::HashMap;
use im_common::code::Code;
use im_common::id::{ConnectionId, ServerId, SessionEpoch, UserId};
use im_common::message::{Identity, Session};
use im_common::planted::{Bug, is_planted};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use self::handle::Handle;
use self::names::Names;

/// Enough that threads seldom meet in one.
const SHARDS: usize = 64;

/// A newer connection of the same device is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a newer connection of the device is attached")]
pub(crate) struct Superseded;

/// All connections of one server. Clones share them.
#[derive(Clone)]
pub struct Connections {
    table: Arc<Table>,
}

struct Table {
    server: ServerId,
    shards: Vec<Mutex<Shard>>,
    names: Names,
    attached: AtomicUsize,
    last_connection: AtomicU64,
    sockets: Arc<Semaphore>,
    draining: AtomicBool,
}

/// The devices of each user: mostly one.
type Shard = HashMap<UserId, Vec<Arc<Handle>>>;

impl Connections {
    /// Returns an empty table of a new life of a server, which takes at most `connections_max`
    /// sockets.
    pub fn new(connections_max: usize) -> Self {
        Self {
            table: Arc::new(Table {
                server: ServerId::fresh(),
                shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
                names: Names::default(),
                attached: AtomicUsize::new(0),
                last_connection: AtomicU64::new(0),
                sockets: Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS))),
                draining: AtomicBool::new(false),
            }),
        }
    }

    /// The server whose connections these are.
    pub fn server(&self) -> &ServerId {
        &self.table.server
    }

    /// How many devices are attached.
    pub fn count(&self) -> usize {
        self.table.attached.load(Ordering::Relaxed)
    }

    /// Whether the server is about to stop.
    pub fn is_draining(&self) -> bool {
        self.table.draining.load(Ordering::SeqCst)
    }

    /// Marks the server as about to stop.
    pub(crate) fn start_draining(&self) {
        self.table.draining.store(true, Ordering::SeqCst);
    }

    /// Makes room for one socket for as long as the permit lives; `None` when the server is full.
    pub(crate) fn admit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.table.sockets).try_acquire_owned().ok()
    }

    /// Enters a device. An older connection of the same device is displaced; a newer one stays.
    pub(crate) fn attach(
        &self,
        identity: Identity,
        epoch: SessionEpoch,
    ) -> Result<Attachment, Superseded> {
        let handle = self.handle(identity, epoch);
        self.enter(handle, |held, new| held.age() > new.age())
    }

    /// As [`Connections::attach`], but a connection of the same epoch stays too: for protocols whose
    /// clients do not number their attempts, so that the first one of each login holds.
    pub(crate) fn attach_first(
        &self,
        identity: Identity,
        epoch: SessionEpoch,
    ) -> Result<Attachment, Superseded> {
        let handle = self.handle(identity, epoch);
        self.enter(handle, |held, new| held.session.epoch >= new.session.epoch)
    }

    fn handle(&self, identity: Identity, epoch: SessionEpoch) -> Arc<Handle> {
        let number = self.table.last_connection.fetch_add(1, Ordering::Relaxed) + 1;
        let session = Session {
            user: identity.user,
            device: identity.device,
            server: self.table.server.clone(),
            connection: ConnectionId(number),
            epoch,
        };
        Arc::new(Handle::new(identity.name, session))
    }

    fn enter(
        &self,
        handle: Arc<Handle>,
        stays: impl Fn(&Handle, &Handle) -> bool,
    ) -> Result<Attachment, Superseded> {
        let mut shard = self.shard(handle.session.user);
        let devices = shard
            .entry(handle.session.user)
            .or_insert_with(|| Vec::with_capacity(1));
        let older = devices
            .iter()
            .position(|held| held.session.device == handle.session.device);
        match older {
            Some(index) if stays(&devices[index], &handle) && !is_planted(Bug::SkipTableFence) => {
                return Err(Superseded);
            }
            Some(index) => {
                let displaced = std::mem::replace(&mut devices[index], Arc::clone(&handle));
                self.forget_name(&displaced);
                if !is_planted(Bug::KeepDisplaced) {
                    displaced.outbound.close(Code::DISPLACED);
                }
            }
            None => {
                devices.push(Arc::clone(&handle));
                self.table.attached.fetch_add(1, Ordering::Relaxed);
            }
        }
        drop(shard);
        Ok(Attachment {
            connections: self.clone(),
            handle,
        })
    }

    /// Makes a device visible to others, unless it has been displaced.
    fn confirm(&self, handle: &Arc<Handle>) {
        let shard = self.shard(handle.session.user);
        let holds = shard
            .get(&handle.session.user)
            .is_some_and(|devices| devices.iter().any(|held| Arc::ptr_eq(held, handle)));
        if holds && handle.confirm() {
            self.table.names.add(&handle.name, handle.session.user);
        }
    }

    /// Removes this very connection; has no effect when another one holds the device.
    fn detach(&self, handle: &Arc<Handle>) {
        let mut shard = self.shard(handle.session.user);
        let Some(devices) = shard.get_mut(&handle.session.user) else {
            return;
        };
        let Some(index) = devices.iter().position(|held| Arc::ptr_eq(held, handle)) else {
            return;
        };
        devices.swap_remove(index);
        if devices.is_empty() {
            shard.remove(&handle.session.user);
        }
        self.forget_name(handle);
        self.table.attached.fetch_sub(1, Ordering::Relaxed);
    }

    /// Called under the lock of the user's shard, so that names and devices cannot part.
    fn forget_name(&self, handle: &Handle) {
        if handle.revoke() {
            self.table.names.remove(&handle.name);
        }
    }

    /// Returns the connection of exactly this session, if it is still there.
    pub(crate) fn find(&self, session: &Session) -> Option<Arc<Handle>> {
        let shard = self.shard(session.user);
        let devices = shard.get(&session.user)?;
        devices
            .iter()
            .find(|held| held.session == *session)
            .cloned()
    }

    /// Returns all connections at this moment, in no order.
    pub(crate) fn all(&self) -> Vec<Arc<Handle>> {
        let mut all = Vec::with_capacity(self.count());
        for shard in &self.table.shards {
            all.extend(shard.lock().values().flatten().cloned());
        }
        all
    }

    fn shard(&self, user: UserId) -> MutexGuard<'_, Shard> {
        let index = user.number() % SHARDS as u64;
        self.table.shards[usize::try_from(index).expect("an index is below SHARDS")].lock()
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connections({} of {})", self.count(), self.server())
    }
}

/// A device's place in the table, given up when dropped.
#[derive(Debug)]
pub(crate) struct Attachment {
    connections: Connections,
    handle: Arc<Handle>,
}

impl Attachment {
    /// Makes the device visible to others: the route has agreed to the session.
    pub(crate) fn confirm(&self) {
        self.connections.confirm(&self.handle);
    }
}

impl std::ops::Deref for Attachment {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.connections.detach(&self.handle);
    }
}
