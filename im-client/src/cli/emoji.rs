//! Emoji by their names: `:smile:` in a text that is typed here is sent as the emoji, so that
//! every reader sees the same, whatever client it has.

use std::collections::BTreeSet;
use std::fmt::Write;

/// Emoji on a page of `:emoji`: about a screen.
const PAGE: usize = 20;

/// Replaces the names of emoji in a text. A name stands alone: within a word, as in `std::io::x`,
/// the colons are those of its writer.
pub(super) fn replaced(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(':') {
        let (before, after) = rest.split_at(start);
        result.push_str(before);
        match named(&result, after) {
            Some((emoji, remaining)) => {
                result.push_str(emoji);
                rest = remaining;
            }
            None => {
                result.push(':');
                rest = &after[1..];
            }
        }
    }
    result.push_str(rest);
    result
}

/// The emoji whose name `text` begins with, and what follows it.
fn named<'a>(before: &str, text: &'a str) -> Option<(&'static str, &'a str)> {
    let (alias, rest) = text[1..].split_once(':')?;
    let is_word = |c: char| c.is_alphanumeric() || c == ':' || c == '_';
    if before.ends_with(is_word) || rest.starts_with(is_word) {
        return None;
    }
    Some((emojis::get_by_shortcode(alias)?.as_str(), rest))
}

/// Names of emoji that begin so, between their colons; at most so many, and the last one.
pub(super) fn beginning_with(prefix: &str, limit: usize) -> Vec<String> {
    let aliases: BTreeSet<&str> = emojis::iter()
        .flat_map(emojis::Emoji::shortcodes)
        .filter(|alias| alias.starts_with(prefix))
        .collect();
    let mut aliases = aliases.into_iter().map(|alias| format!(":{alias}:"));
    let mut found: Vec<String> = aliases.by_ref().take(limit.saturating_sub(1)).collect();
    found.extend(aliases.next_back());
    found
}

/// A page of emoji with their names, and how many pages there are. Pages begin at 1; `None` beyond
/// the last one.
pub(super) fn page(page: usize) -> (Option<String>, usize) {
    let named: Vec<_> = emojis::iter()
        .filter_map(|emoji| Some((emoji.as_str(), emoji.shortcode()?)))
        .collect();
    let chosen = page
        .checked_sub(1)
        .and_then(|before| named.chunks(PAGE).nth(before));
    let lines = chosen.map(|chosen| {
        chosen
            .iter()
            .fold(String::new(), |mut lines, (emoji, alias)| {
                writeln!(lines, "  {emoji}  :{alias}:").expect("a string takes any text");
                lines
            })
    });
    (lines, named.len().div_ceil(PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_stand_alone_become_emoji() {
        for (text, expected) in [
            ("hi :rocket:", "hi 🚀"),
            (":rocket::rocket:", ":rocket::rocket:"),
            (":rocket: :rocket:", "🚀 🚀"),
            ("(:rocket:)", "(🚀)"),
            ("你好，:rocket:。", "你好，🚀。"),
            ("at 10:30:00", "at 10:30:00"),
            ("std::rocket::x", "std::rocket::x"),
            ("a:rocket:b", "a:rocket:b"),
            (":no such: :rocket:", ":no such: 🚀"),
            (":", ":"),
            ("::", "::"),
            ("", ""),
        ] {
            assert_eq!(replaced(text), expected);
        }
    }

    #[test]
    fn pages_hold_every_emoji_with_a_name() {
        let (first, pages) = page(1);
        assert_eq!(first.map(|lines| lines.lines().count()), Some(PAGE));
        assert!(page(pages).0.is_some());
        assert_eq!(page(pages + 1).0, None);
        assert_eq!(page(0).0, None);
    }

    #[test]
    fn names_are_completed() {
        assert_eq!(beginning_with("rocke", 9), [":rocket:"]);
        assert_eq!(beginning_with("", 5).len(), 5);
    }
}
