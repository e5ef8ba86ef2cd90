//! A reason for ending: what to tell the user, and the exit code for programs.

use std::borrow::Cow;
use std::fmt;
use std::io;

use im_common::code::Code;
use rust_i18n::t;

use super::exit::Exit;
use super::language;
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
    pub(super) fn new(exit: Exit, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into().into_owned();
        Self { exit, message }
    }

    /// The command line makes no sense.
    pub(super) fn usage(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The user can correct it.
    pub(super) fn fixable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Exit::Fixable, message)
    }
}

/// Says what went wrong, in the reader's language.
pub(super) fn explain(error: &Error) -> String {
    if let Some(code) = error.code() {
        return said_by_cluster(code, &error.to_string());
    }
    match error.kind() {
        ErrorKind::Unreachable => t!("failure.unreachable", why = error).into_owned(),
        ErrorKind::Timeout => t!("failure.timeout", why = error).into_owned(),
        _ => error.to_string(),
    }
}

/// Says how a send ended, in the reader's language.
pub(super) fn explain_send(error: &SendError) -> String {
    match error {
        SendError::Refused(refusal) => {
            let why = said_by_cluster(refusal.code, &refusal.reason);
            t!("failure.refused", why = why).into_owned()
        }
        _ => t!("failure.unknown").into_owned(),
    }
}

/// The meaning of a code, in the reader's language.
pub(super) fn meaning(code: Code) -> String {
    let key = format!("code.{}", code.name());
    let text = crate::_rust_i18n_try_translate(&rust_i18n::locale(), &key);
    text.map_or_else(|| code.meaning().to_owned(), Cow::into_owned)
}

/// The cluster speaks English, and more exactly than its codes do; others read the code's meaning.
fn said_by_cluster(code: Code, english: &str) -> String {
    match language::is_english() {
        true => english.to_owned(),
        false => meaning(code),
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
        Self::new(Exit::from(&error), explain(&error))
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
        Self::new(Exit::from(&error), explain_send(&error))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_meaning_in_the_catalogue() {
        for entry in im_common::code::TABLE {
            let key = format!("code.{}", entry.name);
            let text = |language| crate::_rust_i18n_try_translate(language, &key);
            let english = text("en").unwrap_or_default();
            assert_eq!(english, entry.meaning, "{key}");
            assert_ne!(text("zh-CN").unwrap_or_default(), english, "{key}");
        }
        assert_eq!(meaning(Code(1999)), Code(1999).meaning());
    }
}
