//! Cuts texts into the words that messages are found by. Pure.
//!
//! Where a script puts spaces between words, these are the words. Where it puts none (Chinese,
//! Japanese, Thai, Khmer), every character is one, so that any run of them is found as a phrase.

use std::ops::Range;

use im_common::name::fold;
use unicode_width::UnicodeWidthChar;

use crate::cli::render::safe::is_deceptive;

/// Nobody types more of a word to find it; what follows makes the index large and finds nothing.
const WORD_CHARS_MAX: usize = 64;

/// A word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    /// Without regard to case and to how its characters are composed.
    pub(super) folded: String,
    /// Where it stands in the text.
    pub(super) at: Range<usize>,
}

/// The words of a text, in order.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut open: Option<Range<usize>> = None;
    for (start, c) in text.char_indices() {
        let end = start + c.len_utf8();
        let is_alone = stands_alone(c);
        match &mut open {
            Some(word) if continues(c) => word.end = end,
            Some(word) if is_letter(c) && !is_alone && may_go_on(&text[word.clone()]) => {
                word.end = end;
            }
            _ => {
                close(text, open.take(), &mut words);
                open = (is_alone || is_letter(c)).then_some(start..end);
            }
        }
    }
    close(text, open, &mut words);
    words
}

/// A text as the index takes it: its words, with spaces between.
pub(super) fn indexed(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for word in words(text) {
        joined.push_str(&word.folded);
        joined.push(' ');
    }
    joined
}

/// Whether a word may be the beginning of a longer one.
pub(super) fn may_go_on(word: &str) -> bool {
    !word.chars().next().is_some_and(stands_alone)
}

fn close(text: &str, word: Option<Range<usize>>, words: &mut Vec<Word>) {
    let Some(at) = word else { return };
    let folded = fold(&text[at.clone()]);
    // Invisible characters within a word would hide it from whoever looks for it.
    let visible = folded.chars().filter(|c| !is_deceptive(*c));
    // At the end of a word, sigma has a form that is no beginning of a longer one.
    let sigma = visible.map(|c| if c == 'ς' { 'σ' } else { c });
    let folded: String = sigma.take(WORD_CHARS_MAX).collect();
    if !folded.is_empty() {
        words.push(Word { folded, at });
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric()
}

/// Marks, and joiners and selectors that have no width, belong to what they follow.
fn continues(c: char) -> bool {
    !c.is_control() && c.width() == Some(0)
}

/// Characters of scripts without spaces between words, and pictures.
fn stands_alone(c: char) -> bool {
    let is_of_such_a_script = matches!(c,
        // Thai and Lao, Burmese, Khmer.
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        // Han, with its radicals; Kana.
        | '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}');
    let is_picture = matches!(c, '\u{2600}'..='\u{27bf}' | '\u{1f000}'..='\u{1faff}');
    (is_of_such_a_script && is_letter(c)) || is_picture
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.folded).collect()
    }

    #[test]
    fn scripts_are_cut_as_they_are_read() {
        for (text, expected) in [
            ("Hello, world!", &["hello", "world"][..]),
            ("don't snake_case", &["don", "t", "snake", "case"]),
            ("CAFE\u{301} ﬁn ＡＢＣ", &["café", "fin", "abc"]),
            ("привет, Мир", &["привет", "мир"]),
            ("你好，世界", &["你", "好", "世", "界"]),
            ("用im聊天", &["用", "im", "聊", "天"]),
            ("か\u{3099}ん", &["が", "ん"]),
            ("안녕 세상", &["안녕", "세상"]),
            ("नमस्ते दुनिया", &["नमस्ते", "दुनिया"]),
            ("pass\u{200b}word", &["password"]),
            ("ok 👍🏽", &["ok", "👍", "🏽"]),
            ("... \u{301}", &[]),
        ] {
            assert_eq!(cut(text), expected, "{text}");
        }
    }

    #[test]
    fn a_word_has_an_end() {
        let long = "x".repeat(100_000);
        assert_eq!(cut(&long), ["x".repeat(WORD_CHARS_MAX)]);
    }

    proptest! {
        #[test]
        fn words_stand_where_they_say(text in any::<String>()) {
            let mut end = 0;
            for word in words(&text) {
                prop_assert!(word.at.start >= end && !word.at.is_empty());
                prop_assert!(text.get(word.at.clone()).is_some());
                end = word.at.end;
            }
        }
    }
}
