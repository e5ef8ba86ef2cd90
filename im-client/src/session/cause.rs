//! Why there is no connection right now, and how long to leave the servers alone.

use std::time::Duration;

use im_common::code::Code;

use crate::connection::Closure;

/// No server can make a client wait longer.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// The latest failure; shown while the session backs off.
#[derive(Debug, Default)]
pub(super) struct Cause {
    pub(super) code: Option<Code>,
    pub(super) reason: String,
    pub(super) retry_after: Duration,
}

impl Cause {
    pub(super) fn new(reason: String) -> Self {
        Self::with_code(None, reason)
    }

    pub(super) const fn with_code(code: Option<Code>, reason: String) -> Self {
        Self {
            code,
            reason,
            retry_after: Duration::ZERO,
        }
    }
}

impl From<&Closure> for Cause {
    fn from(closure: &Closure) -> Self {
        Self {
            code: Some(closure.code),
            reason: closure.reason.clone(),
            retry_after: closure.retry_after.min(RETRY_AFTER_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_server_can_make_a_client_wait_for_long() {
        let closure = |retry_after| Closure {
            code: Code::FULL,
            reason: String::new(),
            retry_after,
        };
        for (asked, waited) in [
            (Duration::from_secs(1), Duration::from_secs(1)),
            (Duration::MAX, RETRY_AFTER_MAX),
        ] {
            assert_eq!(Cause::from(&closure(asked)).retry_after, waited);
        }
    }
}
