use super::*;
use crate::cli::help;

fn error(words: &[&str]) -> Error {
    let words = std::iter::once("im").chain(words.iter().copied());
    help::command().try_get_matches_from(words).unwrap_err()
}

/// Mistakes of every kind that the command line can have, and how the parser puts them.
const MISTAKES: &[(&[&str], &str)] = &[
    (&["--rout", "x"], "no option --rout here"),
    (&["online", "a", "b"], "b is one word too many"),
    (&["sned", "bob", "hi"], "no command sned"),
    (&["send", "bob"], "missing: <TEXT>"),
    (&["send"], "missing: <WHO>, <TEXT>"),
    (&["--user"], "--user <NAME> needs a value"),
    (
        &["--colour", "blue"],
        "--colour <WHEN> cannot be \"blue\": there are auto, always, never",
    ),
    (
        &["--timeout", "0"],
        "--timeout <SECONDS> cannot be \"0\": from 1 to 86400",
    ),
    (
        &["--user", "al", "--user", "bob"],
        "--user <NAME> is given more than once",
    ),
];

#[test]
fn each_mistake_is_told_in_one_line() {
    rust_i18n::set_locale("en");
    for (words, expected) in MISTAKES {
        assert_eq!(mistake(&error(words)), *expected, "{words:?}");
    }
}

#[test]
fn help_is_near() {
    rust_i18n::set_locale("en");
    let told = told(&error(&["sned", "bob", "hi"]));
    let expected = [
        "im: no command sned",
        "did you mean send?",
        "Usage: im [OPTIONS] [COMMAND]",
        "--help explains everything",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn words_that_were_given_are_harmless() {
    rust_i18n::set_locale("en");
    let hostile = "x\u{1b}[2J\nim: all is well";
    for words in [
        &[hostile][..],
        &["online", "a", hostile],
        &["--timeout", hostile],
        &["--colour", hostile],
        &[&format!("--{hostile}")],
    ] {
        let told = told(&error(words));
        assert!(!told.contains('\u{1b}'), "{told:?}");
        assert!(!told.contains("\nim:"), "{told:?}");
    }
}

#[test]
fn what_is_worded_by_the_parser_is_told_as_well() {
    let error = help::command().error(ErrorKind::InvalidUtf8, "something rare");
    assert_eq!(mistake(&error), "something rare");
}
