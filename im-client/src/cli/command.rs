//! What a typed line means. Pure; the chat acts on it.
//!
//! The rule that matters most: a line that looks like a command, or like a private message, is
//! never sent to anybody else because of a slip of the finger.

use super::nearest;

mod delay;
mod mistake;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use im_common::message::Recipient;
use rust_i18n::t;

pub(super) use self::delay::Delay;
pub(super) use self::mistake::Mistake;

/// Messages shown by `:history` when no number is given: about a screen.
pub(super) const HISTORY_DEFAULT: usize = 20;
/// Messages that `:history` shows at most: what a person may still scroll through.
pub(super) const HISTORY_MAX: usize = 200;

/// A line of the table of commands: the source of `:all`, of `:help`, of completion and of
/// suggestions.
#[derive(Debug)]
pub(super) struct CommandLine {
    /// The word behind the colon.
    pub(super) word: &'static str,
    /// What may follow it.
    pub(super) arguments: &'static str,
    /// What it does, in a line.
    pub(super) summary: fn() -> Cow<'static, str>,
    /// What else `:help` tells about it.
    pub(super) details: Option<fn() -> Cow<'static, str>>,
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
        word: "to",
        arguments: "[WHO]",
        summary: || t!("command.to"),
        details: Some(|| t!("command.to.details")),
        parse: to,
    },
    CommandLine {
        word: "unread",
        arguments: "",
        summary: || t!("command.unread"),
        details: None,
        parse: |arguments| arguments.is_empty().then_some(Command::Unread),
    },
    CommandLine {
        word: "who",
        arguments: "",
        summary: || t!("command.who"),
        details: None,
        parse: |arguments| arguments.is_empty().then_some(Command::Who),
    },
    CommandLine {
        word: "olu",
        arguments: "[PREFIX]",
        summary: || t!("command.olu"),
        details: None,
        parse: |arguments| Some(Command::Online(arguments.to_owned())),
    },
    CommandLine {
        word: "pu",
        arguments: "PREFIX",
        summary: || t!("command.pu"),
        details: None,
        parse: |arguments| {
            let prefix = arguments.to_owned();
            (!arguments.is_empty()).then_some(Command::Online(prefix))
        },
    },
    CommandLine {
        word: "more",
        arguments: "",
        summary: || t!("command.more"),
        details: None,
        parse: |arguments| arguments.is_empty().then_some(Command::More),
    },
    CommandLine {
        word: "history",
        arguments: "[WHO] [N]",
        summary: || t!("command.history"),
        details: None,
        parse: history,
    },
    CommandLine {
        word: "search",
        arguments: "WORDS [FILTER]",
        summary: || t!("command.search"),
        details: Some(|| t!("command.search.details")),
        parse: |arguments| (!arguments.is_empty()).then(|| Command::Search(arguments.to_owned())),
    },
    CommandLine {
        word: "delay",
        arguments: "[SECONDS TEXT | cancel N]",
        summary: || t!("command.delay"),
        details: Some(|| t!("command.delay.details")),
        parse: |arguments| delay::parse(arguments).map(Command::Delay),
    },
    CommandLine {
        word: "emoji",
        arguments: "[PAGE]",
        summary: || t!("command.emoji"),
        details: Some(|| t!("command.emoji.details")),
        parse: emoji,
    },
    CommandLine {
        word: "ai",
        arguments: "",
        summary: || t!("command.ai"),
        details: None,
        parse: |arguments| arguments.is_empty().then_some(Command::Ai(true)),
    },
    CommandLine {
        word: "qai",
        arguments: "",
        summary: || t!("command.qai"),
        details: None,
        parse: |arguments| arguments.is_empty().then_some(Command::Ai(false)),
    },
    CommandLine {
        word: "info",
        arguments: "",
        summary: || t!("command.info"),
        details: None,
        parse: |arguments| arguments.is_empty().then_some(Command::Info),
    },
    CommandLine {
        word: "all",
        arguments: "",
        summary: || t!("command.all"),
        details: None,
        parse: |arguments| arguments.is_empty().then_some(Command::All),
    },
    CommandLine {
        word: "help",
        arguments: "[COMMAND]",
        summary: || t!("command.help"),
        details: None,
        parse: help,
    },
    CommandLine {
        word: "q",
        arguments: "",
        summary: || t!("command.q"),
        details: Some(|| t!("command.q.details")),
        parse: |arguments| match arguments {
            "" => Some(Command::Quit),
            words => Some(Command::SearchByQ(words.to_owned())),
        },
    },
    CommandLine {
        word: "q!",
        arguments: "",
        summary: || t!("command.q_at_once"),
        details: None,
        parse: |arguments| arguments.is_empty().then_some(Command::QuitAtOnce),
    },
];

