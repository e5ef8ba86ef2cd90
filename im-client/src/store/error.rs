//! Why a store cannot do what it is asked.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// A failure of a [`Store`](super::Store), with a kind to act on and a text for a person.
#[derive(Debug, Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What to do about a [`StoreError`] depends on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// It cannot be read or written now.
    Unavailable,
    /// It keeps as much as it may.
    Full,
    /// Another client uses it.
    InUse,
    /// It belongs to another user or device.
    Foreign,
    /// What it holds makes no sense.
    Damaged,
}

impl StoreError {
    /// A failure of that kind.
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Adds the error behind it.
    #[must_use]
    pub fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// What happened, to act on.
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether the same may succeed later without anybody mending the store.
    pub const fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

impl StoreErrorKind {
    /// Whether the same may succeed later without anybody mending the store.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Full | Self::InUse)
    }
}

/// With the error behind it: it says most where the disk is at fault.
impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}: {source}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// The same kind and text: what is behind it cannot be compared.
impl PartialEq for StoreError {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.message == other.message
    }
}

impl Eq for StoreError {}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
