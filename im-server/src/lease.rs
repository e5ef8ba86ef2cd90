//! Keeps the sessions of all attached devices alive, and heals those that a store has lost.

use std::sync::Arc;
use std::time::Duration;

use im_common::code::Code;
use im_common::message::Session;
use im_common::transport::{Renewal, Uplink};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::connections::Connections;

/// Sessions in one request: one round trip of the store, a few tens of kilobytes.
const BATCH_MAX: usize = 500;

/// Renews every session once in `every`, evenly spread, until told to stop.
pub(crate) async fn keep(
    connections: Connections,
    uplink: Arc<dyn Uplink>,
    every: Duration,
    stop: CancellationToken,
) {
    let renewals = async {
        loop {
            round(&connections, &*uplink, every).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = renewals => {}
    }
}

async fn round(connections: &Connections, uplink: &dyn Uplink, every: Duration) {
    let start = Instant::now();
    let sessions: Vec<Session> = connections
        .all()
        .iter()
        .map(|handle| handle.session.clone())
        .collect();
    let batches = sessions.len().div_ceil(BATCH_MAX).max(1);
    for turn in 1..=batches {
        let share = u32::try_from(turn).unwrap_or(u32::MAX) as f64 / batches as f64;
        tokio::time::sleep_until(start + every.mul_f64(share)).await;
        let batch = sessions.chunks(BATCH_MAX).nth(turn - 1).unwrap_or_default();
        renew(connections, uplink, batch).await;
    }
}

/// Renews those that are still attached: renewing a session that has left would bring it back.
async fn renew(connections: &Connections, uplink: &dyn Uplink, sessions: &[Session]) {
    let attached = |session: &&Session| {
        connections
            .find(session)
            .is_some_and(|handle| handle.is_confirmed())
    };
    let batch: Vec<Session> = sessions.iter().filter(attached).cloned().collect();
    if batch.is_empty() {
        return;
    }
    match uplink.renew(batch.clone()).await {
        Ok(renewal) => act(connections, &batch, &renewal),
        Err(refusal) => {
            tracing::warn!(
                code = refusal.code.name(),
                "sessions not renewed, trying again"
            );
        }
    }
}

fn act(connections: &Connections, batch: &[Session], renewal: &Renewal) {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Bench, Call};
    use im_common::wire::server_frame::Frame;

    #[tokio::test(start_paused = true)]
    async fn renewals_heal_and_displace() {
        let mut bench = Bench::new();
        let mut alice = bench.attach("alice", 1).await;
        let mut bob = bench.attach("bob", 1).await;
        let start = Instant::now();
        // Sooner than the first ping.
        let every = Duration::from_secs(5);
        let (connections, uplink) = (bench.context.connections.clone(), bench.uplink.clone());
        let stop = bench.tasks.token();
        bench
            .tasks
            .spawn("lease", keep(connections, uplink, every, stop));
        let Call::Renew(sessions, answer) = bench.call().await else {
            panic!("no renewal");
        };
        assert_eq!(start.elapsed(), every);
        assert_eq!(sessions.len(), 2);
        let of = |name| {
            let user = crate::fixture::user_of(name);
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
        renew(&bench.context.connections, &*bench.uplink, &sessions).await;
        assert!(bench.calls.try_recv().is_err());
    }
}
