//! The corpus of hostile strings, and what may reach a terminal in spite of them.

use crate::process::root;

/// Every string of `tests/hostile/corpus.txt`, in its order.
pub fn corpus() -> Vec<String> {
    let path = root().join("tests/hostile/corpus.txt");
    let text = std::fs::read_to_string(path).expect("the corpus is in the repository");
    let strings = text.lines().filter(|line| line.starts_with('"'));
    strings
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
        .collect()
}

/// Something in a stream of characters that a terminal obeys instead of showing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Control<'a> {
    /// Where it begins, in bytes.
    pub start: usize,
    /// All of it: one control character, or a sequence up to its end.
    pub text: &'a str,
}

impl Control<'_> {
    /// Whether a line editor without colours has to write it: line ends, motion within its line and
    /// its rows, erasing what is behind the cursor, and the modes that surround each of that.
    pub fn is_ours(&self) -> bool {
        const WHOLE: &[&str] = &[
            "\r",
            "\n",
            "\u{1b}[K",
            "\u{1b}[J",
            "\u{1b}[?2004h",
            "\u{1b}[?2004l",
            "\u{1b}[?2026h",
            "\u{1b}[?2026l",
            "\u{1b}[?25h",
            "\u{1b}[?25l",
        ];
        WHOLE.contains(&self.text) || self.is_motion()
    }

    fn is_motion(&self) -> bool {
        let Some(parameters) = self.text.strip_prefix("\u{1b}[") else {
            return false;
        };
        let digits = parameters.trim_end_matches(['A', 'B', 'C', 'D']);
        digits.len() + 1 == parameters.len() && digits.chars().all(|c| c.is_ascii_digit())
    }
}

/// Finds every control character and sequence, as terminals of all kinds understand them (ECMA-48,
/// and strings that end with a bell).
pub fn controls(text: &str) -> Vec<Control<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find(char::is_control) {
        let start = text.len() - rest.len() + begin;
        let length = control_length(&text[start..]);
        found.push(Control {
            start,
            text: &text[start..start + length],
        });
        rest = &text[start + length..];
    }
    found
}

/// How many bytes the control at the beginning of a text takes.
fn control_length(text: &str) -> usize {
    let mut characters = text.chars();
    let first = characters.next().expect("a control character");
    let behind = |prefix: &str, length: usize| prefix.len() + length;
    match (first, characters.next()) {
        ('\u{1b}', Some('[')) => behind("\u{1b}[", csi_length(&text[2..])),
        ('\u{1b}', Some(']' | 'P' | '_' | '^' | 'X' | 'k')) => {
            behind("\u{1b}]", string_length(&text[2..]))
        }
        ('\u{1b}', Some(_)) => behind("\u{1b}", escape_length(&text[1..])),
        ('\u{9b}', Some(_)) => behind("\u{9b}", csi_length(&text[2..])),
        ('\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}', Some(_)) => {
            behind("\u{90}", string_length(&text[2..]))
        }
        _ => first.len_utf8(),
    }
}

/// Parameters, intermediates and the final character behind the introducer.
fn csi_length(text: &str) -> usize {
    let length = text.find(|c: char| !(' '..='?').contains(&c));
    length.map_or(text.len(), |end| end + final_length(&text[end..]))
}

fn escape_length(text: &str) -> usize {
    let length = text.find(|c: char| !(' '..='/').contains(&c));
    length.map_or(text.len(), |end| end + final_length(&text[end..]))
}

/// A sequence that is broken off ends before whatever breaks it off.
fn final_length(text: &str) -> usize {
    let last = text.chars().next().filter(|c| ('0'..='~').contains(c));
    last.map_or(0, char::len_utf8)
}

/// Everything up to the string terminator, or the bell that many terminals take for one.
fn string_length(text: &str) -> usize {
    let ends = ["\u{7}", "\u{1b}\\", "\u{9c}"];
    let found = ends
        .iter()
        .filter_map(|end| Some(text.find(end)? + end.len()));
    found.min().unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        controls(text).iter().map(|control| control.text).collect()
    }

    #[test]
    fn the_corpus_is_large_and_without_repetition() {
        let corpus = corpus();
        let different: std::collections::HashSet<_> = corpus.iter().collect();
        assert_eq!(different.len(), corpus.len());
        assert!(corpus.len() >= 500, "{}", corpus.len());
    }

    #[test]
    fn sequences_are_found_whole() {
        for (text, expected) in [
            ("plain ü 你", vec![]),
            ("a\u{1b}[31;1mb\r\n", vec!["\u{1b}[31;1m", "\r", "\n"]),
            ("\u{1b}]0;title\u{7}x", vec!["\u{1b}]0;title\u{7}"]),
            ("\u{1b}]8;;u\u{1b}\\x", vec!["\u{1b}]8;;u\u{1b}\\"]),
            ("\u{1b}(0x\u{1b}7", vec!["\u{1b}(0", "\u{1b}7"]),
            (
                "\u{9b}2Jx\u{9d}0;t\u{9c}y",
                vec!["\u{9b}2J", "\u{9d}0;t\u{9c}"],
            ),
            ("\u{1b}[2\nJ", vec!["\u{1b}[2", "\n"]),
            ("\u{1b}]0;without an end", vec!["\u{1b}]0;without an end"]),
            ("\u{85}\u{1b}", vec!["\u{85}", "\u{1b}"]),
        ] {
            assert_eq!(found(text), expected, "{text:?}");
        }
    }

    #[test]
    fn only_what_a_line_editor_needs_is_ours() {
        let is_ours = |text| controls(text)[0].is_ours();
        for text in [
            "\r",
            "\n",
            "\u{1b}[K",
            "\u{1b}[12C",
            "\u{1b}[A",
            "\u{1b}[?2004h",
        ] {
            assert!(is_ours(text), "{text:?}");
        }
        for text in [
            "\u{7}",
            "\t",
            "\u{1b}[2J",
            "\u{1b}[31m",
            "\u{1b}[H",
            "\u{1b}[?1049h",
            "\u{1b}[1;2A",
            "\u{1b}]0;x\u{7}",
            "\u{9b}K",
            "\u{1b}[",
        ] {
            assert!(!is_ours(text), "{text:?}");
        }
    }
}
