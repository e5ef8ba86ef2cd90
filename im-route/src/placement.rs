//! Which server a client is sent to: pure choice among those that can take it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};

use im_common::backend::registry::ServerInfo;
use im_common::backoff::random_fraction;
use im_common::id::{ServerId, UserId};
use parking_lot::Mutex;

/// A client is given this many servers, so that one that has just died costs no second request.
const CANDIDATES_MAX: usize = 3;
/// A server takes at most this much more than its share before the next in line is preferred
/// (Mirrokni, Thorup, Zadimoghaddam: "Consistent Hashing with Bounded Loads", 2016).
const LOAD_FACTOR: f64 = 1.25;

/// How a server is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Strategy {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// Any, with the same chance.
    Random,
    /// The same for the same user as far as possible, none over 1.25 times its share.
    ConsistentHash,
    /// The one with the fewest connections.
    LeastConnections,
}

/// Chooses servers by one strategy.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    strategy: Strategy,
    turn: AtomicUsize,
    handed_out: Mutex<HashMap<ServerId, HandedOut>>,
}

/// Clients sent to a server since it last reported its connections.
#[derive(Debug, Default, Clone, Copy)]
struct HandedOut {
    reported: u64,
    since: u64,
}

impl Placement {
    pub(crate) fn new(strategy: Strategy) -> Self {
        Self {
            strategy,
            ..Self::default()
        }
    }

    /// Returns up to three servers for a user, the best first. `servers` are sorted by id, alive
    /// and not draining.
    pub(crate) fn choose(&self, user: UserId, servers: &[ServerInfo]) -> Vec<ServerInfo> {
        let order = match self.strategy {
            Strategy::RoundRobin => {
                rotated(servers.len(), self.turn.fetch_add(1, Ordering::Relaxed))
            }
            Strategy::Random => shuffled(servers.len(), random_fraction),
            Strategy::ConsistentHash => hashed(user, servers),
            Strategy::LeastConnections => self.emptiest_first(servers),
        };
        order
            .into_iter()
            .take(CANDIDATES_MAX)
            .map(|index| servers[index].clone())
            .collect()
    }

    /// Reports lag behind, so clients sent meanwhile count too: else a burst would all go to the
    /// server that reported the least.
    fn emptiest_first(&self, servers: &[ServerInfo]) -> Vec<usize> {
        let mut handed_out = self.handed_out.lock();
        handed_out.retain(|id, _| servers.iter().any(|server| server.id == *id));
        let loads: Vec<u64> = servers
            .iter()
            .map(|server| {
                let entry = handed_out.entry(server.id.clone()).or_default();
                if entry.reported != server.connections {
                    *entry = HandedOut {
                        reported: server.connections,
                        since: 0,
                    };
                }
                server.connections + entry.since
            })
            .collect();
        let mut order: Vec<usize> = (0..servers.len()).collect();
        order.sort_by_key(|&index| loads[index]);
        if let Some(entry) = order
            .first()
            .and_then(|&first| handed_out.get_mut(&servers[first].id))
        {
            entry.since += 1;
        }
        order
    }
}

fn rotated(count: usize, turn: usize) -> Vec<usize> {
    (0..count).map(|offset| (turn + offset) % count).collect()
}

fn shuffled(count: usize, mut random: impl FnMut() -> f64) -> Vec<usize> {
    let mut draws: Vec<(f64, usize)> = (0..count).map(|index| (random(), index)).collect();
    draws.sort_by(|one, other| one.0.total_cmp(&other.0));
    draws.into_iter().map(|(_, index)| index).collect()
}

/// Rendezvous hashing: each user ranks all servers; when one leaves only its users move.
fn hashed(user: UserId, servers: &[ServerInfo]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..servers.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(score(user, &servers[index].id)));
    let total: u64 = servers.iter().map(|server| server.connections).sum();
    let share = (total + 1) as f64 / servers.len().max(1) as f64;
    let limit = (share * LOAD_FACTOR).ceil() as u64;
    let (free, full): (Vec<_>, Vec<_>) = order
        .into_iter()
        .partition(|&index| servers[index].connections < limit);
    free.into_iter().chain(full).collect()
}

fn score(user: UserId, server: &ServerId) -> u64 {
    let mut hasher = DefaultHasher::new();
    (user, server).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::server_info;

    fn servers(connections: &[u64]) -> Vec<ServerInfo> {
        let server = |(index, &connections): (usize, &u64)| ServerInfo {
            connections,
            ..server_info(&format!("s{index}"))
        };
        connections.iter().enumerate().map(server).collect()
    }

    fn user(id: u64) -> UserId {
        UserId::new(id).unwrap()
    }

    fn counts(placement: &Placement, servers: &[ServerInfo], users: u64) -> HashMap<ServerId, u64> {
        let mut counts = HashMap::new();
        for id in 1..=users {
            *counts
                .entry(placement.choose(user(id), servers)[0].id.clone())
                .or_default() += 1;
        }
        counts
    }

    #[test]
    fn no_servers_no_choice() {
        for strategy in [
            Strategy::RoundRobin,
            Strategy::Random,
            Strategy::ConsistentHash,
            Strategy::LeastConnections,
        ] {
            assert!(Placement::new(strategy).choose(user(1), &[]).is_empty());
            let three = Placement::new(strategy).choose(user(1), &servers(&[1, 2, 3, 4, 5]));
            let distinct: std::collections::HashSet<_> = three.iter().map(|s| &s.id).collect();
            assert_eq!(distinct.len(), 3, "{strategy:?}");
        }
    }

    #[test]
    fn round_robin_gives_equal_shares() {
        let counts = counts(
            &Placement::new(Strategy::RoundRobin),
            &servers(&[0, 0, 0]),
            300,
        );
        assert!(counts.values().all(|&count| count == 100), "{counts:?}");
    }

    #[test]
    fn random_gives_everybody_something() {
        let counts = counts(
            &Placement::new(Strategy::Random),
            &servers(&[0, 0, 0]),
            3000,
        );
        assert!(
            counts.values().all(|&count| (700..1300).contains(&count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_emptiest_server_fills_up_first_also_between_reports() {
        let counts = counts(
            &Placement::new(Strategy::LeastConnections),
            &servers(&[30, 0, 0]),
            90,
        );
        assert_eq!(counts.values().sum::<u64>(), 90);
        let levels: Vec<u64> = servers(&[30, 0, 0])
            .iter()
            .map(|server| server.connections + counts.get(&server.id).copied().unwrap_or(0))
            .collect();
        assert_eq!(levels, [40, 40, 40]);
    }

    #[test]
    fn when_a_server_leaves_only_its_users_move() {
        let placement = Placement::new(Strategy::ConsistentHash);
        let before = servers(&[0, 0, 0, 0]);
        let after: Vec<_> = before[..3].to_vec();
        for id in 1..2000 {
            let old = placement.choose(user(id), &before)[0].id.clone();
            let new = placement.choose(user(id), &after)[0].id.clone();
            assert!(
                old == new || old == before[3].id,
                "user {id} moved from {old} to {new}"
            );
        }
    }

    #[test]
    fn hashing_passes_over_a_server_that_is_too_full() {
        let placement = Placement::new(Strategy::ConsistentHash);
        let uneven = servers(&[100, 10, 10]);
        assert!(!counts(&placement, &uneven, 500).contains_key(&uneven[0].id));
    }
}
