//! The command line of `im`.
//!
//! What is said here is for readers of the code: texts for users are in the catalogue, and
//! [`help`](super::help) puts them in.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;
use im_common::id::DeviceId;
use im_common::message::Recipient;
use im_common::name::UserName;
use rust_i18n::t;

use super::archive;
use super::failure::Failure;
use super::language::Language;
use super::render::colour::Colour;
use super::state;

/// A day is longer than anybody waits.
const TIMEOUT_SECONDS_MAX: u64 = 86_400;
/// Messages of the past printed at once: they are gathered before the oldest is printed.
const COUNT_MAX: usize = 10_000;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "im", version)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) action: Option<Action>,
    #[command(flatten)]
    pub(super) account: Account,
    #[command(flatten)]
    pub(super) manners: Manners,
}

/// What to do instead of chatting.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Creates an account.
    Register {
        #[arg(long)]
        json: bool,
    },
    /// Keeps a login, so that nothing asks for the password any more.
    Login {
        #[arg(long)]
        json: bool,
    },
    /// Ends the kept login.
    Logout,
    /// Sends one message.
    Send {
        #[arg(value_parser = recipient, value_name = "WHO")]
        to: Recipient,
        text: String,
        #[arg(long)]
        json: bool,
    },
    /// Prints messages as they come.
    Tail(Tail),
    /// Lists who is online.
    Online {
        #[arg(default_value = "")]
        prefix: String,
        #[arg(long)]
        json: bool,
    },
    /// Prints what was said in a conversation.
    History(History),
    /// Finds messages among those kept on this machine.
    Search {
        #[arg(value_name = "WORD", required = true)]
        words: Vec<String>,
        #[arg(long, value_name = "N", default_value = "100", value_parser = count)]
        count: usize,
        #[arg(long)]
        json: bool,
    },
    /// Shows the settings in force.
    Config {
        #[arg(long)]
        json: bool,
    },
    /// Reports what works and what does not.
    Doctor {
        #[arg(long)]
        json: bool,
    },
    /// Prints a shell's completions.
    Completions { shell: Shell },
    /// Prints or writes the manual.
    Man {
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

/// Which messages to print as they come.
#[derive(Debug, Args)]
pub(super) struct Tail {
    /// Only these conversations; all when there are none.
    #[arg(value_parser = recipient, value_name = "WHO")]
    pub(super) with: Vec<Recipient>,
    /// Only these senders; all when there are none.
    #[arg(long, value_name = "NAME", value_parser = UserName::new)]
    pub(super) from: Vec<UserName>,
    /// So many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    /// For a program.
    #[arg(long)]
    pub(super) json: bool,
}

/// Which part of a conversation to print.
#[derive(Debug, Args)]
pub(super) struct History {
    /// The conversation.
    #[arg(value_parser = recipient, value_name = "WHO", default_value = "lobby")]
    pub(super) with: Recipient,
    /// At most so many messages.
    #[arg(long, value_name = "N", default_value = "20", value_parser = count)]
    pub(super) count: usize,
    /// Only those accepted before this time, in milliseconds since 1970.
    #[arg(long, value_name = "DATE", value_parser = moment)]
    pub(super) before: Option<u64>,
    /// Only what is kept on this machine.
    #[arg(long)]
    pub(super) local: bool,
    /// For a program.
    #[arg(long)]
    pub(super) json: bool,
}

/// Who speaks, from where, and to which cluster.
#[derive(Debug, Args)]
pub(super) struct Account {
    #[arg(long, global = true, value_name = "NAME", env = "IM_PROFILE")]
    pub(super) profile: Option<String>,
    #[arg(
        long = "route",
        global = true,
        value_name = "URL",
        env = "IM_ROUTE",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:8083"
    )]
    pub(super) routes: Vec<String>,
    #[arg(long, global = true, value_name = "NAME", env = "IM_USER", value_parser = UserName::new)]
    user: Option<UserName>,
    #[arg(long, global = true, value_name = "FILE", env = "IM_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(0..))]
    password_fd: Option<u32>,
    #[arg(
        long,
        global = true,
        value_name = "COMMAND",
        env = "IM_PASSWORD_COMMAND"
    )]
    password_command: Option<String>,
    #[arg(long, global = true, value_name = "NAME", env = "IM_DEVICE", value_parser = DeviceId::new)]
    device: Option<DeviceId>,
    #[arg(long, global = true, value_name = "SECONDS", env = "IM_TIMEOUT", value_parser = seconds)]
    pub(super) timeout: Option<Duration>,
    #[arg(long, global = true)]
    pub(super) no_input: bool,
    /// Where the password comes from, of those sources that are given.
    #[arg(skip)]
    pub(super) password: Option<PasswordSource>,
}

