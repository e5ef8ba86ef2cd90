//! How everything looks: the one boundary between what other people typed and the terminal.
//!
//! [`View`] renders for people, [`json`] for programs. Both keep a reader's terminal his own.

pub(super) mod clock;
pub(super) mod colour;
mod found;
pub(super) mod json;
pub(super) mod mention;
pub(super) mod safe;
#[cfg(test)]
mod tests;

use im_common::id::{ConversationId, UserId};
use im_common::message::Identity;
use im_common::name::fold;
use rust_i18n::t;

use self::clock::Clock;
use self::colour::Colour;
use crate::Message;

/// Foreground colours that are legible on light and dark: red, green, yellow, blue, magenta, cyan.
const COLOURS: u64 = 6;
/// How much of a text is quoted to remind its writer which one is meant.
const EXCERPT_CHARS_MAX: usize = 40;

/// Stands before what the cluster has accepted. Nobody else's line begins so.
const ACCEPTED: &str = "✓ ";

/// How this reader wants to see things.
#[derive(Debug, Clone)]
pub(super) struct View {
    clock: Clock,
    paint: fn(UserId, &str) -> String,
    emphasise: fn(&str) -> String,
}

impl View {
    /// Local time; names in colour where that is wanted.
    pub(super) fn of_terminal(colour: Colour) -> Self {
        match colour.is_on() {
            true => Self::coloured(),
            false => Self::uncoloured(),
        }
    }

    fn coloured() -> Self {
        Self {
            clock: Clock::local(),
            paint: coloured,
            emphasise: bold,
        }
    }

    fn uncoloured() -> Self {
        Self {
            clock: Clock::local(),
            paint: |_user, name| name.to_owned(),
            emphasise: str::to_owned,
        }
    }

    /// Renders a message as `reader` sees it; `peer` is the other side of a private conversation.
    pub(super) fn message(&self, message: &Message, reader: &Identity, peer: &str) -> String {
        let mut mentions = String::new();
        let mut text = safe::paragraph(&message.text);
        if message.sender != reader.user && mention::is_in(&text, reader.name.as_str()) {
            // Said as well as shown, for terminals without colours.
            mentions = format!(" ({})", t!("chat.mentions_you"));
            text = self.with_mentions(&text, reader.name.as_str());
        }
        self.line(message, reader, (peer, &mentions), &text)
    }

    /// A message with a text that is safe to show, and what is to be said of it.
    fn line(
        &self,
        message: &Message,
        reader: &Identity,
        (peer, note): (&str, &str),
        text: &str,
    ) -> String {
        let device = match &message.sender_device {
            Some(device) if message.sender == reader.user && *device != reader.device => {
                format!(" ({})", safe::line(device.as_str()))
            }
            _ => String::new(),
        };
        let to = to(message, reader, peer);
        let (time, sender) = (self.time(message), self.sender(message));
        format!("{time} {sender}{device}{to}{note}: {text}\n")
    }

    /// Renders what this device has sent and the cluster has accepted.
    pub(super) fn accepted(&self, message: &Message, reader: &Identity, peer: &str) -> String {
        let text = safe::paragraph(&message.text);
        let to = to(message, reader, peer);
        let (time, sender) = (self.time(message), self.sender(message));
        format!("{time} {ACCEPTED}{sender}{to}: {text}\n")
    }

    /// Renders the beginning of a private message of a conversation that is not in focus.
    pub(super) fn announcement(&self, message: &Message) -> String {
        let start = excerpt(&message.text);
        let (time, sender) = (self.time(message), self.sender(message));
        let you = t!("chat.you");
        let hint = t!(
            "chat.announced",
            name = safe::line(message.sender_name.as_str())
        );
        format!("{time} {sender} -> {you}: {start} ({hint})\n")
    }

    /// Renders a line of a list of users; the beginning that was asked for stands out.
    pub(super) fn user(&self, user: UserId, name: &str, prefix: &str) -> String {
        let (start, rest) = name.split_at(beginning(name, prefix));
        let start = match start {
            "" => String::new(),
            start => (self.emphasise)(&safe::line(start)),
        };
        let rest = match rest {
            "" => String::new(),
            rest => (self.paint)(user, &safe::line(rest)),
        };
        format!("{user:>6}  {start}{rest}\n")
    }

    fn time(&self, message: &Message) -> String {
        self.clock.show(message.accepted_at_ms)
    }

    /// Renders a moment, in milliseconds since 1970.
    pub(super) fn moment(&self, at_ms: u64) -> String {
        self.clock.show(at_ms)
    }

    fn sender(&self, message: &Message) -> String {
        (self.paint)(message.sender, &safe::line(message.sender_name.as_str()))
    }

    fn with_mentions(&self, text: &str, name: &str) -> String {
        let mut marked = String::with_capacity(text.len());
        let mut shown = 0;
        for place in mention::places(text, name) {
            marked.push_str(&text[shown..place.start]);
            marked.push_str(&(self.emphasise)(&text[place.clone()]));
            shown = place.end;
        }
        marked.push_str(&text[shown..]);
        marked
    }
}

/// Whom a message is for, unless it is for everybody.
fn to(message: &Message, reader: &Identity, peer: &str) -> String {
    match message.conversation {
        ConversationId::Lobby => String::new(),
        ConversationId::Private(..) if message.sender == reader.user => {
            format!(" -> {}", safe::line(peer))
        }
        ConversationId::Private(..) => format!(" -> {}", t!("chat.you")),
    }
}

/// How much of a name is the beginning that was asked for; nothing if it does not begin so.
fn beginning(name: &str, prefix: &str) -> usize {
    let prefix = fold(prefix);
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    match prefix.is_empty() {
        true => 0,
        // Folding may change lengths, so the shortest beginning that has it all is looked for.
        false => ends
            .into_iter()
            .find(|end| fold(&name[..*end]).starts_with(&prefix))
            .unwrap_or(0),
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

    /// Renders a line of a list of users whose names begin with what was asked for.
    pub(super) fn user(&self, user: UserId, name: &str, prefix: &str) -> String {
        match self {
            Self::Text(view) => view.user(user, name, prefix),
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

fn bold(text: &str) -> String {
    format!("\u{1b}[1m{text}\u{1b}[0m")
}
