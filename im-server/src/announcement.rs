//! Tells the others that this server is here, how full it is, and whether it is about to stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use im_common::backend::registry::{ServerInfo, ServerRegistry};
use tokio_util::sync::CancellationToken;

use crate::connections::Connections;

/// Placement needs a rough number only.
const REFRESH_EVERY: Duration = Duration::from_secs(5);
/// A change below one part in this many tells placement nothing.
const CHANGE_THAT_MATTERS: u64 = 20;

/// The entry of this server in the registry.
#[derive(Clone)]
pub(crate) struct Announcement {
    registry: Arc<dyn ServerRegistry>,
    connections: Connections,
    client_address: String,
    http_address: String,
    entrances: BTreeMap<String, String>,
}

impl Announcement {
    pub(crate) fn new(
        registry: Arc<dyn ServerRegistry>,
        connections: Connections,
        client_address: String,
        http_address: String,
        entrances: BTreeMap<String, String>,
    ) -> Self {
        Self {
            registry,
            connections,
            client_address,
            http_address,
            entrances,
        }
    }

    /// What the others are told.
    pub(crate) fn info(&self) -> ServerInfo {
        ServerInfo {
            id: self.connections.server().clone(),
            client_address: self.client_address.clone(),
            http_address: self.http_address.clone(),
            draining: self.connections.is_draining(),
            connections: self.connections.count() as u64,
            entrances: self.entrances.clone(),
        }
    }

    /// Enters or replaces the entry. When the store is away, the registry makes up for it.
    pub(crate) async fn announce(&self) {
        if let Err(error) = self.registry.announce(self.info()).await {
            tracing::warn!(%error, "announcement delayed");
        }
    }

    /// Removes the entry.
    pub(crate) async fn withdraw(&self) {
        if let Err(error) = self.registry.withdraw(self.connections.server()).await {
            tracing::warn!(%error, "cannot withdraw, the entry ends with its lease");
        }
    }

    /// Keeps the number of connections fresh until told to stop.
    pub(crate) async fn refresh(self, stop: CancellationToken) {
        let mut told = self.info().connections;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(REFRESH_EVERY) => {}
            }
            let count = self.info().connections;
            if matters(told, count) && !self.connections.is_draining() {
                self.announce().await;
                told = count;
            }
        }
    }

    /// Where clients can go instead of here.
    pub(crate) fn candidates(&self) -> Vec<String> {
        let servers = self.registry.servers();
        let servers = servers.borrow();
        servers
            .iter()
            .filter(|server| !server.draining && server.id != *self.connections.server())
            .map(|server| server.client_address.clone())
            .collect()
    }
}

fn matters(told: u64, count: u64) -> bool {
    told.abs_diff(count) * CHANGE_THAT_MATTERS > told.max(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_of_more_than_a_twentieth_matter() {
        assert!(matters(0, 1));
        assert!(matters(1, 0));
        assert!(!matters(100, 105));
        assert!(matters(100, 106));
        assert!(!matters(7, 7));
    }
}
