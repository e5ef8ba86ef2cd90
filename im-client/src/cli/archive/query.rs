//! What a person looks for: `words [from:NAME] [in:NAME|lobby] [after:DATE] [before:DATE]`. Pure.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use im_common::message::Recipient;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use rust_i18n::t;

use super::words::{Word, may_go_on, words};

/// A question to the archive, as it is typed after `:search`, or read from a string with
/// [`str::parse`]; times are those of this machine.
///
/// All of it must be true of a message: it holds every word, or one that begins so; what stands in
/// `"quotes"` it holds in this order; it is from that user, in the conversation with that user or
/// in the lobby, from that day or time on (`after:`), and of an earlier one (`before:`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub(super) phrases: Vec<Phrase>,
    pub(super) from: Option<Recipient>,
    pub(super) within: Option<Recipient>,
    pub(super) after_ms: Option<u64>,
    pub(super) before_ms: Option<u64>,
}

/// Words that follow each other; the last may be the beginning of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phrase(pub(super) Vec<String>);

/// Why a question is not understood; the text tells what to type instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// It asks for nothing.
    Empty,
    /// What follows `from:` or `in:` is no user.
    User(String),
    /// What follows `after:` or `before:` is no day or time.
    Date(String),
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Empty => t!("archive.query.empty"),
            Self::User(typed) => t!("archive.query.user", typed = typed),
            Self::Date(typed) => t!("archive.query.date", typed = typed),
        })
    }
}

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(typed: &str) -> Result<Self, QueryError> {
        Self::parse(typed, &TimeZone::system())
    }
}

impl Query {
    fn parse(typed: &str, zone: &TimeZone) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for part in parts(typed) {
            let (key, value) = match part {
                Part::Quoted(text) => ("", text),
                Part::Bare(text) => text.split_once(':').unwrap_or(("", text)),
            };
            match key {
                "from" => query.from = Some(user(value)?),
                "in" => query.within = Some(user(value)?),
                "after" => query.after_ms = Some(moment_in(value, zone)?),
                "before" => query.before_ms = Some(moment_in(value, zone)?),
                _ => query.look_for(part.text()),
            }
        }
        if query == Self::default() {
            return Err(QueryError::Empty);
        }
        Ok(query)
    }

    fn look_for(&mut self, text: &str) {
        let phrase: Vec<String> = words(text).into_iter().map(|word| word.folded).collect();
        if !phrase.is_empty() {
            self.phrases.push(Phrase(phrase));
        }
    }

    /// The parts of a text that were looked for: in order, apart from each other.
    pub(in crate::cli) fn matches(&self, text: &str) -> Vec<Range<usize>> {
        let words = words(text);
        let mut found: Vec<Range<usize>> = Vec::new();
        for start in 0..words.len() {
            let lengths = self.phrases.iter().filter_map(|phrase| {
                let is_here = phrase.begins(&words[start..]);
                is_here.then_some(phrase.0.len())
            });
            let Some(length) = lengths.max() else {
                continue;
            };
            let (from, to) = (words[start].at.start, words[start + length - 1].at.end);
            match found.last_mut() {
                Some(last) if from < last.end => last.end = last.end.max(to),
                _ => found.push(from..to),
            }
        }
        found
    }
}

impl Phrase {
    fn begins(&self, words: &[Word]) -> bool {
        let Some((last, whole)) = self.0.split_last() else {
            return false;
        };
        words.len() > whole.len()
            && whole.iter().zip(words).all(|(a, b)| *a == b.folded)
            && is_begun(&words[whole.len()].folded, last)
    }
}

fn is_begun(word: &str, beginning: &str) -> bool {
    word == beginning || (may_go_on(beginning) && word.starts_with(beginning))
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Bare(&'a str),
    Quoted(&'a str),
}

impl<'a> Part<'a> {
    const fn text(self) -> &'a str {
        match self {
            Self::Bare(text) | Self::Quoted(text) => text,
        }
    }
}

/// Splits at white space, except within quotes; a quote that is not closed reaches to the end.
fn parts(typed: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = typed.trim_start();
    while !rest.is_empty() {
        let (part, behind) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (text, behind) = quoted.split_once('"').unwrap_or((quoted, ""));
                (Part::Quoted(text), behind)
            }
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (text, behind) = rest.split_at(end);
                (Part::Bare(text), behind)
            }
        };
        parts.push(part);
        rest = behind.trim_start();
    }
    parts
}

