//! The one table of error and close codes: number, name, meaning, and what a client does next.
//!
//! The thousands digit carries the policy, so that a client acts rightly on a code that is newer
//! than itself: 1xxx try again, 2xxx log in again, 3xxx sync, everything else give up.

use std::fmt;

/// Why something was refused or closed. Open: numbers that this version does not know are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u16);

/// What a client does after a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NextStep {
    /// The same again later, with the same message id; after a close: reconnect.
    Retry,
    /// Get a new ticket (log in if the token is refused too), then reconnect.
    LogIn,
    /// Drop the position and read the log again.
    Sync,
    /// Repeating cannot help: tell the user.
    GiveUp,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The code itself.
    pub code: Code,
    /// Stable name for logs and JSON.
    pub name: &'static str,
    /// One sentence for a person.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($number:literal $constant:ident $name:literal $meaning:literal;)*) => {
        impl Code {
            $(#[doc = $meaning] pub const $constant: Self = Self($number);)*
        }

        /// Every code of this version, by number.
        pub const TABLE: &[Entry] = &[
            $(Entry { code: Code::$constant, name: $name, meaning: $meaning },)*
        ];
    };
}

codes! {
    1001 UNAVAILABLE "unavailable" "A part of the cluster does not answer; the outcome may be unknown.";
    1002 OVERLOADED "overloaded" "Too much at once; slow down.";
    1003 OLD_ROUND "old_round" "An earlier message of this connection must be offered again first.";
    1004 GOING_AWAY "going_away" "The server is stopping; another one takes over.";
    1005 SLOW_READER "slow_reader" "The client does not read what it is sent.";
    1006 SILENT "silent" "The client did not answer a ping in time.";
    1007 HANDSHAKE_TIMEOUT "handshake_timeout" "No valid hello arrived in time.";
    1008 FULL "full" "The server holds as many connections as it may.";
    1009 NO_SERVER "no_server" "No server can take the connection now.";
    2001 TICKET_INVALID "ticket_invalid" "The ticket is not genuine, or not for this device.";
    2002 TICKET_EXPIRED "ticket_expired" "The ticket is too old.";
    2003 LOGGED_OUT "logged_out" "This login has ended: logged out, or logged in anew on the same device.";
    2004 UNAUTHENTICATED "unauthenticated" "The request has no valid token.";
    3001 EPOCH_UNKNOWN "epoch_unknown" "The log began anew; positions from before mean nothing.";
    4001 MALFORMED "malformed" "The bytes or fields are not of the protocol.";
    4002 FRAME_TOO_LARGE "frame_too_large" "The frame is larger than 256 KiB.";
    4003 VERSION_UNSUPPORTED "version_unsupported" "The server does not speak this protocol version; update the client.";
    4004 OUT_OF_ORDER "out_of_order" "The frame is not allowed at this point.";
    4005 TEXT_EMPTY "text_empty" "A message needs a text.";
    4006 TEXT_TOO_LONG "text_too_long" "The text is longer than 64 KiB.";
    4007 ID_CONFLICT "id_conflict" "The same message id was used for another message.";
    4008 USER_UNKNOWN "user_unknown" "There is no such user.";
    4009 NOT_PERMITTED "not_permitted" "The user does not take part in this conversation.";
    4010 DISPLACED "displaced" "A newer connection of the same device, or of the same user, took over.";
    4011 KICKED "kicked" "An operator ended the connection.";
    4012 NAME_INVALID "name_invalid" "The name is not allowed.";
    4013 NAME_TAKEN "name_taken" "The name, or one that looks like it, is taken.";
    4014 PASSWORD_INVALID "password_invalid" "The password is not allowed.";
    4015 WRONG_PASSWORD "wrong_password" "Name or password is wrong.";
    4016 NOT_FOUND "not_found" "There is no such thing.";
    4017 BODY_TOO_LARGE "body_too_large" "The request body is too large.";
    4018 CLOSED "closed" "The client closed the connection.";
    4019 ALREADY_ONLINE "already_online" "The user is online already, and a second login is not allowed.";
    5001 INTERNAL "internal" "A fault of the cluster that repeating will not mend.";
}

impl Code {
    /// What a client does after this code, known or not.
    pub const fn next_step(self) -> NextStep {
        match self.0 / 1000 {
            1 => NextStep::Retry,
            2 => NextStep::LogIn,
            3 => NextStep::Sync,
            _ => NextStep::GiveUp,
        }
    }

    /// Whether the same may succeed later without anybody changing anything.
    pub const fn is_retryable(self) -> bool {
        matches!(self.next_step(), NextStep::Retry)
    }

    /// The stable name, `unknown` for a code of another version.
    pub fn name(self) -> &'static str {
        self.entry().map_or("unknown", |entry| entry.name)
    }

    /// One sentence for a person.
    pub fn meaning(self) -> &'static str {
        self.entry()
            .map_or("A code that this version does not know.", |entry| {
                entry.meaning
            })
    }

    fn entry(self) -> Option<&'static Entry> {
        TABLE.iter().find(|entry| entry.code == self)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_sorted() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code.0 < pair[1].code.0));
        let names: std::collections::HashSet<_> = TABLE.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn unknown_codes_keep_the_policy_of_their_range() {
        assert_eq!(Code(1999).next_step(), NextStep::Retry);
        assert_eq!(Code(2999).next_step(), NextStep::LogIn);
        assert_eq!(Code(3999).next_step(), NextStep::Sync);
        assert_eq!(Code(4999).next_step(), NextStep::GiveUp);
        assert_eq!(Code(0).next_step(), NextStep::GiveUp);
        assert_eq!(Code(60_000).next_step(), NextStep::GiveUp);
        assert_eq!(Code(1999).name(), "unknown");
    }
}
