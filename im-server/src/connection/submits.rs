//! The submits of one connection: gathered, offered one batch at a time, answered in order.
//!
//! Pure bookkeeping. One batch in flight keeps the sender's order; go-back-N keeps it across
//! refusals: once a submit of a round is refused with "retry", everything else of that round and
//! of earlier ones is refused too, until the client offers it all again in a greater round.

use std::collections::VecDeque;

use im_common::code::Code;
use im_common::id::MessageId;
use im_common::message::{Receipt, Submission};
use im_common::planted::{Bug, is_planted};
use im_common::transport::Refusal;
use im_common::wire::{self, Malformed};

use crate::closing::retry_after_ms;

/// Submits of one connection without an answer; beyond it the socket is not read. Covers the
/// round trip of a fast sender, and bounds what one connection may hold.
pub(crate) const SUBMITS_IN_FLIGHT_MAX: usize = 32;
/// Text of one batch, so that the requests of the uplink stay small. The first text always fits.
const BATCH_TEXT_BYTES: usize = 512 * 1024;

/// Submits without an answer. Costs no heap while there are none.
#[derive(Debug, Default)]
pub(crate) struct Submits {
    waiting: VecDeque<Waiting>,
    in_flight: Vec<(MessageId, u32)>,
    /// Submits of this round and earlier ones are refused.
    refused_round: Option<u32>,
}

#[derive(Debug)]
struct Waiting {
    submission: Submission,
    round: u32,
}

/// A submit that has no id to answer to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoId;

impl Submits {
    /// Takes a submit, or returns its refusal.
    pub(crate) fn offer(&mut self, submit: wire::Submit) -> Result<Option<wire::Refused>, NoId> {
        let id = MessageId::from_bytes(&submit.id).map_err(|_| NoId)?;
        let round = submit.round;
        if self.is_refused(round) {
            return Ok(Some(refused(id, round, Code::OLD_ROUND.into())));
        }
        match Submission::try_from(submit) {
            Ok(submission) => {
                self.waiting.push_back(Waiting { submission, round });
                Ok(None)
            }
            Err(malformed) => {
                let refusal = Refusal::new(code_of(&malformed), malformed.to_string());
                Ok(Some(refused(id, round, refusal)))
            }
        }
    }

    /// Whether another submit may be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() + self.in_flight.len() < SUBMITS_IN_FLIGHT_MAX
    }

    /// Returns the next batch, unless one is in flight or nothing waits.
    pub(crate) fn next_batch(&mut self) -> Option<Vec<Submission>> {
        if !self.in_flight.is_empty() || self.waiting.is_empty() {
            return None;
        }
        let mut batch = Vec::with_capacity(self.waiting.len());
        let mut bytes = 0;
        while let Some(Waiting { submission, .. }) = self.waiting.front() {
            bytes += submission.text.len();
            if bytes > BATCH_TEXT_BYTES && !batch.is_empty() {
                break;
            }
            if let Some(Waiting { submission, round }) = self.waiting.pop_front() {
                self.in_flight.push((submission.id, round));
                batch.push(submission);
            }
        }
        Some(batch)
    }

    /// Returns the answers to the batch in flight, and to what may no longer follow it.
    pub(crate) fn settle(
        &mut self,
        outcomes: Vec<Result<Receipt, Refusal>>,
    ) -> Vec<wire::ServerFrame> {
        let in_flight = std::mem::take(&mut self.in_flight);
        let missing = std::iter::repeat_with(|| Err(Code::UNAVAILABLE.into()));
        let outcomes = outcomes.into_iter().chain(missing);
        let mut answers = Vec::with_capacity(in_flight.len());
        for ((id, round), outcome) in in_flight.into_iter().zip(outcomes) {
            answers.push(match outcome {
                Ok(receipt) => wire::Accepted::from(receipt).into(),
                Err(_) if self.is_refused(round) => {
                    refused(id, round, Code::OLD_ROUND.into()).into()
                }
                Err(refusal) => {
                    if refusal.code.is_retryable() {
                        self.refused_round = self.refused_round.max(Some(round));
                    }
                    refused(id, round, refusal).into()
                }
            });
        }
        self.refuse_waiting(&mut answers);
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
        answers
    }

    fn refuse_waiting(&mut self, answers: &mut Vec<wire::ServerFrame>) {
        let refused_round = self.refused_round;
        self.waiting.retain(|Waiting { submission, round }| {
            let is_refused = Some(*round) <= refused_round && !is_planted(Bug::ForgetRounds);
            if is_refused {
                answers.push(refused(submission.id, *round, Code::OLD_ROUND.into()).into());
            }
            !is_refused
        });
    }

    fn is_refused(&self, round: u32) -> bool {
        Some(round) <= self.refused_round && !is_planted(Bug::ForgetRounds)
    }
}

fn code_of(malformed: &Malformed) -> Code {
    match malformed {
        Malformed::Missing(_) => Code::MALFORMED,
        Malformed::Name(_) => Code::NAME_INVALID,
        Malformed::Id(_) => Code::USER_UNKNOWN,
    }
}

