//! How long this process waits for what should come by itself.

use std::sync::OnceLock;
use std::time::Duration;

static AT_MOST: OnceLock<Duration> = OnceLock::new();

/// From now on nothing is waited for any longer: where a bug is planted, what does not come soon
/// does not come.
pub(crate) fn limit(at_most: Duration) {
    AT_MOST.get_or_init(|| at_most);
}

/// The usual time, unless it is limited.
pub(crate) fn of(usual: Duration) -> Duration {
    AT_MOST.get().map_or(usual, |at_most| usual.min(*at_most))
}
