mod forks;
mod room;

use super::*;
use im_common::id::{ConversationId, LogEpoch, Sequence};
use im_common::message::{Position, Recipient};
use proptest::prelude::*;
use tokio::sync::oneshot;

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
