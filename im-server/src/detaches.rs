//! Tells a route about devices that have left, behind the back of their connections.
//!
//! Best effort: a session whose detach is lost ends with its lease.

use std::sync::Arc;

use futures::StreamExt;
use im_common::message::Session;
use im_common::transport::Uplink;
use parking_lot::Mutex;
use tokio::sync::mpsc;

/// A whole full server may leave at once; beyond that leases do the work.
const WAITING_MAX: usize = 65_536;
/// Enough to detach thousands of devices a second without crowding out messages.
const IN_FLIGHT_MAX: usize = 16;

/// The queue of sessions that have ended.
pub(crate) struct Detaches {
    sender: Mutex<Option<mpsc::Sender<Session>>>,
}

/// The other end of the queue.
pub(crate) struct Leavers(mpsc::Receiver<Session>);

impl Detaches {
    pub(crate) fn new() -> (Self, Leavers) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let detaches = Self {
            sender: Mutex::new(Some(sender)),
        };
        (detaches, Leavers(receiver))
    }

    /// Queues a session; drops it when the queue is full or finished.
    pub(crate) fn add(&self, session: Session) {
        if let Some(sender) = &*self.sender.lock()
            && sender.try_send(session).is_err()
        {
            tracing::debug!("too many detaches at once, one is left to its lease");
        }
    }

    /// Takes no more; [`Leavers::run`] ends when it has handed over what is queued.
    pub(crate) fn finish(&self) {
        self.sender.lock().take();
    }
}

impl Leavers {
    /// Hands over sessions until the queue is finished.
    pub(crate) async fn run(mut self, uplink: Arc<dyn Uplink>) {
        futures::stream::poll_fn(move |context| self.0.poll_recv(context))
            .for_each_concurrent(IN_FLIGHT_MAX, |session| {
                let uplink = &uplink;
                async move {
                    if let Err(refusal) = uplink.detach(&session).await {
                        let code = refusal.code.name();
                        tracing::debug!(code, "detach failed, left to the lease");
                    }
                }
            })
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::Connections;
    use crate::fixture::{epoch, identity};

    #[test]
    fn one_too_many_is_left_to_its_lease() {
        let arrival = Connections::new(1).attach(identity("alice"), epoch(1, 1));
        let session = arrival.unwrap().session.clone();
        let (detaches, leavers) = Detaches::new();
        for _ in 0..=WAITING_MAX {
            detaches.add(session.clone());
        }
        assert_eq!(leavers.0.len(), WAITING_MAX);
    }
}
