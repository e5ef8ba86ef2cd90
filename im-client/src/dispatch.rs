//! Calls the handler for everything that arrives: one call at a time, apart from the connection,
//! panics caught.

mod stalls;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};

use futures::FutureExt;
use im_common::planted::{Bug, is_planted};
use tokio::task::yield_now;

use crate::client::{Client, Handle};
use crate::error::{Error, ErrorKind};
use crate::events::Events;
use crate::handler::{Event, MessageHandler};
use crate::threads::run_apart;
use stalls::Stalls;

/// A handler that always has something to do lets others have its thread after so many calls.
const TURN_CALLS_MAX: u32 = 64;

tokio::task_local! {
    /// Whose handler is being called.
    static CALLER: Weak<Handle>;
}

/// Whether this is called from inside the handler of that very client, which then cannot wait for
/// the client to end.
pub(crate) fn is_inside_handler(handle: &Arc<Handle>) -> bool {
    CALLER
        .try_with(|caller| caller.as_ptr() == Arc::as_ptr(handle))
        .unwrap_or(false)
}

/// Runs a handler until the client closes; a call that is under way is finished.
pub(crate) async fn run(handler: Arc<dyn MessageHandler>, client: Weak<Handle>, events: Events) {
    let stalls = Arc::new(Stalls::default());
    let dispatch = Dispatch {
        handler,
        client,
        stalls: Arc::clone(&stalls),
    };
    tokio::select! {
        () = run_apart(dispatch.clone().call_for_each(events)) => {}
        () = dispatch.tell_stalls(&stalls) => {}
    }
}

#[derive(Clone)]
struct Dispatch {
    handler: Arc<dyn MessageHandler>,
    /// Weak, so that a client nobody holds any more ends instead of keeping itself alive.
    client: Weak<Handle>,
    stalls: Arc<Stalls>,
}

impl Dispatch {
    async fn call_for_each(self, mut events: Events) {
        let mut calls: u32 = 0;
        while let Some(event) = events.next().await {
            let Some(client) = Client::upgrade(&self.client) else {
                return;
            };
            if is_planted(Bug::AckBeforeHandling) {
                events.handled();
            }
            self.stalls.begin();
            self.call(&client, event).await;
            self.stalls.end();
            calls = calls.wrapping_add(1);
            if calls.is_multiple_of(TURN_CALLS_MAX) {
                yield_now().await;
            }
        }
    }

    async fn call(&self, client: &Client, event: Event) {
        let handler = &self.handler;
        let called = match event {
            Event::Message(message) => self.caught(handler.on_message(client, message)).await,
            Event::Error(error) => self.caught(handler.on_error(error)).await,
            event => self.caught(handler.on_event(event)).await,
        };
        let Err(panic) = called else { return };
        let what = format!("the handler panicked: {}", said(&*panic));
        tracing::warn!("{what}");
        let error = Error::new(ErrorKind::HandlerPanicked, what);
        if self.caught(handler.on_error(error)).await.is_err() {
            tracing::warn!("the handler panicked in on_error");
        }
    }

    /// Never resolves. The handler is busy, so this one call comes while another is under way.
    async fn tell_stalls(&self, stalls: &Stalls) {
        loop {
            stalls.next().await;
            tracing::warn!(
                after = ?stalls::BEHIND_AFTER,
                "the handler has not returned, messages wait in the cluster"
            );
            let this = self.clone();
            run_apart(async move {
                let telling = this.handler.on_event(Event::HandlerBehind);
                if this.caught(telling).await.is_err() {
                    tracing::warn!("the handler panicked in on_event");
                }
            })
            .await;
        }
    }

    async fn caught(&self, call: impl Future<Output = ()>) -> Result<(), Box<dyn Any + Send>> {
        let call = CALLER.scope(self.client.clone(), call);
        AssertUnwindSafe(call).catch_unwind().await
    }
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a word")
}
