//! Why a connection ends, whatever its client speaks.

use im_common::code::Code;

use crate::writing::Unwritten;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The network has failed, or the client without taking its leave.
    Gone,
    /// The client has taken its leave, as its protocol has it.
    Left,
    /// The server hangs up. The client is told why, if its protocol can say it.
    Close(Code),
}

impl Ending {
    /// As it stands in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Left => "left",
            Self::Close(code) => code.name(),
        }
    }
}

impl From<Unwritten> for Ending {
    fn from(unwritten: Unwritten) -> Self {
        match unwritten {
            Unwritten::Gone => Self::Gone,
            Unwritten::Close(code) => Self::Close(code),
        }
    }
}
