//! User names: which are allowed, and when two of them are the same to a human eye.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::confusable_detection::skeleton;
use unicode_security::general_security_profile::IdentifierType;
use unicode_security::{GeneralSecurityProfile, MixedScript};

/// Enough for any real name, short enough for a prompt.
pub const NAME_CHARS_MAX: usize = 32;

/// Marks on one letter. Unicode Technical Standard 39, optional detection: no script needs more.
pub const MARKS_MAX: usize = 4;

/// Stands for everybody where a message is addressed.
const RESERVED: [&str; 1] = ["lobby"];

/// A user's unique name: 1 to 32 letters, digits, `.`, `_` or `-` of one script, beginning and
/// ending with a letter or digit. Stored in Unicode form NFKC, with the case the user chose.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct UserName(Arc<str>);

/// Why a name is refused; the text tells the user what to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// No characters, or more than [`NAME_CHARS_MAX`].
    #[error("a name has 1 to {NAME_CHARS_MAX} characters")]
    Length,
    /// Spaces, punctuation, control or invisible characters.
    #[error(
        "a name has only letters, digits, '.', '_' and '-', and begins and ends with a letter or digit"
    )]
    Character,
    /// More than [`MARKS_MAX`] marks on one letter, or the same one twice: they cover what stands
    /// above and below.
    #[error("a name has at most {MARKS_MAX} marks on one letter, and none of them twice")]
    Marks,
    /// A word that means something else where a name is expected.
    #[error("this name is reserved")]
    Reserved,
    /// Letters of several scripts, which is how look-alikes are made.
    #[error("a name keeps to the letters of one script")]
    MixedScript,
    /// Only digits: it would be taken for a user id.
    #[error("a name has at least one letter, or it would be taken for a user id")]
    NoLetter,
}

impl UserName {
    /// Normalises and checks a name.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        // Bounds the work before normalising: NFKC can grow a character eighteenfold.
        if name.is_empty() || name.len() > NAME_CHARS_MAX * 4 {
            return Err(InvalidName::Length);
        }
        let name: String = name.nfkc().collect();
        if name.chars().count() > NAME_CHARS_MAX {
            return Err(InvalidName::Length);
        }
        let inner = |c: char| is_letter_or_digit(c) || matches!(c, '.' | '_' | '-');
        let at_ends = name.starts_with(is_letter_or_digit) && name.ends_with(is_letter_or_digit);
        if !at_ends || !name.chars().all(inner) {
            return Err(InvalidName::Character);
        }
        if has_stacked_marks(&name) {
            return Err(InvalidName::Marks);
        }
        if name.chars().all(|c| !c.is_alphabetic()) {
            return Err(InvalidName::NoLetter);
        }
        if RESERVED.contains(&fold(&name).as_str()) {
            return Err(InvalidName::Reserved);
        }
        if !name.as_str().is_single_script() {
            return Err(InvalidName::MixedScript);
        }
        Ok(Self(name.into()))
    }

    /// The name as the user chose it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without regard to case: what look-ups and sorting use.
    pub fn folded(&self) -> String {
        fold(&self.0)
    }

    /// What the name looks like: two names with the same skeleton cannot both be registered
    /// (Unicode Technical Standard 39, confusable detection).
    pub fn skeleton(&self) -> String {
        // Folded again: the skeleton of a digit can be a capital letter.
        fold(&skeleton(&self.folded()).collect::<String>())
    }
}

/// Folds a name, or the beginning of one, for comparison without regard to case.
pub fn fold(name: &str) -> String {
    name.nfkc().collect::<String>().to_lowercase()
}

/// Combining marks belong to letters in many scripts, so `is_alphanumeric` alone is too strict.
/// Fillers and joiners count as letters or marks and cannot be seen: of two names that look the
/// same, one would have them.
fn is_letter_or_digit(c: char) -> bool {
    let is_mark = is_combining_mark(c);
    let is_unseen = c.identifier_type() == Some(IdentifierType::Default_Ignorable);
    (c.is_alphanumeric() || is_mark) && !is_unseen
}

fn has_stacked_marks(name: &str) -> bool {
    let mut stack = Vec::new();
    for c in name.chars() {
        if !is_combining_mark(c) {
            stack.clear();
            continue;
        }
        if stack.len() == MARKS_MAX || stack.contains(&c) {
            return true;
        }
        stack.push(c);
    }
    false
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_of_many_scripts_are_allowed() {
        for name in [
            "alice",
            "Bob-2",
            "张三",
            "дмитрий",
            "محمد",
            "さくら",
            "क्षत्रिय",
            "x\u{335}\u{336}\u{337}\u{338}y\u{335}",
            "a",
            "j.r_r-x",
            "O0",
        ] {
            assert_eq!(UserName::new(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_that_would_mislead_are_refused() {
        let ten_kilobytes = "x".repeat(10 * 1024);
        for (name, why) in [
            ("", InvalidName::Length),
            (ten_kilobytes.as_str(), InvalidName::Length),
            (&"x".repeat(33), InvalidName::Length),
            ("a\nb", InvalidName::Character),
            ("a\u{1b}[2J", InvalidName::Character),
            ("a b", InvalidName::Character),
            ("a;;b", InvalidName::Character),
            (":q", InvalidName::Character),
            ("@bob", InvalidName::Character),
            ("a\u{200b}b", InvalidName::Character),
            ("a\u{202e}b", InvalidName::Character),
            ("a\u{34f}b", InvalidName::Character),
            ("a\u{115f}b", InvalidName::Character),
            ("a\u{fe0f}", InvalidName::Character),
            ("\u{3164}", InvalidName::Character),
            ("-a", InvalidName::Character),
            ("a\u{335}\u{335}", InvalidName::Marks),
            ("a\u{335}\u{336}\u{337}\u{338}\u{321}", InvalidName::Marks),
            ("12345", InvalidName::NoLetter),
            ("Lobby", InvalidName::Reserved),
            ("p\u{430}ypal", InvalidName::MixedScript),
        ] {
            assert_eq!(UserName::new(name), Err(why), "{name:?}");
        }
    }

    #[test]
    fn look_alikes_share_a_skeleton() {
        let skeleton = |name| UserName::new(name).unwrap().skeleton();
        assert_eq!(skeleton("Admin"), skeleton("admin"));
        assert_eq!(skeleton("scope"), skeleton("ѕсоре"));
        assert_eq!(skeleton("bo0"), skeleton("boo"));
        assert_eq!(skeleton("ｆｕｌｌ"), skeleton("full"));
        assert_ne!(skeleton("alice"), skeleton("bob"));
    }
}
