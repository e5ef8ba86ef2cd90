//! Knows when a message has reached every server that must have it, and says so to the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use im_common::backend::messages::MessageStore;
use im_common::message::{Position, StoredMessage};
use im_common::planted::{Bug, is_planted};
use im_common::tasks::Tasks;
use tokio::sync::mpsc;

/// Settlements waiting for the store. One that finds no room is repeated by the sweeper's claim.
pub(super) const QUEUE_MAX: usize = 16 * 1024;
/// Settled in one call.
const BATCH_MAX: usize = 1024;

/// Settles finished errands in batches.
pub(super) struct Settler {
    finished: mpsc::Sender<Position>,
}

impl Settler {
    pub(super) fn start(messages: Arc<dyn MessageStore>, tasks: &Tasks) -> Self {
        let (finished, waiting) = mpsc::channel(QUEUE_MAX);
        let token = tasks.token();
        tasks.spawn("settle", async move {
            token.run_until_cancelled(settle(messages, waiting)).await;
        });
        Self { finished }
    }

    /// Begins an errand: it is finished when the last clone is dropped, unless one has failed.
    pub(super) fn errand(&self, message: &StoredMessage) -> Arc<Errand> {
        Arc::new(Errand {
            message: Some(Position {
                conversation: message.conversation.clone(),
                epoch: message.epoch,
                sequence: message.sequence,
            }),
            failed: AtomicBool::new(false),
            finished: self.finished.clone(),
        })
    }
}

async fn settle(messages: Arc<dyn MessageStore>, mut waiting: mpsc::Receiver<Position>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while waiting.recv_many(&mut batch, BATCH_MAX).await > 0 {
        if let Err(error) = messages.settle(&batch).await {
            tracing::warn!(%error, messages = batch.len(), "not settled, readers will see duplicates and drop them");
        }
        batch.clear();
    }
}

/// One message's way to all its servers; shared by the parcels that carry it.
pub(super) struct Errand {
    message: Option<Position>,
    failed: AtomicBool,
    finished: mpsc::Sender<Position>,
}

impl Errand {
    /// Some server did not take the message: it stays unsettled.
    pub(super) fn fail(&self) {
        self.failed
            .store(!is_planted(Bug::SettleFailed), Ordering::Relaxed);
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        if let (false, Some(message)) = (*self.failed.get_mut(), self.message.take()) {
            // Full or stopping: the message stays unsettled, which only costs a repetition.
            self.finished.try_send(message).ok();
        }
    }
}
