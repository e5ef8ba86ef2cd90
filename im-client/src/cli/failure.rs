//! A reason for ending: what to tell the user, and the exit code for programs.

use std::fmt;
use std::io;

use super::exit::Exit;
use crate::{Error, ErrorKind, SendError};

/// Why the program ends.
#[derive(Debug)]
pub(super) struct Failure {
    /// The exit code.
    pub(super) exit: Exit,
    message: String,
}

impl Failure {
    /// The program ends so, and says why.
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { exit, message }
    }

    /// The command line makes no sense.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The user can correct it.
    pub(super) fn fixable(message: impl Into<String>) -> Self {
        Self::new(Exit::Fixable, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(Exit::Internal, error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(Exit::from(&error), error.to_string())
    }
}

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Unreachable => Self::Unavailable,
            ErrorKind::Refused(code) => Self::of_code(code),
            ErrorKind::Unauthenticated => Self::Unauthorised,
            ErrorKind::InvalidInput => Self::Fixable,
            ErrorKind::Timeout => Self::Timeout,
            // The client is closed when this program ends.
            ErrorKind::Closed => Self::Interrupted,
            _ => Self::Internal,
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self::new(Exit::from(&error), error.to_string())
    }
}

impl From<&SendError> for Exit {
    fn from(error: &SendError) -> Self {
        match error {
            SendError::Refused(refusal) => Self::of_code(refusal.code),
            // Closed before there was an answer: nobody knows.
            _ => Self::Unknown,
        }
    }
}
