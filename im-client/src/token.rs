//! The token of a login: what a program keeps to come back without the password.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Text that is never printed.
#[derive(Clone, Default)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Stands for the login of one device: whoever holds it can do all that the device can, without the
/// password. Keep it where only its user can read it. `Debug` does not show it.
///
/// It has no end of its own. It is over when the device logs out
/// ([`Client::logout`](crate::Client::logout)), when the device logs in anew with the password, and
/// when the user has logged in with 32 other devices since; then calls fail with
/// [`ErrorKind::Unauthenticated`](crate::ErrorKind::Unauthenticated).
#[derive(Debug, Clone)]
pub struct Token(Secret);

impl Token {
    /// Takes a token that was kept, as it was.
    pub fn new(token: impl Into<String>) -> Self {
        Self(Secret(token.into()))
    }

    /// The token itself, to be kept.
    pub fn as_str(&self) -> &str {
        &self.0.0
    }
}

/// The token of the current login: the session renews it, the HTTP calls of the client use it.
#[derive(Debug, Clone)]
pub(crate) struct CurrentToken(Arc<Mutex<Token>>);

impl CurrentToken {
    pub(crate) fn new(token: Token) -> Self {
        Self(Arc::new(Mutex::new(token)))
    }

    pub(crate) fn get(&self) -> Token {
        let token = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        token.clone()
    }

    pub(crate) fn replace(&self, token: Token) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }
}
