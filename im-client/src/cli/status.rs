//! What the connection's state means to a person: said once, when it changes.

use im_common::code::Code;
use rust_i18n::t;

use super::exit::Exit;
use super::failure::{Failure, meaning};
use crate::ConnectionState;

/// Follows the connection.
#[derive(Debug, Default)]
pub(super) struct Status {
    is_interrupted: bool,
}

impl Status {
    /// What to say about a state; `None` when the user knows already.
    pub(super) fn note(&mut self, state: &ConnectionState) -> Option<String> {
        match state {
            state if state.is_attached() && self.is_interrupted => {
                self.is_interrupted = false;
                Some(t!("status.again").into_owned())
            }
            // Further attempts would say the same, every few seconds.
            ConnectionState::BackingOff { reason, .. } if !self.is_interrupted => {
                self.is_interrupted = true;
                Some(t!("status.reconnecting", reason = reason).into_owned())
            }
            _ => None,
        }
    }
}

/// A state in one line, for `:info`.
pub(super) fn describe(state: &ConnectionState) -> String {
    let text = match state {
        ConnectionState::Connecting => t!("status.connecting"),
        ConnectionState::CatchingUp { server } => t!("status.catching_up", server = server),
        ConnectionState::Attached { server } => t!("status.attached", server = server),
        ConnectionState::BackingOff { delay, reason, .. } => {
            let seconds = format!("{:.1}", delay.as_secs_f32());
            t!("status.backing_off", reason = reason, seconds = seconds)
        }
        ConnectionState::Refused(code) => t!("status.refused", reason = meaning(*code)),
        ConnectionState::Closed => t!("status.closed"),
    };
    text.into_owned()
}

/// Why a client that will never be attached again ends the program.
pub(super) fn ending(state: &ConnectionState) -> Failure {
    match state {
        ConnectionState::Refused(Code::DISPLACED | Code::LOGGED_OUT) => {
            Failure::new(Exit::Unauthorised, t!("status.displaced"))
        }
        ConnectionState::Refused(code) => Failure::new(
            Exit::of_code(*code),
            t!("status.ended", reason = meaning(*code)),
        ),
        _ => Failure::new(Exit::Done, t!("status.disconnected")),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use im_common::id::ServerId;

    use super::*;

    #[test]
    fn a_loss_and_a_return_are_said_once() {
        let attached = ConnectionState::Attached {
            server: ServerId::fresh(),
        };
        let backing_off = |reason: &str| ConnectionState::BackingOff {
            delay: Duration::from_secs(1),
            code: None,
            reason: reason.to_owned(),
        };
        let mut status = Status::default();
        assert_eq!(status.note(&ConnectionState::Connecting), None);
        assert_eq!(status.note(&attached), None);
        let said = status.note(&backing_off("the server is gone"));
        assert_eq!(said.as_deref(), Some("reconnecting: the server is gone"));
        assert_eq!(status.note(&ConnectionState::Connecting), None);
        assert_eq!(status.note(&backing_off("no route")), None);
        assert_eq!(status.note(&attached).as_deref(), Some("connected again"));
        assert_eq!(status.note(&attached), None);
    }

    #[test]
    fn an_ending_has_the_exit_code_of_its_reason() {
        for (code, exit) in [
            (Code::DISPLACED, Exit::Unauthorised),
            (Code::KICKED, Exit::Unauthorised),
            (Code::VERSION_UNSUPPORTED, Exit::Fixable),
        ] {
            assert_eq!(ending(&ConnectionState::Refused(code)).exit, exit);
        }
    }
}
