//! Logs that lost their end: what is offered again.

use std::time::Duration;

use im_common::id::{ConversationId, LogEpoch, MessageId, Sequence};
use im_common::message::Fork;
use tokio::time::Instant;

use super::{offered, pairs, receipt, sent};
use crate::outbox::{Forked, Outbox};

fn accepted_at(outbox: &mut Outbox, id: MessageId, epoch: u64, sequence: u64) {
    let mut receipt = receipt(id);
    receipt.position.epoch = LogEpoch(epoch);
    receipt.position.sequence = Sequence(sequence);
    outbox.accepted(receipt, Instant::now());
}

fn forked(epoch: u64, earlier: u64, good_to: u64) -> Forked {
    Forked {
        conversation: ConversationId::Lobby,
        epoch: LogEpoch(epoch),
        fork: Fork {
            epoch: LogEpoch(earlier),
            sequence: Sequence(good_to),
        },
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_log_lost_is_offered_again_before_what_came_later() {
    let mut outbox = Outbox::new();
    let mut outcomes = Vec::new();
    for (text, sequence) in [("1", 5), ("2", 6), ("3", 8)] {
        let (id, outcome) = sent(&mut outbox, text);
        offered(&mut outbox, 9);
        accepted_at(&mut outbox, id, 7, sequence);
        outcomes.push((id, outcome.await.unwrap().unwrap()));
    }
    let (_, mut waits) = sent(&mut outbox, "4");
    offered(&mut outbox, 9);
    let _ = sent(&mut outbox, "5");
    outbox.forked(&forked(8, 7, 5), Instant::now());
    let again = pairs([("2", 2), ("3", 2), ("4", 2), ("5", 2)]);
    assert_eq!(offered(&mut outbox, 9), again);
    assert!(waits.try_recv().is_err());
    assert!(outbox.oldest() < outbox.next_number(), "a flush waits");

    // "1" is now known to be in epoch 8, and lost when that is cut in its turn.
    accepted_at(&mut outbox, outcomes[1].0, 8, 6);
    accepted_at(&mut outbox, outcomes[2].0, 8, 7);
    outbox.forked(&forked(9, 8, 6), Instant::now());
    let again = pairs([("3", 3), ("4", 3), ("5", 3)]);
    assert_eq!(offered(&mut outbox, 9), again);
    outbox.forked(&forked(10, 9, 4), Instant::now());
    let again = pairs([("1", 4), ("2", 4), ("3", 4), ("4", 4), ("5", 4)]);
    assert_eq!(offered(&mut outbox, 9), again);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_lost_nothing_has_nothing_offered_again() {
    let mut outbox = Outbox::new();
    let (id, _) = sent(&mut outbox, "1");
    offered(&mut outbox, 9);
    accepted_at(&mut outbox, id, 7, 5);
    outbox.forked(&forked(8, 7, 5), Instant::now());
    let elsewhere = Forked {
        conversation: "private:1:2".parse().unwrap(),
        ..forked(9, 8, 0)
    };
    outbox.forked(&elsewhere, Instant::now());
    assert_eq!(offered(&mut outbox, 9), []);
}

#[tokio::test(start_paused = true)]
async fn an_epoch_that_came_and_went_is_taken_as_lost() {
    let mut outbox = Outbox::new();
    for (text, epoch) in [("1", 7), ("2", 8), ("3", 9)] {
        let (id, _) = sent(&mut outbox, text);
        offered(&mut outbox, 9);
        accepted_at(&mut outbox, id, epoch, 5);
    }
    outbox.forked(&forked(9, 7, 5), Instant::now());
    assert_eq!(offered(&mut outbox, 9), pairs([("2", 2)]));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_no_logs_offers_again_what_is_of_an_earlier_epoch() {
    let mut outbox = Outbox::new();
    let (first, _) = sent(&mut outbox, "1");
    let (second, _) = sent(&mut outbox, "2");
    offered(&mut outbox, 9);
    accepted_at(&mut outbox, first, 7, 5);
    let mut position = receipt(second).position;
    position.epoch = LogEpoch(7);
    outbox.forked_unseen(&position, Instant::now());
    assert_eq!(offered(&mut outbox, 9), []);
    position.epoch = LogEpoch(8);
    outbox.forked_unseen(&position, Instant::now());
    accepted_at(&mut outbox, second, 8, 5);
    assert_eq!(offered(&mut outbox, 9), pairs([("1", 2)]));
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_is_kept_within_bounds() {
    let send = |outbox: &mut Outbox, text: &str, sequence| {
        let (id, _) = sent(outbox, text);
        outbox.offers(usize::MAX, Instant::now());
        accepted_at(outbox, id, 7, sequence);
    };
    let lost = |outbox: &mut Outbox| {
        outbox.forked(&forked(8, 7, 0), Instant::now());
        outbox.offers(usize::MAX, Instant::now()).len()
    };
    let mut many = Outbox::new();
    (1..=1100).for_each(|sequence| send(&mut many, "x", sequence));
    assert_eq!(lost(&mut many), 1000);

    let mut large = Outbox::new();
    let text = "x".repeat(64 * 1024);
    (1..=20).for_each(|sequence| send(&mut large, &text, sequence));
    assert_eq!(lost(&mut large), 16);

    let mut old = Outbox::new();
    send(&mut old, "old", 1);
    tokio::time::advance(Duration::from_secs(601)).await;
    send(&mut old, "new", 2);
    assert_eq!(lost(&mut old), 1);
    tokio::time::advance(Duration::from_secs(601)).await;
    old.expire(Instant::now());
    old.rewind();
    assert_eq!(offered(&mut old, 9), [], "nobody waits for it any more");
}
