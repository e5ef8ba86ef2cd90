//! Why a line cannot be obeyed, and what to type instead.

use std::fmt;

use rust_i18n::t;

/// A line that cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Mistake {
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
        let text = match self {
            Self::UnknownCommand {
                word,
                nearest: Some(nearest),
            } => t!("command.mistake.near", word = word, nearest = nearest),
            Self::UnknownCommand { word, .. } => t!("command.mistake.unknown", word = word),
            Self::Arguments { usage } => t!("command.mistake.usage", usage = usage),
            Self::Recipient { typed, reason } => {
                t!("command.mistake.recipient", typed = typed, reason = reason)
            }
            Self::NoText => t!("command.mistake.no_text"),
        };
        f.write_str(&text)
    }
}
