//! Which servers there are: what the registry says, confirmed by asking them.
//!
//! A registry may lag, be away, or come back empty. A server that it no longer lists but that
//! answers stays; one that it lists but that does not answer gets no new clients, nor does one that
//! keeps dying and coming up anew.

mod lives;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use im_common::backend::registry::{ServerInfo, ServerList, ServerRegistry};
use im_common::id::ServerId;
use im_common::tasks::Tasks;
use im_common::transport::{Downlink, DownlinkError};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::lives::Lives;

/// A killed server is noticed within this, long before its lease ends.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// A server, as this route sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownServer {
    pub(crate) info: ServerInfo,
    /// The registry lists it.
    listed: bool,
    /// It answered the last probe.
    reachable: bool,
    /// Before this it gets clients only when nobody else can take them.
    trusted_from: Instant,
}

/// The servers this route knows. Clones share them.
#[derive(Clone)]
pub(crate) struct Servers {
    known: Arc<watch::Sender<Arc<Vec<KnownServer>>>>,
}

impl Servers {
    /// Follows the registry and keeps asking the servers.
    pub(crate) fn follow(
        registry: &dyn ServerRegistry,
        downlink: Arc<dyn Downlink>,
        tasks: &Tasks,
    ) -> Self {
        let mut listed = registry.servers();
        let mut lives = Lives::default();
        let first = merge(&[], &listed.borrow_and_update(), &mut lives);
        let known = Arc::new(watch::Sender::new(Arc::new(first)));
        let (token, publish) = (tasks.token(), Arc::clone(&known));
        tasks.spawn("servers", async move {
            let follow = keep_following(listed, lives, publish, downlink);
            token.run_until_cancelled(follow).await;
        });
        Self { known }
    }

    /// Every server that may hold clients.
    pub(crate) fn all(&self) -> Arc<Vec<KnownServer>> {
        Arc::clone(&self.known.borrow())
    }

    /// The servers that can take a client, sorted by id. Those that keep coming up anew are among
    /// them only when there are no others.
    pub(crate) fn placeable(&self) -> Vec<ServerInfo> {
        let (known, now) = (self.all(), Instant::now());
        let can_take = |server: &&KnownServer| server.reachable && !server.info.draining;
        let (trusted, flapping): (Vec<&KnownServer>, Vec<&KnownServer>) = known
            .iter()
            .filter(can_take)
            .partition(|server| server.trusted_from <= now);
        let best = if trusted.is_empty() {
            flapping
        } else {
            trusted
        };
        best.into_iter().map(|server| server.info.clone()).collect()
    }

    /// Takes note of what became of a request: where nobody listens no client is sent, from now
    /// until a probe is answered.
    pub(crate) fn heard(&self, id: &ServerId, error: &DownlinkError) {
        if !matches!(error, DownlinkError::Gone(_)) {
            return;
        }
        self.known.send_if_modified(|known| {
            let is_it = |server: &KnownServer| server.info.id == *id && server.reachable;
            let Some(index) = known.iter().position(is_it) else {
                return false;
            };
            Arc::make_mut(known)[index].reachable = false;
            tracing::warn!(server.id = %id, "nobody listens at the address of a server");
            true
        });
    }

    /// The server of this id.
    pub(crate) fn find(&self, id: &ServerId) -> Option<ServerInfo> {
        self.known(id).map(|server| server.info)
    }

    /// The server of this id, if it answered the last probe.
    pub(crate) fn find_reachable(&self, id: &ServerId) -> Option<ServerInfo> {
        let server = self.known(id).filter(|server| server.reachable);
        server.map(|server| server.info)
    }

    fn known(&self, id: &ServerId) -> Option<KnownServer> {
        let known = self.known.borrow();
        let index = known
            .binary_search_by(|server| server.info.id.cmp(id))
            .ok()?;
        Some(known[index].clone())
    }
}

async fn keep_following(
    mut listed: watch::Receiver<ServerList>,
    mut lives: Lives,
    publish: Arc<watch::Sender<Arc<Vec<KnownServer>>>>,
    downlink: Arc<dyn Downlink>,
) {
    let mut probe = interval(PROBE_EVERY);
    probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = listed.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            _ = probe.tick() => {
                let known = Arc::clone(&publish.borrow());
                update(&publish, join_all(known.iter().map(|server| ask(&*downlink, server))).await);
            }
        }
        let merged = merge(&publish.borrow(), &listed.borrow_and_update(), &mut lives);
        update(&publish, merged);
    }
}

fn update(publish: &watch::Sender<Arc<Vec<KnownServer>>>, servers: Vec<KnownServer>) {
    publish.send_if_modified(|known| {
        let changed = **known != servers;
        if changed {
            log_changes(known, &servers);
            *known = Arc::new(servers);
        }
        changed
    });
}

async fn ask(downlink: &dyn Downlink, server: &KnownServer) -> KnownServer {
    let mut server = server.clone();
    match downlink.health(&server.info).await {
        Ok(health) => {
            server.reachable = true;
            server.info.draining |= health.draining;
            server.info.connections = health.connections;
        }
        Err(_) => server.reachable = false,
    }
    server
}

