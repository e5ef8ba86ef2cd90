//! The last events of a history, for whoever must find out what went wrong.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use im_common::id::UserId;

use super::checker::{ActorIx, Outcome};

/// Enough to see what led to a violation, little enough to read.
const ENTRIES_MAX: usize = 4000;

/// Something that happened.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    Fault(String),
    State(ActorIx, String),
    Submitted(ActorIx, u32),
    Ended(ActorIx, u32, Outcome, Duration),
    /// Reader, sender, the sender's number, and (epoch, sequence).
    Handled(ActorIx, UserId, Option<u32>, (u64, u64)),
    /// Reader, sender, and the sender's number; the place was not told.
    Heard(ActorIx, UserId, Option<u32>),
    Rewound(ActorIx),
}

#[derive(Debug, Default)]
pub(super) struct Recent {
    entries: VecDeque<(Duration, Entry)>,
}

impl Recent {
    pub(super) fn push(&mut self, at: Duration, entry: Entry) {
        if self.entries.len() == ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back((at, entry));
    }

    pub(super) fn render(&self, label: impl Fn(ActorIx) -> String) -> String {
        let mut out = String::new();
        for (at, entry) in &self.entries {
            let what = match entry {
                Entry::Fault(what) => format!("FAULT {what}"),
                Entry::State(actor, state) => format!("{} is {state}", label(*actor)),
                Entry::Submitted(actor, number) => format!("{} sends {number}", label(*actor)),
                Entry::Ended(actor, number, outcome, took) => {
                    format!(
                        "{} {number} ends {outcome:?} after {took:.1?}",
                        label(*actor)
                    )
                }
                Entry::Handled(actor, sender, number, (epoch, sequence)) => format!(
                    "{} handles {} of user {sender} at {epoch:x}/{sequence}",
                    label(*actor),
                    number.map_or_else(|| "?".into(), |number| number.to_string()),
                ),
                Entry::Heard(actor, sender, number) => format!(
                    "{} hears {} of user {sender}",
                    label(*actor),
                    number.map_or_else(|| "?".into(), |number| number.to_string()),
                ),
                Entry::Rewound(actor) => format!("{} is told of a loss", label(*actor)),
            };
            writeln!(out, "{:>10.4} {what}", at.as_secs_f64()).expect("a string takes it");
        }
        out
    }
}
