//! Keeps the sessions of all attached devices alive, and heals those that a store has lost.
//!
//! A batch of sessions is renewed at a time, round and round. A store that has lost one session has
//! probably lost more: then all are renewed at once, without waiting for their turn.
//!
//! A device that leaves while its renewal is on the way may be detached before the store hears of the
//! renewal, which then brings the session back. So whoever has left by the answer is detached again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use im_common::code::Code;
use im_common::message::Session;
use im_common::transport::Renewal;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::connection::Context;
use crate::connections::Connections;

/// Sessions in one request: one round trip of the store, a few tens of kilobytes.
const BATCH_MAX: usize = 500;
/// A round over all sessions takes no longer than this many times `every`: with the default of 4 s
/// a third of a lease, so that two rounds may fail.
const ROUND_TURNS: u32 = 5;

/// Renews a batch of sessions each `every` until told to stop; more often when there are so many
/// sessions that a round would take more than [`ROUND_TURNS`] times that.
pub(crate) async fn keep(context: Arc<Context>, every: Duration, stop: CancellationToken) {
    let rounds = Rounds {
        context,
        every,
        waiting: VecDeque::new(),
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = rounds.run() => {}
    }
}

/// What a renewal found out about the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It knew every session, or a newer one.
    Whole,
    /// It had lost some, which are back now.
    Lossy,
    /// Nothing: there was no answer.
    Nothing,
}

struct Rounds {
    context: Arc<Context>,
    every: Duration,
    /// What is left of this round.
    waiting: VecDeque<Session>,
}

impl Rounds {
    async fn run(mut self) {
        let mut turn = Instant::now();
        loop {
            turn += self.pace();
            sleep_until(turn).await;
            if self.waiting.is_empty() {
                self.begin_round();
            }
            if self.renew_next().await == Found::Lossy {
                self.renew_all().await;
            }
            // A slow answer puts off the turns that follow, lest they come all at once.
            turn = turn.max(Instant::now() - self.every);
        }
    }

    fn pace(&self) -> Duration {
        let batches = self.context.connections.count().div_ceil(BATCH_MAX).max(1);
        let round = self.every * ROUND_TURNS;
        self.every
            .min(round / u32::try_from(batches).unwrap_or(u32::MAX))
    }

    fn begin_round(&mut self) {
        let all = self.context.connections.all();
        self.waiting = all.iter().map(|handle| handle.session.clone()).collect();
    }

    /// What the store has lost is put back at once. Without an answer the rest waits for its turn.
    async fn renew_all(&mut self) {
        self.begin_round();
        while !self.waiting.is_empty() {
            if self.renew_next().await == Found::Nothing {
                return;
            }
        }
    }

    async fn renew_next(&mut self) -> Found {
        let batch: Vec<Session> = self
            .waiting
            .drain(..BATCH_MAX.min(self.waiting.len()))
            .collect();
        let found = renew(&self.context, &batch).await;
        if found == Found::Nothing {
            batch
                .into_iter()
                .rev()
                .for_each(|session| self.waiting.push_front(session));
        }
        found
    }
}

/// Renews those that are still attached: renewing a session that has left would bring it back.
async fn renew(context: &Context, sessions: &[Session]) -> Found {
    let connections = &context.connections;
    let attached = |session: &&Session| {
        connections
            .find(session)
            .is_some_and(|handle| handle.is_confirmed())
    };
    let batch: Vec<Session> = sessions.iter().filter(attached).cloned().collect();
    if batch.is_empty() {
        return Found::Whole;
    }
    let outcome = context.uplink.renew(batch.clone()).await;
    // Also after a failure: the store may have heard of the renewal all the same.
    detach_those_who_left(context, &batch);
    match outcome {
        Ok(renewal) => act(connections, &batch, &renewal),
        Err(refusal) => {
            tracing::warn!(
                code = refusal.code.name(),
                "sessions not renewed, trying again"
            );
            Found::Nothing
        }
    }
}

fn detach_those_who_left(context: &Context, batch: &[Session]) {
    let left = |session: &&Session| context.connections.find(session).is_none();
    for session in batch.iter().filter(left) {
        context.detaches.add(session.clone());
    }
}

