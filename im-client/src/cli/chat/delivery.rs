//! Whether those whom this device wrote to have what was written.
//!
//! It is asked for while something is not delivered, less and less often, and never otherwise.
//! Somebody who is online has it at once, and then nothing is said.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use im_common::id::UserId;
use im_common::message::{Position, Recipient};
use tokio::time::{Instant, sleep_until};

use crate::{Client, Error};

/// Pauses between questions about one user: at first the time that a message takes.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// Soon enough to hear that somebody came back.
const PAUSE_LONGEST: Duration = Duration::from_secs(60);
/// Whoever has a message no later is not worth a line.
const PATIENCE: Duration = Duration::from_secs(3);
/// Users followed at once; nothing is said about others.
const PEERS_MAX: usize = 100;

/// What is worth a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeliveryNews {
    /// This user does not have it for a while already.
    Missing(UserId),
    /// This user, of whom that was said, has everything now.
    Delivered(UserId),
}

/// What is accepted and not known to be delivered.
#[derive(Default)]
pub(super) struct Delivery {
    peers: BTreeMap<UserId, Peer>,
    /// A question on its way.
    asking: Option<BoxFuture<'static, Answer>>,
}

type Answer = (UserId, Result<Option<Position>, Error>);

struct Peer {
    newest: Position,
    since: Instant,
    ask_at: Instant,
    pause: Duration,
    is_told: bool,
}

impl Delivery {
    /// Follows what was accepted at a position of the conversation with a user.
    pub(super) fn add(&mut self, peer: UserId, position: Position) {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&peer) {
            return;
        }
        let now = Instant::now();
        let fresh = Peer {
            newest: position.clone(),
            since: now,
            ask_at: now + PAUSE_FIRST,
            pause: PAUSE_FIRST,
            is_told: false,
        };
        self.peers.entry(peer).or_insert(fresh).newest = position;
    }

    /// Resolves at the next news; never while everything is delivered. Cancel-safe.
    pub(super) async fn next(&mut self, client: Option<&Client>) -> DeliveryNews {
        loop {
            if let Some(asking) = &mut self.asking {
                let (peer, answer) = asking.await;
                self.asking = None;
                if let Some(news) = self.answered(peer, answer.unwrap_or(None)) {
                    return news;
                }
                continue;
            }
            let next = self.peers.iter().min_by_key(|(_, peer)| peer.ask_at);
            let (Some((user, peer)), Some(client)) = (next, client) else {
                return std::future::pending().await;
            };
            sleep_until(peer.ask_at).await;
            let (user, client) = (*user, client.clone());
            self.asking = Some(Box::pin(async move {
                (user, client.delivered(&Recipient::User(user)).await)
            }));
        }
    }

    /// Takes note of how far a user is; a question that failed tells nothing.
    fn answered(&mut self, user: UserId, handled: Option<Position>) -> Option<DeliveryNews> {
        let peer = self.peers.get_mut(&user)?;
        if handled.is_some_and(|handled| handled.covers(&peer.newest)) {
            let is_told = peer.is_told;
            self.peers.remove(&user);
            return is_told.then_some(DeliveryNews::Delivered(user));
        }
        let now = Instant::now();
        peer.pause = (peer.pause * 2).min(PAUSE_LONGEST);
        peer.ask_at = now + peer.pause;
        if peer.is_told || now < peer.since + PATIENCE {
            return None;
        }
        peer.is_told = true;
        Some(DeliveryNews::Missing(user))
    }
}

#[cfg(test)]
mod tests {
    use im_common::id::{ConversationId, LogEpoch, Sequence};
    use tokio::time::advance;

    use super::*;

    fn user(id: u64) -> UserId {
        UserId::new(id).unwrap()
    }

    fn at(sequence: u64) -> Position {
        Position {
            conversation: ConversationId::private(user(1), user(2)),
            epoch: LogEpoch(7),
            sequence: Sequence(sequence),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_said_of_what_is_delivered_at_once() {
        let mut delivery = Delivery::default();
        delivery.add(user(2), at(1));
        delivery.add(user(2), at(2));
        assert_eq!(delivery.answered(user(2), Some(at(1))), None);
        assert_eq!(delivery.answered(user(2), Some(at(2))), None);
        assert!(delivery.peers.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_reader_is_told_once_and_so_is_the_return() {
        let mut delivery = Delivery::default();
        delivery.add(user(2), at(1));
        assert_eq!(delivery.answered(user(2), None), None);
        advance(PATIENCE).await;
        let missing = Some(DeliveryNews::Missing(user(2)));
        assert_eq!(delivery.answered(user(2), None), missing);
        assert_eq!(delivery.answered(user(2), None), None);
        for _ in 0..20 {
            delivery.answered(user(2), None);
        }
        assert_eq!(delivery.peers[&user(2)].pause, PAUSE_LONGEST);
        let delivered = Some(DeliveryNews::Delivered(user(2)));
        assert_eq!(delivery.answered(user(2), Some(at(1))), delivered);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_users_are_followed() {
        let mut delivery = Delivery::default();
        for id in 2..PEERS_MAX as u64 + 10 {
            delivery.add(user(id), at(1));
        }
        assert_eq!(delivery.peers.len(), PEERS_MAX);
    }
}
