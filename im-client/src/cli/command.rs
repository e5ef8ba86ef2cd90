//! What a typed line means. Pure; the chat acts on it.
//!
//! The rule that matters most: a line that looks like a command, or like a private message, is
//! never sent to everybody because of a slip of the finger.

use std::fmt;

use im_common::message::Recipient;

use super::nearest;

#[cfg(test)]
mod tests;

/// Messages shown by `:history` when no number is given: about a screen.
pub(super) const HISTORY_DEFAULT: usize = 20;
/// Messages that `:history` shows at most: what a person may still scroll through.
pub(super) const HISTORY_MAX: usize = 200;

/// A line of the table of commands: the source of `:all`, of completion and of suggestions.
#[derive(Debug)]
pub(super) struct CommandLine {
    /// The word behind the colon.
    pub(super) word: &'static str,
    /// What may follow it.
    pub(super) arguments: &'static str,
    /// What it does.
    pub(super) summary: &'static str,
    parse: fn(&str) -> Option<Command>,
}

impl CommandLine {
    /// How it is typed.
    pub(super) fn usage(&self) -> String {
        let usage = format!(":{} {}", self.word, self.arguments);
        usage.trim_end().to_owned()
    }
}

/// Every command, in the order in which `:all` lists them.
pub(super) const COMMANDS: &[CommandLine] = &[
    CommandLine {
        word: "olu",
        arguments: "[PREFIX]",
        summary: "who is online, by the beginning of the name",
        parse: |arguments| Some(Command::Online(arguments.to_owned())),
    },
    CommandLine {
        word: "more",
        arguments: "",
        summary: "the next page of :olu",
        parse: |arguments| arguments.is_empty().then_some(Command::More),
    },
    CommandLine {
        word: "history",
        arguments: "[WHO] [N]",
        summary: "the last N messages of the lobby, or with WHO",
        parse: history,
    },
    CommandLine {
        word: "info",
        arguments: "",
        summary: "your name, id, device and connection",
        parse: |arguments| arguments.is_empty().then_some(Command::Info),
    },
    CommandLine {
        word: "all",
        arguments: "",
        summary: "this list",
        parse: |arguments| arguments.is_empty().then_some(Command::Help),
    },
    CommandLine {
        word: "help",
        arguments: "",
        summary: "this list",
        parse: |arguments| arguments.is_empty().then_some(Command::Help),
    },
    CommandLine {
        word: "q",
        arguments: "",
        summary: "quit, after what was sent is answered",
        parse: |arguments| arguments.is_empty().then_some(Command::Quit),
    },
    CommandLine {
        word: "q!",
        arguments: "",
        summary: "quit at once",
        parse: |arguments| arguments.is_empty().then_some(Command::QuitAtOnce),
    },
];

/// The other things that can be typed, for `:all`.
pub(super) const LINES: &[(&str, &str)] = &[
    ("TEXT", "to everybody in the lobby"),
    ("@NAME TEXT", "to one user, by name"),
    ("ID;;TEXT", "to one user, by id or name"),
    (
        "::TEXT, @@TEXT",
        "text that begins with a colon or an at sign",
    ),
];

/// A line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing but white space.
    Empty,
    /// Something to send.
    Say {
        /// Whom it is for.
        to: Recipient,
        /// What it says.
        text: String,
    },
    /// Something to do.
    Command(Command),
}

/// What `:word` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Who is online, whose name begins so.
    Online(String),
    /// The next page of it.
    More,
    /// Messages of the past.
    History {
        /// The conversation.
        with: Recipient,
        /// How many.
        limit: usize,
    },
    /// Who and where am I.
    Info,
    /// What can be typed.
    Help,
    /// Leave once everything is answered.
    Quit,
    /// Leave.
    QuitAtOnce,
}

