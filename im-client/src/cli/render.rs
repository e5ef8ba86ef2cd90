//! How everything looks: the one boundary between what other people typed and the terminal.
//!
//! [`View`] renders for people, [`json`] for programs. Both keep a reader's terminal his own.

pub(super) mod clock;
pub(super) mod colour;
pub(super) mod json;
pub(super) mod safe;
#[cfg(test)]
mod tests;

use im_common::id::{ConversationId, UserId};
use im_common::message::Identity;

use self::clock::Clock;
use self::colour::Colour;
use crate::Message;

/// Foreground colours that are legible on light and dark: red, green, yellow, blue, magenta, cyan.
const COLOURS: u64 = 6;
/// How much of a text is quoted to remind its writer which one is meant.
const EXCERPT_CHARS_MAX: usize = 40;

/// How this reader wants to see things.
#[derive(Debug, Clone)]
pub(super) struct View {
    clock: Clock,
    paint: fn(UserId, &str) -> String,
}

impl View {
    /// Local time; names in colour where that is wanted.
    pub(super) fn of_terminal(colour: Colour) -> Self {
        let paint = if colour.is_on() { coloured } else { uncoloured };
        Self {
            clock: Clock::local(),
            paint,
        }
    }

    /// Renders a message as `reader` sees it; `peer` is the other side of a private conversation.
    pub(super) fn message(&self, message: &Message, reader: &Identity, peer: &str) -> String {
        let time = self.clock.show(message.accepted_at_ms);
        let sender = (self.paint)(message.sender, &safe::line(message.sender_name.as_str()));
        let device = match &message.sender_device {
            Some(device) if message.sender == reader.user && *device != reader.device => {
                format!(" ({})", safe::line(device.as_str()))
            }
            _ => String::new(),
        };
        let to = match message.conversation {
            ConversationId::Lobby => String::new(),
            ConversationId::Private(..) if message.sender == reader.user => {
                format!(" -> {}", safe::line(peer))
            }
            ConversationId::Private(..) => " -> you".to_owned(),
        };
        let text = safe::paragraph(&message.text);
        format!("{time} {sender}{device}{to}: {text}\n")
    }

    /// Renders a line of a list of users.
    pub(super) fn user(&self, user: UserId, name: &str) -> String {
        let name = (self.paint)(user, &safe::line(name));
        format!("{user:>6}  {name}\n")
    }
}

/// For whom a command prints.
#[derive(Debug, Clone)]
pub(super) enum Format {
    /// For a person.
    Text(View),
    /// For a program: one object on a line.
    Json,
}

impl Format {
    /// As the command line asks.
    pub(super) fn of(json: bool, colour: Colour) -> Self {
        match json {
            true => Self::Json,
            false => Self::Text(View::of_terminal(colour)),
        }
    }

    /// Renders a line of a list of users.
    pub(super) fn user(&self, user: UserId, name: &str) -> String {
        match self {
            Self::Text(view) => view.user(user, name),
            Self::Json => json::user(user, name),
        }
    }
}

/// Renders a line that the program says, unlike anything a person can send.
pub(super) fn notice(text: &str) -> String {
    format!("* {}\n", safe::line(text))
}

/// Quotes the beginning of a text.
pub(super) fn excerpt(text: &str) -> String {
    let mut characters = text.chars();
    let start: String = characters.by_ref().take(EXCERPT_CHARS_MAX).collect();
    let more = if characters.next().is_some() {
        "…"
    } else {
        ""
    };
    format!("\"{}{more}\"", safe::line(&start))
}

fn coloured(user: UserId, name: &str) -> String {
    format!("\u{1b}[{}m{name}\u{1b}[0m", 31 + user.number() % COLOURS)
}

fn uncoloured(_user: UserId, name: &str) -> String {
    name.to_owned()
}
