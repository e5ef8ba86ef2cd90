use super::*;
use im_common::id::{ConversationId, LogEpoch, Sequence};
use im_common::message::{Position, Recipient};
use proptest::prelude::*;
use std::sync::Arc;
use tokio::sync::oneshot;

use crate::sending::Sending;

fn sent(outbox: &mut Outbox, text: &str) -> (MessageId, oneshot::Receiver<Outcome>) {
    let id = MessageId::fresh();
    let (sender, receiver) = oneshot::channel();
    let submission = Submission {
        id,
        to: Recipient::Lobby,
        text: text.to_owned(),
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    outbox.push(submission, deadline, Answer::new(sender, None));
    (id, receiver)
}

fn receipt(id: MessageId) -> Receipt {
    Receipt {
        id,
        position: Position {
            conversation: ConversationId::Lobby,
            epoch: LogEpoch(1),
            sequence: Sequence(1),
        },
        accepted_at_ms: 0,
    }
}

fn refused(id: MessageId, code: Code, round: u32) -> Refused {
    Refused {
        id,
        refusal: refusal(code, String::new()),
        retry_after: Duration::ZERO,
        round,
    }
}

fn offered(outbox: &mut Outbox, in_flight_max: usize) -> Vec<(String, u32)> {
    let offers = outbox.offers(in_flight_max, Instant::now());
    let pair = |submit: wire::Submit| (submit.text, submit.round);
    offers.into_iter().map(pair).collect()
}

fn pairs<const N: usize>(expected: [(&str, u32); N]) -> Vec<(String, u32)> {
    expected
        .map(|(text, round)| (text.to_owned(), round))
        .to_vec()
}

#[tokio::test(start_paused = true)]
async fn offers_keep_order_and_the_limit() {
    let mut outbox = Outbox::new();
    let (first, outcome) = sent(&mut outbox, "1");
    for text in ["2", "3"] {
        let _ = sent(&mut outbox, text);
    }
    assert_eq!(offered(&mut outbox, 2), pairs([("1", 1), ("2", 1)]));
    assert_eq!(offered(&mut outbox, 2), []);
    outbox.accepted(receipt(first), Instant::now());
    assert_eq!(outcome.await.unwrap(), Ok(receipt(first)));
    assert_eq!(offered(&mut outbox, 2), pairs([("3", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_retryable_refusal_offers_everything_again_in_a_new_round() {
    let mut outbox = Outbox::new();
    let ids: Vec<_> = ["1", "2", "3"]
        .map(|text| sent(&mut outbox, text).0)
        .to_vec();
    assert_eq!(offered(&mut outbox, 9).len(), 3);
    outbox.accepted(receipt(ids[0]), Instant::now());
    let mut first = refused(ids[1], Code::OVERLOADED, 1);
    first.retry_after = Duration::from_millis(700);
    outbox.refused(first, Instant::now(), 0.0);
    outbox.refused(refused(ids[2], Code::OLD_ROUND, 1), Instant::now(), 1.0);
    assert_eq!(offered(&mut outbox, 9), [], "the server asked for a pause");
    tokio::time::advance(Duration::from_millis(700)).await;
    assert_eq!(offered(&mut outbox, 9), pairs([("2", 2), ("3", 2)]));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_an_old_round_is_ignored() {
    let mut outbox = Outbox::new();
    let (id, mut outcome) = sent(&mut outbox, "1");
    offered(&mut outbox, 9);
    outbox.refused(refused(id, Code::UNAVAILABLE, 1), Instant::now(), 0.0);
    assert_eq!(offered(&mut outbox, 9), pairs([("1", 2)]));
    outbox.refused(refused(id, Code::UNAVAILABLE, 1), Instant::now(), 0.0);
    outbox.refused(refused(id, Code::USER_UNKNOWN, 1), Instant::now(), 0.0);
    assert_eq!(offered(&mut outbox, 9), []);
    assert!(outcome.try_recv().is_err(), "still on its way");
}

#[tokio::test(start_paused = true)]
async fn a_final_refusal_ends_only_its_own_send() {
    let mut outbox = Outbox::new();
    let (first, outcome) = sent(&mut outbox, "1");
    let (_second, mut other) = sent(&mut outbox, "2");
    offered(&mut outbox, 9);
    outbox.refused(refused(first, Code::USER_UNKNOWN, 1), Instant::now(), 0.0);
    let error = outcome.await.unwrap().unwrap_err();
    assert_eq!(error.code(), Some(Code::USER_UNKNOWN));
    assert!(!error.is_retryable());
    assert!(other.try_recv().is_err());
    assert_eq!(offered(&mut outbox, 9), [], "the other one is on the wire");
}

#[tokio::test(start_paused = true)]
async fn a_reconnect_offers_again_and_the_deadline_ends() {
    let mut outbox = Outbox::new();
    let (_id, outcome) = sent(&mut outbox, "1");
    offered(&mut outbox, 9);
    outbox.rewind();
    assert_eq!(offered(&mut outbox, 9), pairs([("1", 1)]));
    tokio::time::advance(Duration::from_secs(30)).await;
    outbox.expire(Instant::now());
    assert_eq!(outcome.await.unwrap(), Err(SendError::Unknown));
    outbox.rewind();
    assert_eq!(offered(&mut outbox, 9), []);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_sends_before_and_after() {
    let mut outbox = Outbox::new();
    let (_, before) = sent(&mut outbox, "1");
    outbox.close();
    let (_, after) = sent(&mut outbox, "2");
    assert_eq!(before.await.unwrap(), Err(SendError::Closed));
    assert_eq!(after.await.unwrap(), Err(SendError::Closed));
}

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

/// A server that follows the rules of the protocol, and fails at will.
#[derive(Default)]
struct Log {
    stored: Vec<(MessageId, String)>,
    refused_round: u32,
}

impl Log {
    /// Stores, or refuses, as a server does that keeps order by rounds.
    fn take(&mut self, submit: &wire::Submit, fails: bool) -> Result<Receipt, Refused> {
        let id = MessageId::from_bytes(&submit.id).unwrap();
        if submit.round <= self.refused_round {
            return Err(refused(id, Code::OLD_ROUND, submit.round));
        }
        if fails {
            self.refused_round = submit.round;
            return Err(refused(id, Code::UNAVAILABLE, submit.round));
        }
        if !self.stored.iter().any(|(stored, _)| *stored == id) {
            self.stored.push((id, submit.text.clone()));
        }
        Ok(receipt(id))
    }
}

proptest! {
    #[test]
    fn order_survives_refusals_and_lost_connections(
        count in 1usize..20,
        in_flight_max in 1usize..6,
        fates in prop::collection::vec(0u8..10, 0..60),
    ) {
        let mut outbox = Outbox::new();
        let mut log = Log::default();
        let texts: Vec<_> = (0..count).map(|number| number.to_string()).collect();
        let outcomes: Vec<_> = texts.iter().map(|text| sent(&mut outbox, text).1).collect();
        let mut fates = fates.into_iter();
        let mut now = Instant::now();
        let mut answers = VecDeque::new();
        while outbox.oldest() < outbox.next_number() {
            now += Duration::from_secs(60);
            for submit in outbox.offers(in_flight_max, now) {
                let fate = fates.next().unwrap_or(9);
                answers.push_back(log.take(&submit, fate == 0));
                if fate == 1 {
                    // The connection breaks: the answers on the way are lost.
                    answers.clear();
                    outbox.rewind();
                    log.refused_round = 0;
                    break;
                }
            }
            match answers.pop_front() {
                Some(Ok(receipt)) => outbox.accepted(receipt, now),
                Some(Err(refused)) => outbox.refused(refused, now, 0.5),
                None => {}
            }
        }
        let stored: Vec<_> = log.stored.into_iter().map(|(_, text)| text).collect();
        prop_assert_eq!(stored, texts);
        for mut outcome in outcomes {
            prop_assert!(outcome.try_recv().unwrap().is_ok());
        }
    }
}