/// Why a line cannot be obeyed; the text tells what to type instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mistake {
    /// No command of this name.
    UnknownCommand {
        /// What was typed behind the colon.
        word: String,
        /// The nearest command.
        nearest: Option<&'static str>,
    },
    /// The command exists, its arguments do not fit.
    Arguments {
        /// How it is used.
        usage: String,
    },
    /// Not a name or id.
    Recipient {
        /// What was typed.
        typed: String,
        /// What a name is.
        reason: String,
    },
    /// A recipient and nothing to say.
    NoText,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCommand { word, nearest } => {
                write!(f, "no command :{word}")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean :{nearest}?")?,
                    None => f.write_str("; :all lists them")?,
                }
                f.write_str(" (not sent; to send it as text, begin with ::)")
            }
            Self::Arguments { usage } => write!(f, "it is used so: {usage}"),
            Self::Recipient { typed, reason } => write!(
                f,
                "not sent: {typed:?} is no recipient: {reason}; lobby;;TEXT sends any text to everybody"
            ),
            Self::NoText => f.write_str("not sent: there is no text"),
        }
    }
}

/// Understands a line.
pub(super) fn parse(line: &str) -> Result<Line, Mistake> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let start = line.trim_start();
    if start.is_empty() {
        return Ok(Line::Empty);
    }
    if let Some(escaped) = start.strip_prefix("::") {
        return say(Recipient::Lobby, &format!(":{escaped}"));
    }
    if let Some(command) = start.strip_prefix(':') {
        return parse_command(command).map(Line::Command);
    }
    if start.starts_with("@@") {
        return say(Recipient::Lobby, &start[1..]);
    }
    if let Some(addressed) = start.strip_prefix('@') {
        let (name, text) = split_word(addressed);
        // "@bob: hello" is how people write.
        return say(recipient(name.trim_end_matches([':', ',']))?, text);
    }
    match line.split_once(";;") {
        Some((to, text)) if is_one_word(to) => say(recipient(to.trim())?, text),
        _ => say(Recipient::Lobby, line),
    }
}

fn say(to: Recipient, text: &str) -> Result<Line, Mistake> {
    if text.trim().is_empty() {
        return Err(Mistake::NoText);
    }
    let text = text.to_owned();
    Ok(Line::Say { to, text })
}

fn parse_command(typed: &str) -> Result<Command, Mistake> {
    let (word, arguments) = split_word(typed);
    let Some(command) = COMMANDS.iter().find(|command| command.word == word) else {
        return Err(Mistake::UnknownCommand {
            word: word.to_owned(),
            nearest: nearest::among(word, COMMANDS.iter().map(|command| command.word)),
        });
    };
    (command.parse)(arguments.trim()).ok_or_else(|| Mistake::Arguments {
        usage: command.usage(),
    })
}

/// `5` is a number of messages; a user is `@name`, `name`, or an id with a number behind it.
fn history(arguments: &str) -> Option<Command> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let (with, limit) = match words[..] {
        [] => (Recipient::Lobby, HISTORY_DEFAULT),
        [one] => match one.parse() {
            Ok(limit) => (Recipient::Lobby, limit),
            Err(_) => (recipient(one).ok()?, HISTORY_DEFAULT),
        },
        [who, limit] => (recipient(who).ok()?, limit.parse().ok()?),
        _ => return None,
    };
    let limit = limit.clamp(1, HISTORY_MAX);
    Some(Command::History { with, limit })
}

/// Reads a recipient as people type it: an `@` may stand before anything.
pub(super) fn recipient(typed: &str) -> Result<Recipient, Mistake> {
    let bare = typed.strip_prefix('@').unwrap_or(typed);
    bare.parse().map_err(|reason| Mistake::Recipient {
        typed: typed.chars().take(40).collect(),
        reason: format!("{reason}"),
    })
}

fn is_one_word(text: &str) -> bool {
    !text.trim().contains(char::is_whitespace)
}

/// The first word, and what follows the white space behind it.
fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}
