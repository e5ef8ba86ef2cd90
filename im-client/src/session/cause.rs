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
