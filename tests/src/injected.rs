//! What goes wrong on purpose between the nodes of a cluster in this process: decorators of the
//! stores and of both links, each behind a [`Gate`] that a test opens and shuts.

mod gate;
mod links;
mod stores;

use std::sync::Arc;

use im_common::backend::Backend;
use im_common::id::ServerId;
use im_common::transport::{Downlink, Uplink};

pub use gate::{Gate, Mood};

use crate::dice::Dice;
use links::{FaultyDownlink, FaultyUplink, HandedOver};
use stores::{FaultyDirectory, FaultyMessages, FaultySessions};

/// The gates of one cluster. Clones share them.
#[derive(Clone)]
pub struct Injected {
    /// Before the logs.
    pub messages: Gate,
    /// Before the table of who is attached where.
    pub sessions: Gate,
    /// Before accounts and logins.
    pub directory: Gate,
    /// Submits of the servers.
    pub submits: Gate,
    /// Whatever else the servers ask: attach, detach, renew, heads, ack, sync.
    pub calls: Gate,
    /// Messages on their way to the servers.
    pub pushes: Gate,
    /// Kicks on their way to the servers.
    pub kicks: Gate,
    /// Whatever else the routes ask: who is online, and how a server is.
    pub probes: Gate,
    handed_over: HandedOver,
}

impl Injected {
    /// All gates open; chances are taken from the seed.
    pub fn new(seed: u64) -> Self {
        let gate = |name| Gate::new(Dice::seed_of(seed, name));
        Self {
            messages: gate("messages"),
            sessions: gate("sessions"),
            directory: gate("directory"),
            submits: gate("submits"),
            calls: gate("calls"),
            pushes: gate("pushes"),
            kicks: gate("kicks"),
            probes: gate("probes"),
            handed_over: HandedOver::default(),
        }
    }

    /// Before the three stores.
    pub fn stores(&self) -> [&Gate; 3] {
        [&self.messages, &self.sessions, &self.directory]
    }

    /// Every gate.
    pub fn all(&self) -> [&Gate; 8] {
        let Self {
            messages,
            sessions,
            directory,
            submits,
            calls,
            pushes,
            kicks,
            probes,
            handed_over: _,
        } = self;
        [
            messages, sessions, directory, submits, calls, pushes, kicks, probes,
        ]
    }

    /// How many pushes a server has taken while all was well.
    pub fn handed_over(&self, server: &ServerId) -> usize {
        self.handed_over.to(server)
    }

    /// Opens all gates.
    pub fn heal(&self) {
        for gate in self.all() {
            gate.set(Mood::Well);
        }
    }

    /// Stores behind the gates. The registry stays as it is.
    pub fn around_backend(&self, backend: &Backend) -> Backend {
        Backend {
            directory: Arc::new(FaultyDirectory {
                inner: Arc::clone(&backend.directory),
                gate: self.directory.clone(),
            }),
            messages: Arc::new(FaultyMessages {
                inner: Arc::clone(&backend.messages),
                gate: self.messages.clone(),
            }),
            sessions: Arc::new(FaultySessions {
                inner: Arc::clone(&backend.sessions),
                gate: self.sessions.clone(),
            }),
            registry: Arc::clone(&backend.registry),
        }
    }

    /// A downlink behind the gates.
    pub fn around_downlink(&self, inner: Arc<dyn Downlink>) -> Arc<dyn Downlink> {
        Arc::new(FaultyDownlink {
            inner,
            pushes: self.pushes.clone(),
            kicks: self.kicks.clone(),
            probes: self.probes.clone(),
            handed_over: self.handed_over.clone(),
        })
    }

    /// An uplink behind the gates.
    pub fn around_uplink(&self, inner: Arc<dyn Uplink>) -> Arc<dyn Uplink> {
        Arc::new(FaultyUplink {
            inner,
            submits: self.submits.clone(),
            calls: self.calls.clone(),
        })
    }
}