/// Something else that can be typed: how, and what it does.
type OtherLine = (&'static str, fn() -> Cow<'static, str>);

/// The other things that can be typed, for `:all`.
pub(super) const LINES: &[OtherLine] = &[
    ("TEXT", || t!("command.line.text")),
    ("@NAME TEXT", || t!("command.line.name")),
    ("ID;;TEXT", || t!("command.line.id")),
    ("lobby;;TEXT", || t!("command.line.lobby")),
    ("::TEXT, @@TEXT", || t!("command.line.escaped")),
];

/// A line, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing but white space.
    Empty,
    /// A text for the conversation in focus.
    Text(String),
    /// A text for somebody who is named in the line.
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
    /// Another conversation in focus.
    To(Recipient),
    /// What came in other conversations.
    Unread,
    /// Who is in focus, unread and online.
    Who,
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
    /// Messages of the past in which something was said.
    Search(String),
    /// The same, asked for with `:q WORDS`, as other programs of this kind do.
    SearchByQ(String),
    /// Texts that are to be sent later.
    Delay(Delay),
    /// A page of emoji and their names.
    Emoji(usize),
    /// Begin or end to answer texts here instead of sending them.
    Ai(bool),
    /// Who and where am I.
    Info,
    /// Everything that can be typed.
    All,
    /// How one command is used.
    Help(&'static CommandLine),
    /// Leave once everything is answered.
    Quit,
    /// Leave.
    QuitAtOnce,
}

impl PartialEq for CommandLine {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl Eq for CommandLine {}

/// Whether a line is a command, right or wrong, and no text.
pub(super) fn is_command(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with(':') && !line.starts_with("::")
}

/// Whether a name may follow a command, as far as it is typed.
pub(super) fn takes_a_name(typed: &str) -> bool {
    let command = typed.strip_prefix(':').and_then(find);
    command.is_some_and(|command| {
        ["[WHO]", "[PREFIX]", "PREFIX"]
            .iter()
            .any(|name| command.arguments.starts_with(name))
    })
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
        return text(&format!(":{escaped}"));
    }
    if let Some(command) = start.strip_prefix(':') {
        return parse_command(command).map(Line::Command);
    }
    if start.starts_with("@@") {
        return text(&start[1..]);
    }
    if let Some(addressed) = start.strip_prefix('@') {
        let (name, text) = split_word(addressed);
        // "@bob: hello" is how people write.
        return say(recipient(name.trim_end_matches([':', ',']))?, text);
    }
    match line.split_once(";;") {
        Some((to, text)) if is_one_word(to) => say(recipient(to.trim())?, text),
        _ => text(line),
    }
}

fn text(text: &str) -> Result<Line, Mistake> {
    match text.trim().is_empty() {
        true => Err(Mistake::NoText),
        false => Ok(Line::Text(text.to_owned())),
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
    let Some(command) = find(word) else {
        return Err(Mistake::UnknownCommand {
            word: word.to_owned(),
            nearest: nearest::among(word, COMMANDS.iter().map(|command| command.word)),
        });
    };
    (command.parse)(arguments.trim()).ok_or_else(|| Mistake::Arguments {
        usage: command.usage(),
    })
}

fn find(word: &str) -> Option<&'static CommandLine> {
    COMMANDS.iter().find(|command| command.word == word)
}

/// Nobody named is the lobby: the way back.
fn to(arguments: &str) -> Option<Command> {
    let whom = match arguments {
        "" => Recipient::Lobby,
        named => recipient(named).ok()?,
    };
    Some(Command::To(whom))
}

fn emoji(arguments: &str) -> Option<Command> {
    let page = match arguments {
        "" => 1,
        page => page.parse().ok()?,
    };
    Some(Command::Emoji(page))
}

fn help(arguments: &str) -> Option<Command> {
    match arguments {
        "" => Some(Command::All),
        word => find(word.trim_start_matches(':')).map(Command::Help),
    }
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
