//! Hand-made histories, each with one thing wrong: the checker must name it.

use im_client::SendError;
use im_common::id::MessageId;
use im_common::message::Receipt;

use super::*;
use crate::history::verdict::Verdict;

struct Tale {
    checker: Checker,
    alice: ActorIx,
    bob: ActorIx,
}

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn device(text: &str) -> DeviceId {
    DeviceId::new(text).unwrap()
}

fn chat() -> ConversationId {
    ConversationId::private(user(1), user(2))
}

fn receipt(epoch: u64, sequence: u64) -> Result<Receipt, SendError> {
    Ok(Receipt {
        id: MessageId::fresh(),
        position: Position {
            conversation: chat(),
            epoch: LogEpoch(epoch),
            sequence: Sequence(sequence),
        },
        accepted_at_ms: 0,
    })
}

impl Tale {
    fn begin() -> Self {
        let mut checker = Checker::default();
        let alice = checker.enter(user(1), &name("alice"), &device("one"));
        let bob = checker.enter(user(2), &name("bob"), &device("one"));
        Self {
            checker,
            alice,
            bob,
        }
    }

    /// Alice sends to Bob; returns number and text.
    fn send(&mut self) -> (u32, String) {
        let to = Recipient::Name(name("bob"));
        self.checker.submit(self.alice, &to, "hello")
    }

    fn end(&mut self, number: u32, result: &Result<Receipt, SendError>) {
        if let Ok(receipt) = result {
            self.checker.stored(self.alice, number, &receipt.position);
        }
        let took = Duration::from_millis(1);
        self.checker
            .end(self.alice, number, Outcome::from(result), took);
    }

    fn accept(&mut self, number: u32, sequence: u64) {
        self.end(number, &receipt(7, sequence));
    }

    fn see(&mut self, text: &str, epoch: u64, sequence: u64) {
        self.see_from(user(1), text, epoch, sequence);
    }

    fn see_from(&mut self, sender: UserId, text: &str, epoch: u64, sequence: u64) {
        let seen = Handled {
            sender,
            device: None,
            place: Some(Place {
                conversation: &chat(),
                epoch: LogEpoch(epoch),
                sequence: Sequence(sequence),
            }),
            text,
        };
        self.checker.handle(self.bob, &seen);
    }

    /// Bob is told no places.
    fn hear_from(&mut self, sender: UserId, text: &str) {
        let seen = Handled {
            sender,
            device: None,
            place: None,
            text,
        };
        self.checker.handle(self.bob, &seen);
    }

    fn verdict(&mut self) -> Verdict {
        self.checker.is_complete();
        self.checker.verdict()
    }
}

/// How many messages were lost, doubled, reordered, forged, late.
fn sums(verdict: &Verdict) -> [u64; 5] {
    [
        verdict.lost,
        verdict.doubled,
        verdict.reordered,
        verdict.forged,
        verdict.late,
    ]
}

#[test]
fn a_sound_history_is_sound() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    let (two, second) = tale.send();
    // The reader may be faster than the answer.
    tale.see(&first, 7, 1);
    tale.accept(one, 1);
    assert!(!tale.checker.is_complete() || tale.checker.pending() > 0);
    tale.accept(two, 2);
    assert!(!tale.checker.is_complete());
    tale.see(&second, 7, 2);
    assert!(tale.checker.is_complete());
    let verdict = tale.verdict();
    assert!(verdict.is_sound(), "{verdict}");
    assert_eq!((verdict.accepted, verdict.handled), (2, 2));
}

#[test]
fn an_accepted_message_that_nobody_saw_is_lost() {
    let mut tale = Tale::begin();
    let (one, _) = tale.send();
    tale.accept(one, 1);
    assert_eq!(sums(&tale.verdict()), [1, 0, 0, 0, 0]);
    // Not if the reader will never come back.
    tale.checker.retire(tale.bob);
    assert_eq!(sums(&tale.verdict()), [0; 5]);
}

#[test]
fn a_message_handled_twice_is_doubled() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    tale.accept(one, 1);
    tale.see(&first, 7, 1);
    tale.see(&first, 7, 2);
    assert_eq!(tale.verdict().doubled, 2, "by the handler, and in the log");
}

#[test]
fn a_reader_that_crashed_may_see_again_what_it_saw_last() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    tale.accept(one, 1);
    tale.see(&first, 7, 1);
    tale.checker.crashed(tale.bob);
    tale.see(&first, 7, 1);
    assert_eq!(sums(&tale.verdict()), [0; 5]);
}

#[test]
fn another_message_at_the_same_place_is_a_number_used_twice() {
    let mut tale = Tale::begin();
    let (one, _) = tale.send();
    let (two, second) = tale.send();
    tale.accept(one, 1);
    tale.see(&second, 7, 1);
    tale.accept(two, 1);
    assert!(tale.verdict().reordered >= 1);
}

#[test]
fn going_back_is_reordered() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    let (two, second) = tale.send();
    tale.accept(one, 1);
    tale.accept(two, 2);
    tale.see(&second, 7, 2);
    tale.see(&first, 7, 1);
    assert_eq!(sums(&tale.verdict()), [0, 0, 1, 0, 0]);
}

#[test]
fn a_sender_whose_order_is_not_kept_is_noticed() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    let (two, second) = tale.send();
    tale.accept(two, 1);
    tale.accept(one, 2);
    tale.see(&second, 7, 1);
    tale.see(&first, 7, 2);
    assert_eq!(sums(&tale.verdict()), [0, 0, 1, 0, 0]);
}

