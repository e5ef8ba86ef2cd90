//! An outbox that is full, and those who wait for room in it.

use std::sync::Arc;
use std::time::Duration;

use im_common::id::{MessageId, Sequence};
use im_common::message::{Recipient, Submission};
use im_common::wire;

use super::receipt;
use crate::outbox::{NewSend, SharedOutbox, deadline_after};
use crate::sending::{SendError, Sending};

fn start(outbox: &Arc<SharedOutbox>, text: &str) -> Sending {
    outbox.start(NewSend {
        submission: Submission {
            id: MessageId::fresh(),
            to: Recipient::Lobby,
            text: text.to_owned(),
        },
        deadline: deadline_after(Duration::from_secs(5)),
    })
}

/// Fills the outbox: no further send has room.
fn full() -> (Arc<SharedOutbox>, Vec<Sending>) {
    let outbox = Arc::new(SharedOutbox::new());
    let sendings = (0..10_000).map(|_| start(&outbox, "x")).collect();
    assert_eq!(outbox.offers(usize::MAX).len(), 10_000);
    (outbox, sendings)
}

fn texts(offers: Vec<wire::Submit>) -> Vec<String> {
    offers.into_iter().map(|offer| offer.text).collect()
}

#[tokio::test(start_paused = true)]
async fn flushing_waits_for_the_sends_before_it_only() {
    let outbox = Arc::new(SharedOutbox::new());
    let first = start(&outbox, "1");
    let flush = {
        let flush = outbox.flush();
        let mut flush = Box::pin(flush);
        assert!(futures::poll!(&mut flush).is_pending());
        let _later = start(&outbox, "2");
        flush
    };
    outbox.accepted(receipt(first.id()));
    flush.await;
    assert_eq!(first.await.unwrap().position.sequence, Sequence(1));
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_makes_further_sends_wait_for_room() {
    let (outbox, sendings) = full();
    let mut late = start(&outbox, "late");
    assert!(futures::poll!(&mut late).is_pending());
    assert_eq!(outbox.offers(usize::MAX), []);
    outbox.accepted(receipt(sendings[0].id()));
    assert!(futures::poll!(&mut late).is_pending());
    let offers = outbox.offers(usize::MAX);
    assert_eq!(texts(offers), ["late"], "there was room for one more");
    let behind = start(&outbox, "behind");
    outbox.close();
    assert_eq!(late.await, Err(SendError::Closed));
    assert_eq!(behind.await, Err(SendError::Closed));
    assert_eq!(start(&outbox, "after").await, Err(SendError::Closed));
}

/// Whoever is polled first, or never, and also if there is room just when a further one comes.
#[tokio::test(start_paused = true)]
async fn sends_that_wait_go_out_in_the_order_of_the_calls() {
    let (outbox, sendings) = full();
    let names: Vec<String> = (0..200).map(|number| number.to_string()).collect();
    let mut waiting: Vec<Sending> = names[..150]
        .iter()
        .map(|name| start(&outbox, name))
        .collect();
    for late in waiting[50..].iter_mut().rev() {
        assert!(futures::poll!(late).is_pending());
    }
    let mut offered = Vec::new();
    for (done, name) in sendings.iter().zip(&names[150..]) {
        outbox.accepted(receipt(done.id()));
        waiting.push(start(&outbox, name));
        offered.extend(texts(outbox.offers(usize::MAX)));
    }
    for done in &sendings[50..200] {
        outbox.accepted(receipt(done.id()));
    }
    offered.extend(texts(outbox.offers(usize::MAX)));
    assert_eq!(offered, names);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handle_leaves_the_line_and_only_the_line() {
    let (outbox, sendings) = full();
    let [goes_out, leaves, follows] = ["1", "2", "3"].map(|text| start(&outbox, text));
    drop(leaves);
    for done in &sendings[..2] {
        outbox.accepted(receipt(done.id()));
    }
    drop(goes_out);
    drop(follows);
    assert_eq!(texts(outbox.offers(usize::MAX)), ["1", "3"]);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_waits_too_long_for_room_ends() {
    let (outbox, sendings) = full();
    let late = start(&outbox, "late");
    tokio::time::advance(Duration::from_secs(1)).await;
    let later = start(&outbox, "later");
    let clock = async {
        tokio::select! { () = outbox.watch_deadlines() => {}, outcome = late => {
            assert_eq!(outcome, Err(SendError::Unknown));
        } }
    };
    clock.await;
    drop(sendings);
    assert_eq!(texts(outbox.offers(usize::MAX)), ["later"]);
    drop(later);
}
