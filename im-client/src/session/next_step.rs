//! What a close code means for the session. Pure.

use im_common::code::{Code, NextStep};

/// What to do after a server closed or refused a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterClose {
    /// Connect again, to another server first.
    Reconnect,
    /// As before, with a fresh ticket.
    NewTicket,
    /// The end.
    GiveUp,
}

pub(super) const fn after_close(code: Code) -> AfterClose {
    match code {
        // Somebody logged in anew on this device, or logged it out: logging in again would throw
        // them out, and they would come back, without end.
        Code::LOGGED_OUT => AfterClose::GiveUp,
        _ => match code.next_step() {
            NextStep::Retry | NextStep::Sync => AfterClose::Reconnect,
            NextStep::LogIn => AfterClose::NewTicket,
            NextStep::GiveUp => AfterClose::GiveUp,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use im_common::code::TABLE;

    #[test]
    fn every_code_has_its_consequence() {
        for entry in TABLE {
            let expected = match entry.code {
                Code::LOGGED_OUT => AfterClose::GiveUp,
                Code(2000..=2999) => AfterClose::NewTicket,
                Code(1000..=1999 | 3000..=3999) => AfterClose::Reconnect,
                _ => AfterClose::GiveUp,
            };
            assert_eq!(after_close(entry.code), expected, "{}", entry.code);
        }
        for (unknown, expected) in [
            (1999, AfterClose::Reconnect),
            (2999, AfterClose::NewTicket),
            (4999, AfterClose::GiveUp),
        ] {
            assert_eq!(after_close(Code(unknown)), expected);
        }
    }
}
