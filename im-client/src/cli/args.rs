//! The command line of `im`.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use im_common::id::DeviceId;
use im_common::message::Recipient;
use im_common::name::UserName;

use super::exit::Exit;
use super::failure::Failure;
use super::state;

const HELP: &str = "\
{about}

Examples:
  im register --user alice        create an account
  im --user alice                 chat; :all lists what can be typed
  im send lobby 'hello all'       send one message
  make 2>&1 | im send bob -       send what a program prints
  im tail --json                  print messages as they come, for programs
  im online al                    who is online whose name begins with \"al\"

{usage-heading} {usage}

{all-args}{after-help}";

/// Chat in a terminal.
#[derive(Debug, Parser)]
#[command(name = "im", version, help_template = HELP, after_help = Exit::help())]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) action: Option<Action>,
    #[command(flatten)]
    pub(super) account: Account,
}

/// What to do instead of chatting.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Create an account.
    Register {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Send one message; done once it is accepted.
    Send {
        /// `lobby`, a user's name or a user's id.
        #[arg(value_parser = recipient)]
        to: Recipient,
        /// What to say; `-` reads it from standard input.
        text: String,
        /// Print one JSON object that says where the message is.
        #[arg(long)]
        json: bool,
    },
    /// Print messages as they come, beginning with those missed since the last `tail`.
    Tail {
        /// End after so many messages.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        count: Option<u64>,
        /// Print one JSON object for each message.
        #[arg(long)]
        json: bool,
    },
    /// List who is online.
    Online {
        /// Only names that begin so.
        #[arg(default_value = "")]
        prefix: String,
        /// Print one JSON object for each user.
        #[arg(long)]
        json: bool,
    },
}

/// Who speaks, from where, and to which cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Account {
    /// A route of the cluster; more of them make the client survive the loss of one.
    #[arg(
        long = "route",
        global = true,
        value_name = "URL",
        env = "IM_ROUTE",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:8083"
    )]
    pub(super) routes: Vec<String>,
    /// Your name; the login name of this machine if not given.
    #[arg(long, global = true, value_name = "NAME", env = "IM_USER", value_parser = UserName::new)]
    user: Option<UserName>,
    /// Read the password from a file instead of asking.
    #[arg(long, global = true, value_name = "FILE", env = "IM_PASSWORD_FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// Name of this installation: messages that it has not shown yet wait for it.
    #[arg(long, global = true, value_name = "NAME", env = "IM_DEVICE", value_parser = DeviceId::new)]
    device: Option<DeviceId>,
    /// Give up a send that is not answered within so many seconds.
    #[arg(long, global = true, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(super) timeout: Duration,
    /// Never ask for anything.
    #[arg(long, global = true)]
    pub(super) no_input: bool,
}

impl Account {
    /// The name to log in with.
    pub(super) fn user(&self) -> Result<UserName, Failure> {
        if let Some(user) = &self.user {
            return Ok(user.clone());
        }
        env::var("USER")
            .ok()
            .and_then(|login| UserName::new(&login).ok())
            .ok_or_else(|| Failure::usage("whose name? give --user NAME, or set IM_USER"))
    }

    /// The name of this installation for one use: each use has a place of its own in every
    /// conversation, and does not take the connection of another.
    pub(super) fn device(&self, used_for: &str) -> Result<DeviceId, Failure> {
        let device = match &self.device {
            Some(device) => device.clone(),
            None => kept_device()?,
        };
        if used_for.is_empty() {
            return Ok(device);
        }
        DeviceId::new(&format!("{device}-{used_for}"))
            .map_err(|error| Failure::usage(format!("--device is too long here: {error}")))
    }
}

fn kept_device() -> Result<DeviceId, Failure> {
    state::state_dir()
        .and_then(|folder| state::device(&folder))
        .map_err(|error| {
            Failure::fixable(format!(
                "cannot keep the name of this device ({error}); give --device NAME"
            ))
        })
}

fn recipient(typed: &str) -> Result<Recipient, String> {
    super::command::recipient(typed).map_err(|_| "not lobby, a user's name or a user's id".into())
}

fn seconds(typed: &str) -> Result<Duration, String> {
    match typed.parse() {
        // A day is longer than anybody waits.
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => Err("from 1 to 86400".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

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
        let help = CommandLine::command().render_long_help().to_string();
        let place = |part| help.find(part).unwrap();
        assert!(place("Examples:") < place("Usage:"));
        assert!(place("--no-input") < place("Exit codes:"));
    }
}
