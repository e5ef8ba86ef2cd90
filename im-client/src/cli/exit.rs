//! What the exit codes of `im` mean: one table, which is also in the help.

use std::process::ExitCode;

use im_common::code::{Code, NextStep};
use rust_i18n::t;

/// How `im` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything that was asked for is done.
    Done,
    /// The user can correct it.
    Fixable,
    /// The command line makes no sense.
    Usage,
    /// The cluster cannot be reached, or cannot serve now.
    Unavailable,
    /// The login was refused or has ended.
    Unauthorised,
    /// Too much at once.
    RateLimited,
    /// A message was offered and nobody knows whether it was accepted.
    Unknown,
    /// Not there, or not permitted.
    NotFound,
    /// It took too long.
    Timeout,
    /// A fault of the program or the cluster.
    Internal,
    /// The terminal was closed.
    Hangup,
    /// Ctrl-C.
    Interrupted,
    /// Asked to stop by SIGTERM.
    Terminated,
}

/// Every way to end, with its number and the key of its line in the help.
const TABLE: &[(Exit, u8, &str)] = &[
    (Exit::Done, 0, "exit.done"),
    (Exit::Fixable, 1, "exit.fixable"),
    (Exit::Usage, 2, "exit.usage"),
    (Exit::Unavailable, 3, "exit.unavailable"),
    (Exit::Unauthorised, 4, "exit.unauthorised"),
    (Exit::RateLimited, 5, "exit.rate_limited"),
    (Exit::Unknown, 6, "exit.unknown"),
    (Exit::NotFound, 7, "exit.not_found"),
    (Exit::Timeout, 8, "exit.timeout"),
    (Exit::Internal, 70, "exit.internal"),
    (Exit::Hangup, 129, "exit.hangup"),
    (Exit::Interrupted, 130, "exit.interrupted"),
    (Exit::Terminated, 143, "exit.terminated"),
];

impl Exit {
    /// The number that the shell sees.
    pub fn number(self) -> u8 {
        self.entry().1
    }

    /// A few words for a person.
    pub(super) fn meaning(self) -> String {
        t!(self.entry().2).into_owned()
    }

    fn entry(self) -> &'static (Self, u8, &'static str) {
        let entry = TABLE.iter().find(|(exit, ..)| *exit == self);
        entry.expect("a test finds every way to end in the table")
    }

    /// Renders the table for the help.
    pub(super) fn help() -> String {
        let lines = TABLE
            .iter()
            .map(|(exit, number, _)| format!("\n  {number:>3}  {}", exit.meaning()));
        format!("{}{}", t!("help.exit_codes"), lines.collect::<String>())
    }

    /// How a refusal with this code ends the program. Codes of later versions follow their range.
    pub(super) fn of_code(code: Code) -> Self {
        match code {
            Code::OVERLOADED | Code::FULL | Code::SLOW_READER => Self::RateLimited,
            Code::SILENT | Code::HANDSHAKE_TIMEOUT => Self::Timeout,
            Code::WRONG_PASSWORD | Code::DISPLACED | Code::KICKED | Code::ALREADY_ONLINE => {
                Self::Unauthorised
            }
            Code::USER_UNKNOWN | Code::NOT_PERMITTED | Code::NOT_FOUND => Self::NotFound,
            Code::NAME_INVALID
            | Code::NAME_TAKEN
            | Code::PASSWORD_INVALID
            | Code::TEXT_EMPTY
            | Code::TEXT_TOO_LONG
            | Code::VERSION_UNSUPPORTED => Self::Fixable,
            other => match other.next_step() {
                NextStep::Retry => Self::Unavailable,
                NextStep::LogIn => Self::Unauthorised,
                NextStep::Sync | NextStep::GiveUp => Self::Internal,
            },
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_in_the_help() {
        assert!(TABLE.windows(2).all(|pair| pair[0].1 < pair[1].1));
        let help = Exit::help();
        for (exit, number, _) in TABLE {
            assert_eq!(exit.number(), *number);
            assert!(help.contains(&format!("{number:>3}  {}", exit.meaning())));
        }
    }

    #[test]
    fn codes_end_as_the_user_can_act_on_them() {
        for (code, number) in [
            (Code::UNAVAILABLE, 3),
            (Code::NO_SERVER, 3),
            (Code::OVERLOADED, 5),
            (Code::HANDSHAKE_TIMEOUT, 8),
            (Code::TICKET_EXPIRED, 4),
            (Code::LOGGED_OUT, 4),
            (Code::DISPLACED, 4),
            (Code::ALREADY_ONLINE, 4),
            (Code::WRONG_PASSWORD, 4),
            (Code::NAME_TAKEN, 1),
            (Code::TEXT_TOO_LONG, 1),
            (Code::USER_UNKNOWN, 7),
            (Code::NOT_PERMITTED, 7),
            (Code::MALFORMED, 70),
            (Code::INTERNAL, 70),
            (Code(1999), 3),
            (Code(2999), 4),
            (Code(4999), 70),
        ] {
            assert_eq!(Exit::of_code(code).number(), number, "{code}");
        }
    }

    #[test]
    fn every_known_code_ends_unlike_success() {
        for entry in im_common::code::TABLE {
            assert_ne!(Exit::of_code(entry.code), Exit::Done, "{}", entry.code);
        }
    }
}
