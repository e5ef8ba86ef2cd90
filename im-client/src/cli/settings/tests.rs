use std::path::Path;

use clap::CommandFactory;

use super::*;
use crate::cli::args::PasswordSource;
use crate::cli::help;

const FILE: &str = "\
user = \"alice\"
timeout = 7
password-command = \"pass show im\"

[profile.work]
user = \"al\"
route = [\"http://a\", \"http://b\"]
bell = true
";

fn parse(text: &str) -> Result<File, Failure> {
    File::parse(Path::new("config.toml"), text)
}

fn settle_with(words: &[&str]) -> Settled {
    let words: Vec<_> = std::iter::once(&"im")
        .chain(words)
        .map(Into::into)
        .collect();
    let matches = help::command().get_matches_from(&words);
    let first = CommandLine::from_arg_matches(&matches).unwrap();
    let file = parse(FILE).ok().unwrap();
    let profile = first.account.profile.as_deref();
    settle(&words, help::command(), &file, profile)
        .ok()
        .unwrap()
}

fn find<'a>(settled: &'a Settled, key: &str) -> &'a Setting {
    let mut settings = settled.settings.iter();
    settings.find(|setting| setting.key == key).unwrap()
}

#[test]
fn every_key_is_an_option_of_every_command() {
    for key in KEYS {
        let command = CommandLine::command();
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(key));
        assert!(arg.unwrap().is_global_set(), "{key}");
    }
}

#[test]
fn the_command_line_outweighs_the_profile_and_that_the_file() {
    let settled = settle_with(&[]);
    assert_eq!(settled.line.account.user().ok().unwrap().as_str(), "alice");
    assert_eq!(find(&settled, "user").weight, Weight::File);
    assert_eq!(find(&settled, "user").place.as_deref(), Some("1"));
    assert_eq!(find(&settled, "bell").weight, Weight::Default);
    assert!(!settled.line.manners.bell);

    let settled = settle_with(&["--profile", "work", "online"]);
    assert_eq!(settled.line.account.user().ok().unwrap().as_str(), "al");
    assert_eq!(settled.line.account.routes, ["http://a", "http://b"]);
    assert!(settled.line.manners.bell);
    assert_eq!(find(&settled, "route").weight, Weight::Profile);
    assert_eq!(find(&settled, "timeout").weight, Weight::File);
    assert_eq!(settled.line.account.timeout.unwrap().as_secs(), 7);

    let settled = settle_with(&["online", "--profile=work"]);
    assert_eq!(settled.line.account.routes, ["http://a", "http://b"]);
    let settled = settle_with(&["online", "--profile=work", "--user=bob", "--bell=false"]);
    assert_eq!(settled.line.account.user().ok().unwrap().as_str(), "bob");
    assert_eq!(find(&settled, "user").weight, Weight::Flag);
    assert!(!settled.line.manners.bell);
}

#[test]
fn a_password_comes_from_what_weighs_most() {
    let password = |words: &[&str]| settle_with(words).line.account.password;
    let command = PasswordSource::Command("pass show im".to_owned());
    assert_eq!(password(&[]), Some(command));
    let file = PasswordSource::File("pw".into());
    assert_eq!(password(&["--password-file", "pw"]), Some(file));
    let descriptor = PasswordSource::Descriptor(3);
    assert_eq!(password(&["--password-fd", "3"]), Some(descriptor));
}

#[test]
fn a_mistake_is_told_with_its_line() {
    rust_i18n::set_locale("en");
    for (text, told) in [
        (
            "usr = \"x\"",
            "config.toml, line 1: no setting usr; did you mean user?",
        ),
        (
            "\n\n[profile.a]\nuser = \"a b\"",
            "config.toml, line 4: --user <NAME> cannot be \"a b\": ",
        ),
        ("user = [1.5]", "line 1: user takes a text"),
        ("user = []", "line 1: user takes a text"),
        ("a = \n", "config.toml, line 1: "),
        ("profile = \"x\"", "no setting profile"),
        (
            "[profile]\nx = 1",
            "line 2: settings of a profile stand below [profile.x]",
        ),
        ("timeout = 0", "from 1 to 86400"),
        ("json = true", "no setting json; there are route, user"),
    ] {
        let failure = parse(text).err().unwrap().to_string();
        assert!(failure.contains(told), "{text}: {failure}");
    }
}

#[test]
fn a_profile_must_be_there() {
    rust_i18n::set_locale("en");
    let file = parse(FILE).ok().unwrap();
    let failure = file.layers(Some("home")).err().unwrap();
    assert_eq!(failure.to_string(), "no profile home; there are work");
}