/// A server new to the list counts as reachable until it was asked: it has just announced itself.
fn merge(known: &[KnownServer], list: &[ServerInfo], lives: &mut Lives) -> Vec<KnownServer> {
    let now = Instant::now();
    let old = |id: &ServerId| known.iter().find(|server| server.info.id == *id);
    let mut merged: Vec<KnownServer> = list
        .iter()
        .map(|info| match old(&info.id) {
            None => KnownServer {
                info: info.clone(),
                listed: true,
                reachable: true,
                trusted_from: now + lives.begin(&info.client_address, now),
            },
            Some(old) => KnownServer {
                info: refreshed(info, &old.info),
                listed: true,
                ..*old
            },
        })
        .collect();
    let unlisted = known
        .iter()
        .filter(|server| server.reachable && !list.iter().any(|info| info.id == server.info.id))
        .map(|server| KnownServer {
            listed: false,
            ..server.clone()
        });
    merged.extend(unlisted);
    merged.sort_by(|one, other| one.info.id.cmp(&other.info.id));
    merged
}

/// A server never stops draining, and the probe knows its connections better than the list does.
fn refreshed(listed: &ServerInfo, probed: &ServerInfo) -> ServerInfo {
    ServerInfo {
        draining: listed.draining || probed.draining,
        connections: probed.connections,
        ..listed.clone()
    }
}

fn log_changes(before: &[KnownServer], after: &[KnownServer]) {
    for server in after {
        let old = before.iter().find(|old| old.info.id == server.info.id);
        match old {
            None => {
                tracing::info!(server.id = %server.info.id, address = server.info.client_address, "server joined");
            }
            Some(old) if old.reachable && !server.reachable && !server.info.draining => {
                tracing::warn!(server.id = %server.info.id, "server does not answer");
            }
            Some(old) if !old.reachable && server.reachable => {
                tracing::info!(server.id = %server.info.id, "server answers again");
            }
            Some(_) => {}
        }
    }
    for server in before
        .iter()
        .filter(|old| !after.iter().any(|new| new.info.id == old.info.id))
    {
        tracing::info!(server.id = %server.info.id, "server left");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::server_info;
    use std::sync::LazyLock;

    /// Some moment before every test.
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    #[test]
    fn a_server_at_whose_address_nobody_listens_gets_no_clients_at_once() {
        let two = vec![known("a", true, true), known("b", true, true)];
        let servers = Servers {
            known: Arc::new(watch::Sender::new(Arc::new(two))),
        };
        let ids = || -> Vec<String> {
            let placeable = servers.placeable().into_iter();
            placeable.map(|server| server.id.to_string()).collect()
        };
        let busy = DownlinkError::Unreachable("no answer in time".to_owned());
        servers.heard(&ServerId::new("a").unwrap(), &busy);
        assert_eq!(ids(), ["a", "b"]);
        let gone = DownlinkError::Gone("connection refused".to_owned());
        servers.heard(&ServerId::new("a").unwrap(), &gone);
        assert_eq!(ids(), ["b"]);
        assert!(servers.find(&ServerId::new("a").unwrap()).is_some());
    }

    fn known(id: &str, listed: bool, reachable: bool) -> KnownServer {
        KnownServer {
            info: server_info(id),
            listed,
            reachable,
            trusted_from: *START,
        }
    }

    #[test]
    fn a_list_that_comes_back_empty_drops_nobody_who_answers() {
        let before = [known("a", true, true), known("b", true, false)];
        assert_eq!(
            merge(&before, &[], &mut Lives::default()),
            [known("a", false, true)]
        );
    }

    #[test]
    fn a_listed_server_keeps_what_the_probe_found() {
        let before = [known("b", true, false)];
        let after = merge(
            &before,
            &[server_info("a"), server_info("b")],
            &mut Lives::default(),
        );
        let seen = |server: &KnownServer| (server.listed, server.reachable);
        let after: Vec<_> = after.iter().map(seen).collect();
        assert_eq!(after, [(true, true), (true, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_keeps_coming_up_anew_gets_no_clients_for_a_while() {
        let steady = ServerInfo {
            client_address: "steady:1".to_owned(),
            ..server_info("steady")
        };
        let mut lives = Lives::default();
        let mut known = Vec::new();
        // The third new life of the address is still free, the fourth is not.
        for (life, expected) in [("a", 2), ("b", 2), ("c", 2), ("d", 1), ("e", 1)] {
            let mut list = vec![server_info(life), steady.clone()];
            for server in &mut known {
                // The earlier life is dead.
                let KnownServer {
                    reachable, info, ..
                } = server;
                *reachable = info.id == steady.id;
            }
            known = merge(&known, &list, &mut lives);
            let servers = Servers {
                known: Arc::new(watch::Sender::new(Arc::new(known.clone()))),
            };
            assert_eq!(servers.placeable().len(), expected, "life {life}");
            if expected == 1 {
                assert_eq!(servers.placeable()[0].id, steady.id);
                // Better a server that flaps than none.
                list.pop();
                let alone = merge(&known, &list, &mut lives);
                let alone = alone.into_iter().filter(|one| one.info.id != steady.id);
                let alone = Servers {
                    known: Arc::new(watch::Sender::new(Arc::new(alone.collect()))),
                };
                assert_eq!(alone.placeable()[0].id.as_str(), life);
                // What stays up is trusted again.
                tokio::time::advance(Duration::from_secs(10)).await;
                assert_eq!(servers.placeable().len(), 2, "life {life}");
            }
        }
    }
}
