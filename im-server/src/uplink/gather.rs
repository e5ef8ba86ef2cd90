//! Submits of many connections in few requests: while requests are in flight, later submits
//! gather and leave together. No timer: a lone submit leaves at once.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use im_common::code::Code;
use im_common::message::{Identity, Receipt, Submission};
use im_common::tasks::Tasks;
use im_common::transport::Refusal;
use im_common::wire::{self, outcome};
use parking_lot::Mutex;
use prost::Message;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::routes::{ALL_WITHIN, Routes};

/// Keeps several routes busy; more would only make the batches smaller.
const REQUESTS_IN_FLIGHT_MAX: usize = 4;
/// Offers in one request: what a store takes in one go.
const REQUEST_OFFERS_MAX: usize = 512;
/// Bytes in one request; the offers of one connection always fit.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// What may wait in an outage, before senders are told to slow down.
pub(super) const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

type Outcome = Result<Receipt, Refusal>;

/// The submits that wait for a request.
pub(super) struct Gather {
    routes: Arc<Routes>,
    tasks: Tasks,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    groups: VecDeque<Group>,
    bytes: usize,
    in_flight: usize,
}

/// What one connection offers: stays together and in order.
struct Group {
    offers: Vec<wire::Offer>,
    bytes: usize,
    deadline: Instant,
    answer: oneshot::Sender<Vec<Outcome>>,
}

impl Gather {
    pub(super) fn new(routes: Arc<Routes>, tasks: Tasks) -> Self {
        Self {
            routes,
            tasks,
            queue: Mutex::default(),
        }
    }

    pub(super) async fn submit(
        self: &Arc<Self>,
        offers: Vec<(Identity, Submission)>,
    ) -> Vec<Outcome> {
        let count = offers.len();
        if count == 0 {
            return Vec::new();
        }
        let offers: Vec<_> = offers.into_iter().map(to_offer).collect();
        let (answer, outcomes) = oneshot::channel();
        let group = Group {
            bytes: offers.iter().map(Message::encoded_len).sum(),
            offers,
            deadline: Instant::now() + ALL_WITHIN,
            answer,
        };
        if !self.enqueue(group) {
            return vec![Err(Code::OVERLOADED.into()); count];
        }
        let unknown = || vec![Err(Code::UNAVAILABLE.into()); count];
        outcomes.await.unwrap_or_else(|_| unknown())
    }

    /// Queues a group and sees to it that somebody sends it; returns whether there was room.
    fn enqueue(self: &Arc<Self>, group: Group) -> bool {
        let mut queue = self.queue.lock();
        if queue.bytes + group.bytes > WAITING_BYTES_MAX && !queue.groups.is_empty() {
            return false;
        }
        queue.bytes += group.bytes;
        queue.groups.push_back(group);
        if queue.in_flight < REQUESTS_IN_FLIGHT_MAX {
            queue.in_flight += 1;
            let gather = Arc::clone(self);
            self.tasks
                .spawn("submits", async move { gather.send().await });
        }
        true
    }

    /// How many groups wait for a request.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.queue.lock().groups.len()
    }

    /// Sends requests until nothing waits.
    async fn send(&self) {
        while let Some(groups) = self.next() {
            let outcomes = self.request(&groups).await;
            let mut outcomes = outcomes.into_iter();
            for group in groups {
                let count = group.offers.len();
                // A connection that is gone does not want its answers.
                let _ = group.answer.send(outcomes.by_ref().take(count).collect());
            }
        }
    }

    /// Takes what fits one request; when nothing waits, gives up the place in flight in the same
    /// step, so that no group is left behind.
    fn next(&self) -> Option<Vec<Group>> {
        let mut queue = self.queue.lock();
        let (mut offers, mut bytes) = (0, 0);
        let mut groups = Vec::new();
        let now = Instant::now();
        while let Some(group) = queue.groups.front() {
            offers += group.offers.len();
            bytes += group.bytes;
            let is_full = offers > REQUEST_OFFERS_MAX || bytes > REQUEST_BYTES_MAX;
            if is_full && !groups.is_empty() {
                break;
            }
            let Some(group) = queue.groups.pop_front() else {
                break;
            };
            queue.bytes -= group.bytes;
            if group.deadline > now {
                groups.push(group);
            }
            // One that waited too long is dropped, and its connection told so by the drop.
        }
        if groups.is_empty() {
            queue.in_flight -= 1;
            return None;
        }
        Some(groups)
    }

    async fn request(&self, groups: &[Group]) -> Vec<Outcome> {
        let offers: Vec<_> = groups
            .iter()
            .flat_map(|group| group.offers.iter().cloned())
            .collect();
        let request = wire::SubmitRequest { offers };
        let count = request.offers.len();
        match self.routes.call("submit", &request).await {
            Ok(wire::SubmitResponse { outcomes }) if outcomes.len() == count => outcomes
                .into_iter()
                .zip(&request.offers)
                .map(|(outcome, offer)| to_outcome(outcome, offer))
                .collect(),
            Ok(wire::SubmitResponse { outcomes }) => {
                tracing::error!(
                    offers = count,
                    outcomes = outcomes.len(),
                    "a route miscounts"
                );
                vec![Err(Code::UNAVAILABLE.into()); count]
            }
            Err(refusal) => vec![Err(refusal); count],
        }
    }
}

impl fmt::Debug for Gather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.queue.lock();
        f.debug_struct("Gather")
            .field("waiting", &queue.groups.len())
            .field("in_flight", &queue.in_flight)
            .finish_non_exhaustive()
    }
}

fn to_offer((sender, submission): (Identity, Submission)) -> wire::Offer {
    wire::Offer {
        sender: Some(sender.into()),
        submit: Some(wire::Submit::new(submission, 0)),
    }
}

/// An answer to another message than the one offered is none.
fn to_outcome(outcome: wire::Outcome, offer: &wire::Offer) -> Outcome {
    let offered = offer.submit.as_ref().map(|submit| &submit.id);
    match outcome.outcome {
        Some(outcome::Outcome::Accepted(accepted)) if Some(&accepted.id) == offered => {
            accepted.try_into().map_err(|_| Code::UNAVAILABLE.into())
        }
        Some(outcome::Outcome::Refused(refused)) => {
            Err(Refusal::new(refused.code.into(), refused.reason))
        }
        _ => Err(Code::UNAVAILABLE.into()),
    }
}