fn act(connections: &Connections, batch: &[Session], renewal: &Renewal) -> Found {
    for session in batch {
        let Some(handle) = connections.find(session) else {
            continue;
        };
        if renewal.superseded.contains(&session.connection) {
            handle.outbound.close(Code::DISPLACED);
        } else if renewal.restored.contains(&session.connection) {
            // Pushes passed it by while the store did not know it.
            handle.outbound.fall_behind();
        }
    }
    if renewal.restored.is_empty() {
        return Found::Whole;
    }
    let restored = renewal.restored.len();
    tracing::warn!(restored, "the store had lost sessions, they are back");
    Found::Lossy
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::Attachment;
    use crate::fixture::{Bench, Call, epoch, identity, user_of};
    use im_common::wire::server_frame::Frame;
    use std::collections::HashSet;

    /// Sooner than the first ping.
    const EVERY: Duration = Duration::from_secs(4);

    fn start(bench: &Bench) {
        let (context, stop) = (Arc::clone(&bench.context), bench.tasks.token());
        bench.tasks.spawn("lease", keep(context, EVERY, stop));
    }

    /// Fills the table without sockets.
    fn crowd(bench: &Bench, count: usize) -> Vec<Attachment> {
        let attach = |number: usize| {
            let mut identity = identity("somebody");
            identity.user = im_common::id::UserId::new(number as u64 + 1).unwrap();
            let attachment = bench.context.connections.attach(identity, epoch(1, 1));
            let attachment = attachment.unwrap();
            attachment.confirm();
            attachment
        };
        (0..count).map(attach).collect()
    }

    async fn renewal(bench: &mut Bench) -> (Vec<Session>, tokio::sync::oneshot::Sender<Renewal>) {
        match bench.call().await {
            Call::Renew(sessions, answer) => (sessions, answer),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn renewals_heal_and_displace() {
        let mut bench = Bench::new();
        let mut alice = bench.attach("alice", 1).await;
        let mut bob = bench.attach("bob", 1).await;
        let begun = Instant::now();
        start(&bench);
        let (sessions, answer) = renewal(&mut bench).await;
        assert_eq!(begun.elapsed(), EVERY);
        assert_eq!(sessions.len(), 2);
        let of = |name| {
            let user = user_of(name);
            let session = sessions.iter().find(|session| session.user == user);
            vec![session.unwrap().connection]
        };
        let renewal = Renewal {
            restored: of("alice"),
            superseded: of("bob"),
        };
        answer.send(renewal).unwrap();
        assert!(matches!(alice.next().await, Frame::Heads(_)));
        assert_eq!(bob.closed().await, Code::DISPLACED);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_has_left_is_not_brought_back() {
        let mut bench = Bench::new();
        let alice = bench.attach("alice", 1).await;
        let sessions = vec![bench.context.connections.all()[0].session.clone()];
        drop(alice);
        assert!(matches!(bench.call().await, Call::Detach(_)));
        renew(&bench.context, &sessions).await;
        assert!(bench.calls.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_leaves_while_it_is_renewed_is_detached_again() {
        let mut bench = Bench::new();
        let alice = bench.attach("alice", 1).await;
        let _bob = bench.attach("bob", 1).await;
        start(&bench);
        let (sessions, answer) = renewal(&mut bench).await;
        assert_eq!(sessions.len(), 2);
        drop(alice);
        let Call::Detach(first) = bench.call().await else {
            panic!("no detach");
        };
        // The store hears of the renewal only now, and has the session back.
        answer.send(Renewal::default()).unwrap();
        let Call::Detach(again) = bench.call().await else {
            panic!("the session stays without its device");
        };
        assert_eq!((&again, again.user), (&first, user_of("alice")));
        // Nor is it renewed again, and nobody else is detached.
        let (sessions, _) = renewal(&mut bench).await;
        let users: Vec<_> = sessions.iter().map(|session| session.user).collect();
        assert_eq!(users, [user_of("bob")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_lost_one_session_is_given_all_at_once() {
        let mut bench = Bench::new();
        let crowd = crowd(&bench, 3 * BATCH_MAX + 1);
        start(&bench);
        let (sessions, answer) = renewal(&mut bench).await;
        let found = Instant::now();
        let lost = vec![sessions[0].connection];
        answer
            .send(Renewal {
                restored: lost,
                superseded: Vec::new(),
            })
            .unwrap();
        let mut renewed = HashSet::new();
        while renewed.len() < crowd.len() {
            let (sessions, answer) = renewal(&mut bench).await;
            assert!(sessions.len() <= BATCH_MAX);
            let restored = sessions.iter().map(|session| session.connection);
            renewed.extend(restored.clone());
            answer
                .send(Renewal {
                    restored: restored.collect(),
                    superseded: Vec::new(),
                })
                .unwrap();
        }
        assert_eq!(found.elapsed(), Duration::ZERO);
        // What was expected starts no second round.
        let (_, _) = renewal(&mut bench).await;
        assert!(found.elapsed() >= EVERY);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_server_renews_everybody_well_within_a_lease() {
        let mut bench = Bench::new();
        let crowd = crowd(&bench, 20 * BATCH_MAX);
        let begun = Instant::now();
        start(&bench);
        let mut renewed = HashSet::new();
        while renewed.len() < crowd.len() {
            let (sessions, answer) = renewal(&mut bench).await;
            assert!(sessions.len() <= BATCH_MAX);
            renewed.extend(sessions.into_iter().map(|session| session.connection));
            answer.send(Renewal::default()).unwrap();
        }
        assert_eq!(begun.elapsed(), EVERY * ROUND_TURNS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_without_an_answer_has_the_next_turn() {
        let mut bench = Bench::new();
        let _crowd = crowd(&bench, 2 * BATCH_MAX);
        *bench.uplink.refuses.lock() = Some(Code::UNAVAILABLE);
        start(&bench);
        let (first, _) = renewal(&mut bench).await;
        let refused = Instant::now();
        let (second, _) = renewal(&mut bench).await;
        assert_eq!(first, second);
        assert_eq!(refused.elapsed(), EVERY);
        *bench.uplink.refuses.lock() = None;
        let (third, answer) = renewal(&mut bench).await;
        assert_eq!(first, third);
        answer.send(Renewal::default()).unwrap();
        let (fourth, _) = renewal(&mut bench).await;
        assert_ne!(first, fourth);
    }
}
