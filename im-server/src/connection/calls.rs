//! Calls to a route that a connection has in flight: a handful, in no order.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use im_common::backoff::{Backoff, random_fraction};
use im_common::code::Code;
use im_common::frame::{FRAME_BYTES_MAX, encode};
use im_common::id::UserId;
use im_common::message::{Identity, Receipt, Session, Submission};
use im_common::transport::{Heads, Refusal, SyncRequest};
use im_common::wire::{self, ServerFrame};
use prost::Message;

use super::Context;

/// How soon to ask again where the logs are, growing up to the longest.
pub(crate) const LOOK_AGAIN: Backoff =
    Backoff::new(Duration::from_millis(500), Duration::from_secs(5));

/// What came back from a route.
pub(super) enum Answer {
    /// To the batch of submits.
    Submitted(Vec<Result<Receipt, Refusal>>),
    /// To one sync: the page, encoded.
    Page(Bytes),
    /// Where the logs are, after deliveries were dropped.
    Heads(Result<Heads, Code>),
}

/// Calls in flight. Costs no heap before the first; the connection bounds how many there are.
#[derive(Default)]
pub(super) struct Calls(Vec<BoxFuture<'static, Answer>>);

impl Calls {
    /// Offers a batch of submits.
    pub(super) fn submit(
        &mut self,
        context: &Arc<Context>,
        sender: &Identity,
        batch: Vec<Submission>,
    ) {
        let offer = |submission| (sender.clone(), submission);
        let offers: Vec<_> = batch.into_iter().map(offer).collect();
        let context = Arc::clone(context);
        self.start(async move { Answer::Submitted(context.uplink.submit(offers).await) });
    }

    /// Asks for a page.
    pub(super) fn sync(&mut self, context: &Arc<Context>, user: UserId, request: SyncRequest) {
        let context = Arc::clone(context);
        self.start(async move {
            let conversation = request.conversation.to_string();
            let page = match context.uplink.sync(user, request).await {
                Ok(page) => wire::Page::from(page),
                Err(refusal) => wire::Page::refused(conversation, refusal.code),
            };
            Answer::Page(encode_page(page))
        });
    }

    /// Asks where the logs are, after a pause, until a route answers.
    pub(super) fn look(&mut self, context: &Arc<Context>, session: &Session, pause: Duration) {
        let context = Arc::clone(context);
        let session = session.clone();
        self.start(async move {
            let mut backoff = LOOK_AGAIN;
            tokio::time::sleep(pause).await;
            loop {
                let handled = context.acks.pending(session.user, &session.device);
                let heads = context.uplink.heads(session.user, &session.device, handled);
                match heads.await {
                    Ok(heads) => return Answer::Heads(Ok(heads)),
                    Err(refusal) if refusal.code.is_retryable() => {
                        tokio::time::sleep(backoff.next(random_fraction())).await;
                    }
                    Err(refusal) => return Answer::Heads(Err(refusal.code)),
                }
            }
        });
    }

    fn start(&mut self, call: impl Future<Output = Answer> + Send + 'static) {
        self.0.push(call.boxed());
    }

    /// Resolves with the next answer; never while nothing is in flight. Cancel-safe.
    pub(super) async fn next(&mut self) -> Answer {
        poll_fn(|context| {
            for index in 0..self.0.len() {
                if let Poll::Ready(answer) = self.0[index].poll_unpin(context) {
                    drop(self.0.swap_remove(index));
                    return Poll::Ready(answer);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Encodes a page; one that no client could read is answered by a code.
fn encode_page(page: wire::Page) -> Bytes {
    let conversation = page.conversation.clone();
    let frame = ServerFrame::from(page);
    if frame.encoded_len() <= FRAME_BYTES_MAX {
        return encode(&frame);
    }
    tracing::error!(
        conversation.id = conversation,
        "a page does not fit a frame"
    );
    encode(&ServerFrame::from(wire::Page::refused(
        conversation,
        Code::INTERNAL,
    )))
}