fn refused(id: MessageId, round: u32, refusal: Refusal) -> wire::Refused {
    wire::Refused {
        id: bytes::Bytes::copy_from_slice(id.as_bytes()),
        code: refusal.code.0.into(),
        retry_after_ms: retry_after_ms(refusal.code),
        reason: refusal.reason,
        round,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use im_common::id::{ConversationId, LogEpoch, Sequence};
    use im_common::message::Position;
    use im_common::wire::server_frame::Frame;

    fn submit(number: u8, round: u32) -> wire::Submit {
        wire::Submit {
            id: vec![number; 16].into(),
            to: Some(wire::submit::To::Lobby(wire::Lobby {})),
            text: "hi".to_owned(),
            round,
        }
    }

    fn receipt(number: u8) -> Result<Receipt, Refusal> {
        Ok(Receipt {
            id: MessageId::from_bytes(&[number; 16]).unwrap(),
            position: Position {
                conversation: ConversationId::Lobby,
                epoch: LogEpoch(1),
                sequence: Sequence(number.into()),
            },
            accepted_at_ms: 0,
        })
    }

    /// Number of the message and code, 0 when accepted.
    fn summary(answers: Vec<wire::ServerFrame>) -> Vec<(u8, u32)> {
        let one = |answer: wire::ServerFrame| match answer.frame.unwrap() {
            Frame::Accepted(accepted) => (accepted.id[0], 0),
            Frame::Refused(refused) => (refused.id[0], refused.code),
            other => panic!("{other:?}"),
        };
        answers.into_iter().map(one).collect()
    }

    #[test]
    fn after_a_retryable_refusal_the_round_is_over() {
        let mut submits = Submits::default();
        for number in 1..=3 {
            assert_eq!(submits.offer(submit(number, 1)), Ok(None));
        }
        assert_eq!(submits.next_batch().unwrap().len(), 3);
        assert_eq!(submits.offer(submit(4, 1)), Ok(None));
        assert!(submits.next_batch().is_none(), "one batch at a time");
        assert_eq!(submits.offer(submit(5, 2)), Ok(None));

        let answers = submits.settle(vec![
            receipt(1),
            Err(Code::UNAVAILABLE.into()),
            Err(Code::USER_UNKNOWN.into()),
        ]);
        assert_eq!(summary(answers), [(1, 0), (2, 1001), (3, 1003), (4, 1003)]);

        let late = submits.offer(submit(6, 1)).unwrap().unwrap();
        assert_eq!((late.code, late.round), (1003, 1));
        assert_eq!(submits.next_batch().unwrap()[0].id.as_bytes(), &[5; 16]);
        assert_eq!(summary(submits.settle(vec![receipt(5)])), [(5, 0)]);
    }

    #[test]
    fn a_final_refusal_stops_nobody_else() {
        let mut submits = Submits::default();
        for number in 1..=2 {
            submits.offer(submit(number, 0)).unwrap();
        }
        submits.next_batch().unwrap();
        let answers = submits.settle(vec![Err(Code::TEXT_EMPTY.into()), receipt(2)]);
        assert_eq!(summary(answers), [(1, 4005), (2, 0)]);
        assert_eq!(submits.offer(submit(3, 0)), Ok(None));
    }

    #[test]
    fn a_malformed_submit_is_refused_by_its_fault() {
        let mut submits = Submits::default();
        let name = |name: &str| wire::Submit {
            to: Some(wire::submit::To::UserName(name.to_owned())),
            ..submit(1, 0)
        };
        let code = |submits: &mut Submits, submit| submits.offer(submit).unwrap().unwrap().code;
        assert_eq!(code(&mut submits, name("a b")), 4012);
        let nobody = wire::Submit {
            to: Some(wire::submit::To::UserId(0)),
            ..submit(1, 0)
        };
        assert_eq!(code(&mut submits, nobody), 4008);
        let nowhere = wire::Submit {
            to: None,
            ..submit(1, 0)
        };
        assert_eq!(code(&mut submits, nowhere), 4001);
        let nameless = wire::Submit {
            id: vec![1; 15].into(),
            ..submit(1, 0)
        };
        assert_eq!(submits.offer(nameless), Err(NoId));
    }

    #[test]
    fn a_batch_ends_before_its_text_grows_too_large() {
        let mut submits = Submits::default();
        for number in 1..=10 {
            let large = wire::Submit {
                text: "x".repeat(100 * 1024),
                ..submit(number, 0)
            };
            submits.offer(large).unwrap();
        }
        assert_eq!(submits.next_batch().unwrap().len(), 5);
        submits.settle((1..=5).map(receipt).collect());
        assert_eq!(submits.next_batch().unwrap()[0].id.as_bytes(), &[6; 16]);
    }

    #[test]
    fn outcomes_that_are_missing_count_as_unknown() {
        let mut submits = Submits::default();
        submits.offer(submit(1, 0)).unwrap();
        submits.next_batch().unwrap();
        assert_eq!(summary(submits.settle(Vec::new())), [(1, 1001)]);
    }
}