fn user(typed: &str) -> Result<Recipient, QueryError> {
    typed.parse().map_err(|_| QueryError::User(short(typed)))
}

/// A day or time as people write it, here, in milliseconds since 1970.
pub(in crate::cli) fn moment(typed: &str) -> Result<u64, QueryError> {
    moment_in(typed, &TimeZone::system())
}

/// A day begins at its first moment.
fn moment_in(typed: &str, zone: &TimeZone) -> Result<u64, QueryError> {
    let wrong = || QueryError::Date(short(typed));
    let time = match typed.parse::<Date>() {
        Ok(date) if !typed.contains(['T', 't', ' ']) => {
            date.to_datetime(jiff::civil::Time::midnight())
        }
        _ => typed.parse::<DateTime>().map_err(|_| wrong())?,
    };
    let at = time.to_zoned(zone.clone()).map_err(|_| wrong())?;
    u64::try_from(at.timestamp().as_millisecond()).map_err(|_| wrong())
}

fn short(typed: &str) -> String {
    typed.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(typed: &str) -> Result<Query, QueryError> {
        Query::parse(typed, &TimeZone::UTC)
    }

    fn phrases(typed: &str) -> Vec<Vec<String>> {
        let query = parse(typed).unwrap();
        query.phrases.into_iter().map(|phrase| phrase.0).collect()
    }

    #[test]
    fn words_quotes_and_filters_are_told_apart() {
        let query = parse(
            "  Deploy from:@bob \"in prod\" in:lobby after:2026-03-01 before:2026-03-02T12:30 ",
        );
        let query = query.unwrap();
        assert_eq!(query.phrases.len(), 2);
        assert_eq!(query.phrases[1].0, ["in", "prod"]);
        assert_eq!(query.from, Some("bob".parse().unwrap()));
        assert_eq!(query.within, Some(Recipient::Lobby));
        assert_eq!(query.after_ms, Some(1_772_323_200_000));
        assert_eq!(query.before_ms, Some(1_772_454_600_000));
    }

    #[test]
    fn what_only_looks_like_a_filter_is_looked_for() {
        assert_eq!(phrases("http://a.b"), [["http", "a", "b"]]);
        assert_eq!(phrases("\"from:bob\""), [["from", "bob"]]);
        assert_eq!(phrases("\"not closed"), [["not", "closed"]]);
        assert_eq!(phrases("世界 ?"), [["世", "界"]]);
    }

    #[test]
    fn mistakes_name_what_is_wrong() {
        for (typed, mistake) in [
            ("", QueryError::Empty),
            ("  ?! \"\" ", QueryError::Empty),
            ("from:", QueryError::User(String::new())),
            ("in:a/b x", QueryError::User("a/b".to_owned())),
            ("after:friday", QueryError::Date("friday".to_owned())),
            (
                "before:2026-13-01",
                QueryError::Date("2026-13-01".to_owned()),
            ),
            (
                "after:1960-01-01",
                QueryError::Date("1960-01-01".to_owned()),
            ),
        ] {
            assert_eq!(parse(typed), Err(mistake), "{typed}");
        }
    }

    #[test]
    fn what_was_looked_for_is_pointed_at() {
        for (typed, text, expected) in [
            (
                "dep",
                "Deploy, deploying; redeploy",
                &["Deploy", "deploying"][..],
            ),
            ("世界", "你好，世界！世 界", &["世界", "世 界"]),
            ("\"a b\" b", "a b b a", &["a b", "b"]),
            ("x", "nothing", &[]),
            ("from:bob", "bob", &[]),
        ] {
            let matches = parse(typed).unwrap().matches(text);
            let found: Vec<&str> = matches.into_iter().map(|at| &text[at]).collect();
            assert_eq!(found, expected, "{typed}");
        }
    }
}
