//! Sends that are not answered yet.

use std::future::pending;
use std::time::Duration;

use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use futures::stream::FuturesUnordered;
use im_common::id::MessageId;
use im_common::message::{Receipt, Recipient};
use rust_i18n::t;
use tokio::time::{Instant, sleep_until};

use super::delayed::Delayed;
use super::render::excerpt;
use crate::{SendError, Sending};

/// Twice what a server takes at once: the next ones are ready when it answers, and a person never
/// gets there.
const WAITING_MAX: usize = 64;
/// Longer than an answer takes from the other side of the world. A line that is sent leaves the
/// prompt, so its writer should not wait longer for a sign of it.
const LATE_AFTER: Duration = Duration::from_secs(1);

/// What became of the sends.
pub(super) enum News {
    /// One has ended.
    Answered(Box<Answered>),
    /// Answers have been missing for a while; said once.
    Late,
}

/// A text on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    /// Whom it is for.
    pub(super) to: Recipient,
    /// What it says.
    pub(super) text: String,
    /// Set if it is one of those that were to be sent later.
    pub(super) delayed: Option<Delayed>,
    /// Which one, for its writer.
    what: String,
}

impl Sent {
    /// A text for somebody.
    pub(super) fn new(to: &Recipient, text: String) -> Self {
        let what = t!("chat.what", text = excerpt(&text), to = to).into_owned();
        Self {
            to: to.clone(),
            text,
            delayed: None,
            what,
        }
    }

    /// One of those that were to be sent later.
    pub(super) fn delayed(self, delayed: Delayed) -> Self {
        Self {
            delayed: Some(delayed),
            ..self
        }
    }

    /// Which one it is, for its writer.
    pub(super) fn what(&self) -> &str {
        &self.what
    }
}

/// How a send ended.
pub(super) struct Answered {
    /// Which one.
    pub(super) sent: Sent,
    /// How.
    pub(super) result: Result<Receipt, SendError>,
    id: MessageId,
}

/// The sends of one chat.
#[derive(Default)]
pub(super) struct Outgoing {
    answers: FuturesUnordered<BoxFuture<'static, Answered>>,
    /// In the order of sending, for telling what is missing.
    waiting: Vec<(MessageId, String)>,
    /// When to say that the oldest takes long.
    late_at: Option<Instant>,
    is_late: bool,
}

impl Outgoing {
    /// Whether another one may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX
    }

    /// How many wait for an answer.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// What waits for an answer, oldest first.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = &str> {
        self.waiting.iter().map(|(_, what)| what.as_str())
    }

    /// Follows a send.
    pub(super) fn add(&mut self, sending: Sending, sent: Sent) {
        let id = sending.id();
        if self.waiting.is_empty() {
            self.late_at = Some(Instant::now() + LATE_AFTER);
        }
        self.waiting.push((id, sent.what.clone()));
        let answer = sending.map(move |result| Answered { sent, result, id });
        self.answers.push(answer.boxed());
    }

    /// Resolves at the next news; never when nothing is under way. Cancel-safe.
    pub(super) async fn next(&mut self) -> News {
        let Some(late_at) = self.late_at else {
            return self.answer().await;
        };
        tokio::select! {
            biased;
            answered = self.answer() => return answered,
            () = sleep_until(late_at) => {}
        }
        self.late_at = None;
        self.is_late = true;
        News::Late
    }

    async fn answer(&mut self) -> News {
        let Some(answered) = self.answers.next().await else {
            return pending().await;
        };
        self.waiting.retain(|(id, _)| *id != answered.id);
        if self.waiting.is_empty() {
            self.late_at = None;
        }
        News::Answered(Box::new(answered))
    }

    /// Whether everything is answered after it was said that it takes long. True once.
    pub(super) fn has_caught_up(&mut self) -> bool {
        self.waiting.is_empty() && std::mem::take(&mut self.is_late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(
        outcome: impl Future<Output = Result<Receipt, SendError>> + Send + Sync + 'static,
    ) -> Sending {
        Sending::new(MessageId::fresh(), outcome)
    }

    fn sent(text: &str) -> Sent {
        Sent::new(&Recipient::Lobby, text.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_answer_is_noticed_once() {
        let mut outgoing = Outgoing::default();
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        let outcome = async {
            answered
                .await
                .map_or(Err(SendError::Unknown), |()| Err(SendError::Closed))
        };
        outgoing.add(sending(outcome), sent("first"));
        outgoing.add(sending(pending()), sent("second"));
        let begun = Instant::now();
        assert!(matches!(outgoing.next().await, News::Late));
        assert_eq!(begun.elapsed(), LATE_AFTER);
        assert!(outgoing.next().now_or_never().is_none());
        answer.send(()).unwrap();
        let News::Answered(first) = outgoing.next().await else {
            panic!("late twice");
        };
        assert_eq!(first.sent.what(), "\"first\" to lobby");
        assert_eq!(
            outgoing.unanswered().collect::<Vec<_>>(),
            ["\"second\" to lobby"]
        );
        assert!(!outgoing.has_caught_up());
    }

    #[tokio::test]
    async fn the_number_of_sends_under_way_is_bounded() {
        let mut outgoing = Outgoing::default();
        while outgoing.has_room() {
            let refused = std::future::ready(Err(SendError::Unknown));
            outgoing.add(sending(refused), sent("x"));
        }
        assert_eq!(outgoing.len(), WAITING_MAX);
        outgoing.next().await;
        assert!(outgoing.has_room());
    }
}
