//! What is wrong with the command line, in the reader's language.
//!
//! The parser finds it and words it in English; what it says rarely is left as it is.

use std::error::Error as _;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use rust_i18n::t;

use super::render::safe;

/// Says what is wrong, what may have been meant, how the command is used, and who explains it.
/// Words that were given are made safe where they are quoted; a script may have them from anywhere.
pub(super) fn told(error: &Error) -> String {
    let mut lines = vec![format!("im: {}", mistake(error))];
    lines.extend(nearest(error).map(|word| t!("usage.nearest", word = word).into_owned()));
    lines.extend(usage(error));
    lines.push(t!("usage.help").into_owned());
    lines.join("\n")
}

/// Says in one line what is wrong.
pub(super) fn mistake(error: &Error) -> String {
    translated(error).unwrap_or_else(|| {
        let said = error.to_string();
        let first = said.lines().next().unwrap_or_default();
        safe::line(first.trim_start_matches("error: "))
    })
}

/// `None` for what is worded by the parser.
fn translated(error: &Error) -> Option<String> {
    let given = |kind| word(error, kind);
    let option = || given(ContextKind::InvalidArg);
    let text = match error.kind() {
        ErrorKind::UnknownArgument => match option()? {
            option if option.starts_with('-') => t!("usage.option", option = option),
            word => t!("usage.surplus", word = word),
        },
        ErrorKind::InvalidSubcommand => {
            t!(
                "usage.command",
                word = given(ContextKind::InvalidSubcommand)?
            )
        }
        ErrorKind::MissingRequiredArgument => t!("usage.missing", what = option()?),
        ErrorKind::ArgumentConflict => match (option()?, given(ContextKind::PriorArg)?) {
            (option, prior) if option == prior => t!("usage.twice", option = option),
            (option, prior) => t!("usage.conflict", option = option, prior = prior),
        },
        ErrorKind::NoEquals => t!("usage.equals", option = option()?),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            return wrong_value(error, &option()?, &given(ContextKind::InvalidValue)?);
        }
        _ => return None,
    };
    Some(text.into_owned())
}

fn wrong_value(error: &Error, option: &str, value: &str) -> Option<String> {
    let what = match value {
        "" => t!("usage.no_value", option = option),
        value => t!("usage.value", option = option, value = value),
    };
    let choice = word(error, ContextKind::ValidValue).filter(|values| !values.is_empty());
    let why = match (error.source(), choice) {
        (Some(why), _) => safe::line(&why.to_string()),
        (None, Some(values)) => t!("usage.choice", values = values).into_owned(),
        (None, None) => return Some(what.into_owned()),
    };
    Some(t!("usage.because", what = what, why = why).into_owned())
}

/// What was meant, if the parser has a guess.
fn nearest(error: &Error) -> Option<String> {
    let kinds = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ];
    kinds.into_iter().find_map(|kind| word(error, kind))
}

/// How the command is used. The parser puts an English heading before it.
fn usage(error: &Error) -> Option<String> {
    let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) else {
        return None;
    };
    let usage = usage.to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    Some(format!("{} {}", t!("help.usage"), safe::line(usage)))
}

fn word(error: &Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(word) => Some(safe::line(word)),
        ContextValue::Strings(words) => Some(safe::line(&words.join(", "))),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
