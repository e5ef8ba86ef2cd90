use clap::CommandFactory;

use super::super::exit::Exit;
use super::super::help;
use super::*;

fn parse(words: &[&str]) -> CommandLine {
    CommandLine::try_parse_from(std::iter::once(&"im").chain(words)).unwrap()
}

#[test]
fn the_command_line_is_sound() {
    CommandLine::command().debug_assert();
}

#[test]
fn flags_may_stand_before_and_after_the_subcommand() {
    for words in [
        [
            "--user",
            "alice",
            "--route",
            "http://a,http://b",
            "send",
            "lobby",
            "hi",
        ],
        [
            "send",
            "lobby",
            "hi",
            "--user",
            "alice",
            "--route",
            "http://a,http://b",
        ],
        [
            "send",
            "--user",
            "alice",
            "lobby",
            "--route",
            "http://a,http://b",
            "hi",
        ],
    ] {
        let parsed = parse(&words);
        assert_eq!(parsed.account.user().ok().unwrap().as_str(), "alice");
        assert_eq!(parsed.account.routes, ["http://a", "http://b"]);
    }
}

#[test]
fn a_text_is_taken_as_it_stands() {
    for (words, expected) in [
        (vec!["send", "lobby", "-"], "-"),
        (vec!["send", "@bob", "--", "--json"], "--json"),
        (vec!["send", "12", "--json", "a b"], "a b"),
    ] {
        let Some(Action::Send { text, .. }) = parse(&words).action else {
            panic!("not a send: {words:?}");
        };
        assert_eq!(text, expected);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for words in [
        &["sned", "lobby", "hi"][..],
        &["send", "lobby"],
        &["send", "not a name", "hi"],
        &["--user", "a b"],
        &["--device", "a b"],
        &["--password", "secret"],
        &["--timeout", "0"],
        &["tail", "--count", "0"],
    ] {
        let words = std::iter::once(&"im").chain(words);
        let error = CommandLine::try_parse_from(words).unwrap_err();
        assert_eq!(error.exit_code(), i32::from(Exit::Usage.number()));
    }
}

#[test]
fn each_use_has_a_device_of_its_own() {
    let parsed = parse(&["--device", "laptop", "tail"]);
    let device = |used_for| parsed.account.device(used_for).ok().unwrap().to_string();
    assert_eq!(device(""), "laptop");
    assert_eq!(device("tail"), "laptop-tail");
    let long = "x".repeat(64);
    assert!(parse(&["--device", &long]).account.device("send").is_err());
}

#[test]
fn help_begins_with_examples_and_ends_with_exit_codes() {
    rust_i18n::set_locale("en");
    let help = help::command().render_long_help().to_string();
    let place = |part| help.find(part).unwrap();
    assert!(place("Examples:") < place("Usage:"));
    assert!(place("--no-input") < place("Exit codes:"));
}
