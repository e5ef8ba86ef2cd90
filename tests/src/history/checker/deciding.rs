//! What can only be told once everything has come to rest.

use std::collections::HashMap;
use std::time::Duration;

use super::{ActorIx, Checker, Outcome, Record, Sent};
use crate::history::bits::Bits;
use crate::history::verdict::{Findings, Kind, Verdict};

impl Checker {
    /// Whether every send has ended, and every accepted message has reached everybody it must reach.
    pub fn is_complete(&mut self) -> bool {
        self.pending == 0 && self.everybody().all(|author| self.advance(author))
    }

    /// Moves on over what will not change any more. Returns whether nothing is awaited behind it.
    fn advance(&mut self, author: ActorIx) -> bool {
        let from = self.actor(author).complete_to;
        let count = self.actor(author).sent.len();
        let has_come_to_rest = |number: &usize| {
            self.actor(author).sent[*number].outcome != Outcome::Unknown
                && self.missing(author, *number).next().is_none()
        };
        let to = (from..count).find(|number| !has_come_to_rest(number));
        let to = to.unwrap_or(count);
        let awaits_nothing =
            (to..count).all(|number| self.missing(author, number).next().is_none());
        self.record(author).complete_to = to;
        awaits_nothing
    }

    /// Everything that is wrong, if nothing more happens.
    pub fn verdict(&self) -> Verdict {
        let mut found = self.found.clone();
        self.look_for_lost(&mut found);
        for log in 0..self.logs.len() {
            self.look_into(log, &mut found);
        }
        let all: Vec<u32> = self
            .latencies
            .iter()
            .flatten()
            .map(|(_, took)| *took)
            .collect();
        let (accept_p50, accept_p99) = percentiles(all);
        let count = |kind| found.count(kind);
        Verdict {
            accepted: self.accepted,
            refused: self.refused,
            unknown: self.count(Outcome::Unknown) + self.pending,
            handled: self.handled,
            lost: count(Kind::Lost),
            doubled: count(Kind::Doubled),
            reordered: count(Kind::Reordered),
            forged: count(Kind::Forged),
            late: count(Kind::Late),
            violations: found.violations,
            accept_p50,
            accept_p99,
        }
    }

    fn look_for_lost(&self, found: &mut Findings) {
        for author in self.everybody() {
            let from = self.actor(author).complete_to;
            for number in from..self.actor(author).sent.len() {
                for reader in self.missing(author, number) {
                    found.object(Kind::Lost, || {
                        let (who, whose) = (self.label(reader), self.label(author));
                        format!("{who} never saw {number} of {whose}")
                    });
                }
            }
        }
    }

    /// The readers that must have a message and do not.
    fn missing(&self, author: ActorIx, number: usize) -> impl Iterator<Item = ActorIx> {
        let sent = self.actor(author).sent[number];
        let number = u32::try_from(number).expect("fewer than four billion");
        let accepted = (sent.outcome == Outcome::Accepted).then_some(sent);
        let readers = self.everybody().filter(move |reader| {
            let Some(sent) = accepted else { return false };
            let record = self.actor(*reader);
            *reader != author
                && self.must_get(record, &sent)
                && !record
                    .handled
                    .get(&author)
                    .is_some_and(|seen| seen.has(number))
        });
        readers.take(if accepted.is_some() { usize::MAX } else { 0 })
    }

    /// How many readers must get a message.
    pub(super) fn readers_of(&self, author: ActorIx, number: u32) -> u64 {
        let sent = &self.actor(author).sent[number as usize];
        let readers = self
            .everybody()
            .filter(|reader| *reader != author && self.must_get(self.actor(*reader), sent));
        readers.count() as u64
    }

    fn must_get(&self, reader: &Record, sent: &Sent) -> bool {
        let from_then_on = reader.since.is_some_and(|since| since <= sent.at);
        let Some(log) = sent.log else { return false };
        from_then_on && !reader.is_retired && self.logs[log as usize].0.admits(reader.user)
    }

    /// The log itself: each message once, in its sender's order, nothing refused, no gaps.
    fn look_into(&self, log: usize, found: &mut Findings) {
        let (conversation, slots) = &self.logs[log];
        let mut seen: HashMap<ActorIx, (u32, Bits)> = HashMap::new();
        let mut has_gap = false;
        let (places, contradictions) = slots.read();
        if !slots.was_rewound {
            for (one, other) in contradictions {
                found.object(Kind::Reordered, || {
                    let (who, whose) = (self.label(one.author), self.label(other.author));
                    let (number, instead) = (one.number, other.number);
                    format!("{conversation} has {number} of {who} where {instead} of {whose} was")
                });
            }
        }
        for slot in places {
            let Some(slot) = slot else {
                has_gap = true;
                continue;
            };
            let sent = self.actor(slot.author).sent[slot.number as usize];
            let who = || self.label(slot.author);
            if sent.outcome == Outcome::Refused {
                found.object(Kind::Forged, || {
                    format!(
                        "{} of {} was refused and is in {conversation}",
                        slot.number,
                        who()
                    )
                });
            }
            if slots.was_rewound {
                continue;
            }
            let (last, all) = seen.entry(slot.author).or_default();
            if !all.add(slot.number) {
                found.object(Kind::Doubled, || {
                    format!("{} of {} is twice in {conversation}", slot.number, who())
                });
            } else if !sent.is_retried {
                if slot.number < *last {
                    found.object(Kind::Reordered, || {
                        format!(
                            "{conversation} has {} of {} after {last}",
                            slot.number,
                            who()
                        )
                    });
                }
                *last = slot.number;
            }
        }
        if has_gap && !slots.was_rewound && self.knows_all_of(log) {
            found.object(Kind::Reordered, || format!("{conversation} has a gap"));
        }
    }

    /// Whether every message of a log was seen by somebody who tells.
    fn knows_all_of(&self, log: usize) -> bool {
        self.actors.iter().all(|record| {
            let is_sure = |sent: &Sent| {
                sent.log != u32::try_from(log).ok() || sent.outcome != Outcome::Unknown
            };
            record.sent.iter().all(is_sure)
        })
    }

    fn everybody(&self) -> impl Iterator<Item = ActorIx> + use<> {
        (0..u32::try_from(self.actors.len()).expect("few actors")).map(ActorIx)
    }

    fn actor(&self, actor: ActorIx) -> &Record {
        &self.actors[actor.0 as usize]
    }

    fn count(&self, outcome: Outcome) -> u64 {
        let all = self.actors.iter().flat_map(|record| &record.sent);
        all.filter(|sent| sent.outcome == outcome).count() as u64
    }
}

/// The median, and what 99 of 100 stay below.
fn percentiles(mut micros: Vec<u32>) -> (Duration, Duration) {
    micros.sort_unstable();
    let at = |share: usize| {
        let index = micros.len() * share / 100;
        let micros = micros.get(index.min(micros.len().saturating_sub(1)));
        Duration::from_micros(micros.copied().unwrap_or(0).into())
    };
    (at(50), at(99))
}
