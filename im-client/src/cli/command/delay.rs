//! The arguments of `:delay`.

use std::time::Duration;

use super::split_word;

/// A year: more is a slip of the finger.
const SECONDS_MAX: u64 = 366 * 24 * 3600;

/// What `:delay` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Delay {
    /// What waits.
    List,
    /// A line that is to be sent later.
    Send {
        /// How much later.
        after: Duration,
        /// What it says, and to whom, as it would be typed then.
        line: String,
    },
    /// One that is not to be sent after all.
    Cancel(u64),
}

pub(super) fn parse(arguments: &str) -> Option<Delay> {
    let (word, rest) = split_word(arguments);
    match word {
        "" => Some(Delay::List),
        "cancel" => rest.trim().parse().ok().map(Delay::Cancel),
        seconds => {
            let seconds = seconds.parse().ok()?;
            let line = rest.to_owned();
            let is_sensible = (1..=SECONDS_MAX).contains(&seconds) && !rest.trim().is_empty();
            is_sensible.then_some(Delay::Send {
                after: Duration::from_secs(seconds),
                line,
            })
        }
    }
}
