//! What happened, as the rules take it: how a send ended, and what a handler saw.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use im_client::SendError;
use im_common::id::{ConversationId, DeviceId, LogEpoch, Sequence, UserId};
use im_common::message::Receipt;

/// How a send ended, for the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Not ended yet.
    Pending,
    /// It is in the log.
    Accepted,
    /// It is not, and never will be.
    Refused,
    /// Nobody can tell.
    Unknown,
}

impl From<&Result<Receipt, SendError>> for Outcome {
    fn from(result: &Result<Receipt, SendError>) -> Self {
        match result {
            Ok(_) => Self::Accepted,
            Err(SendError::Refused(_)) => Self::Refused,
            Err(_) => Self::Unknown,
        }
    }
}

/// A message as a handler saw it.
#[derive(Debug, Clone, Copy)]
pub struct Handled<'a> {
    /// Whose it is, according to the cluster.
    pub sender: UserId,
    /// From which device, where the cluster says so.
    pub device: Option<&'a DeviceId>,
    /// Where it is; CIM tells its clients nothing of that.
    pub place: Option<Place<'a>>,
    /// What it says.
    pub text: &'a str,
}

/// Where a message is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// In which log.
    pub conversation: &'a ConversationId,
    /// In which life of the log.
    pub epoch: LogEpoch,
    /// At which sequence.
    pub sequence: Sequence,
}

/// The number in a text, if it has one.
pub fn number_of(text: &str) -> Option<u32> {
    text.split_once('@')?.0.parse().ok()
}

/// What a text is recognised by.
pub(super) fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