/// How `im` speaks and looks.
#[derive(Debug, Args)]
pub(super) struct Manners {
    #[arg(long, global = true, env = "IM_LANGUAGE", value_enum)]
    pub(super) language: Option<Language>,
    #[arg(
        long,
        global = true,
        alias = "color",
        value_name = "WHEN",
        env = "IM_COLOUR",
        value_enum,
        default_value = "auto"
    )]
    pub(super) colour: Colour,
    #[arg(
        long,
        global = true,
        value_name = "BOOL",
        env = "IM_BELL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true"
    )]
    pub(super) bell: bool,
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
}

/// A password that nobody has to type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PasswordSource {
    /// A file holds it.
    File(PathBuf),
    /// An open file descriptor gives it.
    Descriptor(u32),
    /// A command of the shell prints it.
    Command(String),
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
            .ok_or_else(|| Failure::usage(t!("shell.no_user")))
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
            .map_err(|error| Failure::usage(t!("shell.device_too_long", why = error)))
    }

    /// Settles on one source of the password: the one that was said with the most weight.
    pub(super) fn choose_password<W: Ord>(
        &mut self,
        weight: impl Fn(&str) -> W,
    ) -> Result<(), Failure> {
        let file = self.password_file.take().map(PasswordSource::File);
        let fd = self.password_fd.take().map(PasswordSource::Descriptor);
        let command = self.password_command.take().map(PasswordSource::Command);
        let sources = [
            ("password_file", file),
            ("password_fd", fd),
            ("password_command", command),
        ];
        let mut best = None;
        for (name, source) in sources {
            let weight = weight(name);
            match &best {
                _ if source.is_none() => {}
                Some((most, _)) if *most == weight => {
                    return Err(Failure::usage(t!("shell.two_passwords")));
                }
                Some((most, _)) if *most > weight => {}
                _ => best = Some((weight, source)),
            }
        }
        self.password = best.and_then(|(_, source)| source);
        Ok(())
    }
}

fn kept_device() -> Result<DeviceId, Failure> {
    state::state_dir()
        .and_then(|folder| state::device(&folder))
        .map_err(|error| Failure::fixable(t!("shell.device_not_kept", why = error)))
}

fn recipient(typed: &str) -> Result<Recipient, String> {
    super::command::recipient(typed).map_err(|_| t!("shell.no_recipient").into_owned())
}

fn count(typed: &str) -> Result<usize, String> {
    match typed.parse() {
        Ok(count @ 1..=COUNT_MAX) => Ok(count),
        _ => Err(t!("archive.count", most = COUNT_MAX).into_owned()),
    }
}

fn moment(typed: &str) -> Result<u64, String> {
    archive::moment(typed).map_err(|error| error.to_string())
}

fn seconds(typed: &str) -> Result<Duration, String> {
    match typed.parse() {
        Ok(seconds @ 1..=TIMEOUT_SECONDS_MAX) => Ok(Duration::from_secs(seconds)),
        _ => Err(t!("shell.seconds", most = TIMEOUT_SECONDS_MAX).into_owned()),
    }
}

#[cfg(test)]
mod tests;