#[test]
fn a_gap_in_a_log_is_noticed() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    let (two, second) = tale.send();
    tale.accept(one, 1);
    tale.accept(two, 3);
    tale.see(&first, 7, 1);
    tale.see(&second, 7, 3);
    assert_eq!(sums(&tale.verdict()), [0, 0, 1, 0, 0]);
}

#[test]
fn a_text_of_somebody_else_is_forged() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    tale.accept(one, 1);
    tale.see_from(user(2), &first, 7, 1);
    tale.see("0@one something else", 7, 1);
    tale.see("no number", 7, 2);
    assert_eq!(tale.verdict().forged, 3);
}

#[test]
fn a_refused_message_must_not_appear() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    let code = im_common::code::Code::TEXT_EMPTY;
    let refusal = im_client::Refusal::new(code, String::new());
    tale.end(one, &Err(SendError::Refused(refusal)));
    tale.see(&first, 7, 1);
    assert_eq!(sums(&tale.verdict()), [0, 0, 0, 1, 0]);
}

#[test]
fn an_unknown_message_may_be_there_or_not() {
    for is_there in [true, false] {
        let mut tale = Tale::begin();
        let (one, first) = tale.send();
        tale.end(one, &Err(SendError::Closed));
        if is_there {
            tale.see(&first, 7, 1);
        }
        let verdict = tale.verdict();
        assert!(verdict.is_sound(), "{verdict}");
        assert_eq!(verdict.unknown, 1);
    }
}

#[test]
fn the_same_id_accepted_at_two_places_is_doubled() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    tale.accept(one, 1);
    tale.checker.resubmit(tale.alice, one);
    tale.accept(one, 2);
    tale.see(&first, 7, 1);
    assert_eq!(sums(&tale.verdict()), [0, 1, 0, 0, 0]);
}

#[test]
fn a_log_that_lost_its_end_may_say_it_again_elsewhere() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    let (two, second) = tale.send();
    tale.accept(one, 1);
    tale.accept(two, 2);
    tale.see(&first, 7, 1);
    tale.see(&second, 7, 2);
    // The second was lost and offered again; its reader knows it and is not called again.
    tale.checker.rewound(&chat());
    let (three, third) = tale.send();
    tale.checker
        .stored(tale.alice, two, &receipt(8, 3).unwrap().position);
    tale.end(three, &receipt(8, 2));
    tale.see(&third, 8, 2);
    assert_eq!(sums(&tale.verdict()), [0; 5]);
}

#[test]
fn a_later_epoch_that_contradicts_the_earlier_one_is_noticed() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    let (two, second) = tale.send();
    tale.accept(one, 1);
    tale.see(&first, 7, 1);
    // Nobody was told of a loss, so numbers are good across epochs.
    tale.end(two, &receipt(8, 1));
    tale.see(&second, 8, 1);
    assert!(tale.verdict().reordered >= 1);
}

#[test]
fn a_send_without_end_is_late() {
    let mut tale = Tale::begin();
    let (one, _) = tale.send();
    let took = SEND_ENDS_WITHIN * 2;
    tale.checker.end(tale.alice, one, Outcome::Unknown, took);
    assert_eq!(sums(&tale.verdict()), [0, 0, 0, 0, 1]);
}

#[test]
fn a_further_device_gets_what_is_sent_once_it_is_there() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    tale.accept(one, 1);
    tale.see(&first, 7, 1);
    let phone = tale.checker.enter(user(2), &name("bob"), &device("phone"));
    assert_eq!(sums(&tale.verdict()), [0; 5]);
    tale.checker.attached(phone);
    let (two, second) = tale.send();
    tale.accept(two, 2);
    tale.see(&second, 7, 2);
    assert_eq!(tale.verdict().lost, 1, "the phone has not seen it");
}

#[test]
fn without_places_order_and_repetition_show_all_the_same() {
    let two_heard = |order: &[usize]| {
        let mut tale = Tale::begin();
        let sent = [tale.send(), tale.send()];
        for (number, _) in &sent {
            let took = Duration::from_millis(1);
            let alice = tale.alice;
            tale.checker.end(alice, *number, Outcome::Accepted, took);
        }
        for &index in order {
            tale.hear_from(user(1), &sent[index].1);
        }
        sums(&tale.verdict())
    };
    assert_eq!(two_heard(&[0, 1]), [0; 5]);
    assert_eq!(two_heard(&[0]), [1, 0, 0, 0, 0]);
    assert_eq!(two_heard(&[0, 1, 1]), [0, 1, 0, 0, 0]);
    assert_eq!(two_heard(&[1, 0]), [0, 0, 1, 0, 0]);
}

#[test]
fn without_places_a_wrong_sender_shows_all_the_same() {
    let mut tale = Tale::begin();
    let (one, first) = tale.send();
    tale.accept(one, 1);
    tale.hear_from(user(3), &first);
    assert_eq!(sums(&tale.verdict()), [1, 0, 0, 1, 0]);
    // Nor is it meant for everybody.
    let carol = tale.checker.enter(user(3), &name("carol"), &device("cim"));
    tale.bob = carol;
    tale.hear_from(user(1), &first);
    assert_eq!(sums(&tale.verdict()), [1, 0, 0, 2, 0]);
}
