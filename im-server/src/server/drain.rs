//! The order in which a server stops.

use std::sync::Arc;
use std::time::Duration;

use im_common::code::Code;
use im_common::frame::encode;
use im_common::tasks::Tasks;
use im_common::wire;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::Running;
use crate::closing::CLOSE_WITHIN;
use crate::connections::{Connections, Handle};

/// Without another server there is nothing to wait for.
const DRAIN_WITHOUT_CANDIDATES: Duration = Duration::from_millis(500);
/// Detaches and acks that do not get through by then are left to leases and repetition.
const LAST_CALLS_WITHIN: Duration = Duration::from_secs(3);
/// Servers named to one client: one to go to and some to fall back on.
const CANDIDATES_MAX: usize = 4;
/// After all clients are closed, nothing is left that takes longer.
const TASKS_END_WITHIN: Duration = Duration::from_secs(5);

impl Running {
    /// Moves the clients elsewhere and leaves nothing behind. The order matters: nobody is sent
    /// here once they are sent away, and what clients leave behind is handed over before the
    /// server is gone from the list.
    pub(super) async fn drain(self) -> anyhow::Result<()> {
        let connections = &self.context.connections;
        tracing::info!(connections = connections.count(), "draining");
        connections.start_draining();
        self.refresh.stop().await;
        self.announcement.announce().await;
        for entrance in self.entrances {
            entrance.stop().await;
        }

        let candidates = self.announcement.candidates();
        let deadline = Instant::now()
            + if candidates.is_empty() {
                DRAIN_WITHOUT_CANDIDATES.min(self.config.drain)
            } else {
                self.config.drain
            };
        if !candidates.is_empty() {
            send_away(connections, &candidates, deadline).await;
        }
        empty(connections, &self.client_tasks, deadline).await;

        self.lease.stop().await;
        finish_detaches(&self.context, self.leavers).await;
        self.announcement.withdraw().await;
        self.acks.stop().await;
        let uplink = &*self.context.uplink;
        let flushed = timeout(LAST_CALLS_WITHIN, self.context.acks.flush(uplink)).await;
        if flushed != Ok(true) {
            tracing::warn!("some acks are lost, their messages will be offered again");
        }
        self.http.stop().await;
        self.tasks.wait(TASKS_END_WITHIN).await?;
        tracing::info!("drained");
        Ok(())
    }
}

/// Tells each client where to go, spread over the first half of the time there is, so that the
/// others are not stormed.
async fn send_away(connections: &Connections, candidates: &[String], deadline: Instant) {
    let start = Instant::now();
    let spread = (deadline - start) / 2;
    let handles = connections.all();
    for (index, handle) in handles.iter().enumerate() {
        let share = index as f64 / handles.len() as f64;
        let due = start + spread.mul_f64(share);
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        go_away(handle, candidates, index, deadline);
    }
}

/// Each client is named another candidate first.
fn go_away(handle: &Arc<Handle>, candidates: &[String], turn: usize, deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    let others = candidates.iter().cycle().skip(turn % candidates.len());
    let go_away = wire::GoAway {
        retry_after_ms: 0,
        candidates: others
            .take(candidates.len().min(CANDIDATES_MAX))
            .cloned()
            .collect(),
        deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX),
    };
    handle
        .outbound
        .notice(encode(&wire::ServerFrame::from(go_away)));
}

/// Waits until all clients are gone, and closes those that stay past the deadline.
async fn empty(connections: &Connections, tasks: &Tasks, deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    if tasks.wait(left).await.is_ok() {
        return;
    }
    tracing::info!(connections = connections.count(), "closing what remains");
    for handle in connections.all() {
        handle.outbound.close(Code::GOING_AWAY);
    }
    if let Err(error) = tasks.wait(CLOSE_WITHIN * 2).await {
        tracing::warn!(%error, "some connections do not end");
    }
}

async fn finish_detaches(context: &crate::connection::Context, leavers: JoinHandle<()>) {
    context.detaches.finish();
    if timeout(LAST_CALLS_WITHIN, leavers).await.is_err() {
        tracing::warn!("some sessions are left to their leases");
    }
}
