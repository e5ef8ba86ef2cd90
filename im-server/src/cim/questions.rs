//! What the reader wants to know, asked of a route beside the loop: one question at a time.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{self, BoxFuture};
use im_common::backoff::{Backoff, random_fraction};
use im_common::message::{Page, Session};
use im_common::transport::{Heads, Refusal, Uplink};
use tokio::time::sleep;

use super::reader::Question;
use crate::connection::LOOK_AGAIN;

/// What a route says.
pub(super) enum Answer {
    /// Where the logs are.
    Heads(Result<Heads, Refusal>),
    /// What follows in one of them.
    Page(Result<Page, Refusal>),
}

/// The question that is asked now, if any.
pub(super) struct Questions {
    asked: Option<BoxFuture<'static, Answer>>,
    look_again: Backoff,
}

impl Default for Questions {
    fn default() -> Self {
        Self {
            asked: None,
            look_again: LOOK_AGAIN,
        }
    }
}

impl Questions {
    /// Whether an answer is on its way.
    pub(super) const fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Asks; where the logs are only after a pause, which grows from one time to the next.
    pub(super) fn ask(&mut self, question: Question, session: &Session, uplink: &Arc<dyn Uplink>) {
        let (session, uplink) = (session.clone(), Arc::clone(uplink));
        self.asked = Some(match question {
            Question::Sync(request) => {
                async move { Answer::Page(uplink.sync(session.user, request).await) }.boxed()
            }
            Question::Heads(positions) => {
                let pause = self.look_again.next(random_fraction());
                let look = async move {
                    sleep(pause).await;
                    let heads = uplink.heads(session.user, &session.device, positions);
                    Answer::Heads(heads.await)
                };
                look.boxed()
            }
        });
    }

    /// The next question about where the logs are waits only a little.
    pub(super) fn calm(&mut self) {
        self.look_again.reset();
    }

    /// Resolves with the answer that is on its way; never when there is none. Cancel-safe.
    pub(super) async fn answer(&mut self) -> Answer {
        let Some(waiting) = &mut self.asked else {
            return future::pending().await;
        };
        let arrived = waiting.await;
        self.asked = None;
        arrived
    }
}
