//! What can go wrong for a user of the SDK.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use im_common::code::{Code, NextStep};

use crate::sending::SendError;
use crate::store::{StoreError, StoreErrorKind};

/// A failure, with a kind to act on and a text for a person.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    code: Option<Code>,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What to do about an [`Error`] depends on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No route, or no server, can be reached now.
    Unreachable,
    /// The cluster says no; the code says why.
    Refused(Code),
    /// The login has ended, or the token is not valid.
    Unauthenticated,
    /// What the caller passed cannot be right; nothing was sent.
    InvalidInput,
    /// No answer in time; the outcome may be unknown.
    Timeout,
    /// The client was closed.
    Closed,
    /// The other side does not speak this protocol.
    Protocol,
    /// The handler panicked; the message it was called with counts as handled.
    HandlerPanicked,
    /// What should survive the program cannot be kept, or not be read; nothing is lost by it alone.
    Store(StoreErrorKind),
    /// The system does not give what the client needs, such as a thread.
    System,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn invalid(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::InvalidInput, message.to_string())
    }

    /// An error that the cluster told by a code of the table.
    pub(crate) fn refused(code: Code, message: impl Into<String>) -> Self {
        let kind = match code.next_step() {
            NextStep::LogIn => ErrorKind::Unauthenticated,
            _ => ErrorKind::Refused(code),
        };
        Self {
            code: Some(code),
            ..Self::new(kind, message)
        }
    }

    pub(crate) fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What happened, to act on.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The code of the table, when the cluster gave one.
    pub const fn code(&self) -> Option<Code> {
        self.code
    }

    /// Whether the same may succeed later without anybody changing anything.
    pub const fn is_retryable(&self) -> bool {
        match self.kind {
            ErrorKind::Unreachable | ErrorKind::Timeout => true,
            ErrorKind::Refused(code) => code.is_retryable(),
            ErrorKind::Store(kind) => kind.is_retryable(),
            _ => false,
        }
    }

    /// Whether waiting may mend it while nobody logs in elsewhere. Without a code it is a matter
    /// of the network or of a proxy, which mend themselves.
    pub(crate) fn is_final(&self) -> bool {
        let by_code = |code: Code| !matches!(code.next_step(), NextStep::Retry);
        self.kind == ErrorKind::InvalidInput || self.code.is_some_and(by_code)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::new(ErrorKind::Store(error.kind()), error.to_string()).because(error)
    }
}

/// So that `?` will do where a failed send is a failure of the whole.
impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self {
            code: error.code(),
            ..Self::new(error.kind(), error.to_string())
        }
        .because(error)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_decide_the_kind_and_whether_to_retry() {
        for (code, kind, retryable, is_final) in [
            (
                Code::OVERLOADED,
                ErrorKind::Refused(Code::OVERLOADED),
                true,
                false,
            ),
            (
                Code::UNAUTHENTICATED,
                ErrorKind::Unauthenticated,
                false,
                true,
            ),
            (Code::LOGGED_OUT, ErrorKind::Unauthenticated, false, true),
            (
                Code::WRONG_PASSWORD,
                ErrorKind::Refused(Code::WRONG_PASSWORD),
                false,
                true,
            ),
            (Code(1999), ErrorKind::Refused(Code(1999)), true, false),
        ] {
            let error = Error::refused(code, "no");
            assert_eq!(error.kind(), kind);
            assert_eq!(error.code(), Some(code));
            assert_eq!(error.is_retryable(), retryable, "{code}");
            assert_eq!(error.is_final(), is_final, "{code}");
        }
        assert!(Error::new(ErrorKind::Unreachable, "").is_retryable());
        assert!(!Error::new(ErrorKind::Protocol, "").is_final());
        assert!(Error::invalid("").is_final());
    }

    #[test]
    fn the_source_is_kept_for_reporters() {
        let source = std::io::Error::other("why");
        let error = Error::new(ErrorKind::Unreachable, "what").because(source);
        assert_eq!(error.to_string(), "what");
        assert_eq!(
            StdError::source(&error).map(ToString::to_string).as_deref(),
            Some("why")
        );
    }
}
