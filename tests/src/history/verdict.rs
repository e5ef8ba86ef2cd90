//! What is to be said of a history.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Violations that are spelled out; all are counted.
const SPELLED_OUT_MAX: usize = 100;

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An accepted message did not reach a reader, or is not in the log (I1).
    Lost,
    /// A message is in the log twice, or a handler saw it twice (I1, I4).
    Doubled,
    /// A log has gaps, two readers saw different logs, or a sender's order was not kept (I2).
    Reordered,
    /// Something was delivered that nobody sent so, or that was refused (I3).
    Forged,
    /// A send did not end within its deadline (I5).
    Late,
}

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub kind: Kind,
    /// What exactly.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.what)
    }
}

/// The sum of a history.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Sends that were accepted.
    pub accepted: u64,
    /// Sends that were refused for good.
    pub refused: u64,
    /// Sends whose author never learned how they ended, since its client was closed.
    pub unknown: u64,
    /// Messages that handlers saw.
    pub handled: u64,
    /// Accepted messages that did not reach a reader.
    pub lost: u64,
    /// Messages stored or handled twice.
    pub doubled: u64,
    /// Places where the order is wrong.
    pub reordered: u64,
    /// Messages that nobody sent so.
    pub forged: u64,
    /// Sends that did not end in time.
    pub late: u64,
    /// The first hundred violations.
    pub violations: Vec<Violation>,
    /// Time from send to accept: the median.
    pub accept_p50: Duration,
    /// Time from send to accept: 99 of 100 were faster.
    pub accept_p99: Duration,
}

impl Verdict {
    /// Whether every promise was kept.
    pub const fn is_sound(&self) -> bool {
        self.lost + self.doubled + self.reordered + self.forged + self.late == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} accepted, {} refused, {} unknown, {} handled; {} lost, {} doubled, {} reordered, \
             {} forged, {} late; accepted after {:.1?}, p99 {:.1?}",
            self.accepted,
            self.refused,
            self.unknown,
            self.handled,
            self.lost,
            self.doubled,
            self.reordered,
            self.forged,
            self.late,
            self.accept_p50,
            self.accept_p99,
        )?;
        for violation in &self.violations {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}

/// Violations, as they are found.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings {
    pub(super) violations: Vec<Violation>,
    counts: HashMap<Kind, u64>,
}

impl Findings {
    pub(super) fn object(&mut self, kind: Kind, what: impl FnOnce() -> String) {
        *self.counts.entry(kind).or_default() += 1;
        if self.violations.len() < SPELLED_OUT_MAX {
            let what = what();
            self.violations.push(Violation { kind, what });
        }
    }

    pub(super) fn count(&self, kind: Kind) -> u64 {
        self.counts.get(&kind).copied().unwrap_or(0)
    }
}
