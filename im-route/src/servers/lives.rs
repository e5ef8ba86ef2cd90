//! How often a server has come up anew at an address: one that keeps dying is trusted with clients
//! only once it has stayed up for a while. Pure, but for the clock.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// Lives that began within this count.
const WITHIN: Duration = Duration::from_secs(60);
/// So many lives are an operator at work; one more is a fault.
const FREE: usize = 3;
/// How long the first life beyond that must last before it gets clients; doubles with each further.
const TRUST_FIRST: Duration = Duration::from_secs(5);
/// The longest time without clients.
const TRUST_LONGEST: Duration = Duration::from_secs(60);
/// Beyond so many lives nothing becomes longer, so no more are remembered.
const REMEMBERED_MAX: usize = 8;

/// When the lives at each address began. Holds those of the last minute.
#[derive(Debug, Default)]
pub(super) struct Lives(HashMap<String, VecDeque<Instant>>);

impl Lives {
    /// Notes that a server has come up at an address; returns how long it gets no clients.
    pub(super) fn begin(&mut self, address: &str, now: Instant) -> Duration {
        self.0.retain(|_, lives| {
            lives.retain(|began| now.duration_since(*began) < WITHIN);
            !lives.is_empty()
        });
        let lives = self.0.entry(address.to_owned()).or_default();
        if lives.len() == REMEMBERED_MAX {
            lives.pop_front();
        }
        lives.push_back(now);
        let Some(doublings) = lives.len().checked_sub(FREE + 1) else {
            return Duration::ZERO;
        };
        let wait = TRUST_FIRST.saturating_mul(1 << doublings);
        let wait = wait.min(TRUST_LONGEST);
        tracing::warn!(
            address,
            lives = lives.len(),
            ?wait,
            "a server keeps coming up anew"
        );
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_life_within_a_minute_waits_and_each_further_one_longer() {
        let (mut lives, mut now) = (Lives::default(), Instant::now());
        let waits: Vec<u64> = (0..10)
            .map(|_| {
                now += Duration::from_secs(5);
                lives.begin("chat-1:8084", now).as_secs()
            })
            .collect();
        assert_eq!(waits, [0, 0, 0, 5, 10, 20, 40, 60, 60, 60]);
        assert_eq!(lives.begin("chat-2:8084", now), Duration::ZERO);
        now += WITHIN;
        assert_eq!(lives.begin("chat-1:8084", now), Duration::ZERO);
        assert_eq!(lives.0.len(), 1, "what is long ago is forgotten");
    }
}
