//! The terminal client `im`: a chat prompt, and commands for scripts.
//!
//! - `args`, `settings`, `help`, `usage`: the command line, what fills its gaps, how it is explained,
//!   and what may be wrong with it;
//! - `action`, `exit`: one file for each thing to do, how it ends;
//! - `chat`: the loop between `input`, `screen` and the SDK;
//! - `archive`: what was said, kept here to look back and to search;
//! - `command`: what a typed line means; `render`: how everything looks, and stays harmless.

mod action;
pub mod archive;
mod args;
mod chat;
mod command;
mod delayed;
mod detached;
mod doctor;
mod emoji;
mod exit;
mod failure;
#[cfg(test)]
mod fixture;
mod help;
mod input;
mod kept;
mod language;
mod login;
mod names;
mod nearest;
mod outgoing;
mod password;
mod redact;
mod render;
mod screen;
mod scrollback;
mod settings;
mod signals;
mod state;
mod status;
mod terminal;
mod usage;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::FromArgMatches;
use rust_i18n::t;
use tracing_subscriber::EnvFilter;

use self::args::{Action, CommandLine};
pub use self::chat::{ChatError, ChatOptions, chat};
pub use self::exit::Exit;
use self::failure::Failure;
pub use self::render::colour::Colour;
use self::settings::Settled;
pub use self::state::state_dir;

/// What remains when the program ends has been waited for already.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(200);

/// Runs `im` with the command line of this process.
pub fn main() -> ExitCode {
    match start() {
        Ok(exit) => exit.into(),
        Err(failure) => {
            tell(&failure.to_string());
            failure.exit.into()
        }
    }
}

fn start() -> Result<Exit, Failure> {
    let settled = read_settings()?;
    start_log()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let exit = runtime.block_on(run(&settled));
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    exit
}

/// Reads the command line and the configuration file. Ends the program where the command line makes
/// no sense, or asks for help.
fn read_settings() -> Result<Settled, Failure> {
    let file = settings::File::read();
    let profile = std::env::var("IM_PROFILE").ok();
    let configured = file.as_ref().ok();
    language::speak_early(configured.and_then(|file| file.language(profile.as_deref())));
    let words: Vec<OsString> = std::env::args_os().collect();
    let command = help::command();
    let matches = command
        .clone()
        .try_get_matches_from(&words)
        .unwrap_or_else(|error| refuse(&error));
    let line = CommandLine::from_arg_matches(&matches)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let profile = line.account.profile.as_deref();
    let settled = match file {
        Err(broken) if matches!(line.action, Some(Action::Doctor { .. })) => Settled {
            broken: Some(broken),
            ..settings::settle(&words, command, &settings::File::default(), None)?
        },
        file => settings::settle(&words, command, &file?, profile)?,
    };
    language::speak(settled.line.manners.language);
    Ok(settled)
}

/// Ends the program with help, or with what is wrong with the command line.
#[expect(clippy::print_stderr, reason = "telling the user is the job")]
fn refuse(error: &clap::Error) -> ! {
    if !error.use_stderr() {
        error.exit();
    }
    eprintln!("{}", usage::told(error));
    std::process::exit(error.exit_code())
}

async fn run(settled: &Settled) -> Result<Exit, Failure> {
    let CommandLine {
        action,
        account,
        manners,
    } = &settled.line;
    let Some(action) = action else {
        return action::chat::run(account, manners).await;
    };
    match action {
        Action::Register { json } => action::register::run(account, *json).await,
        Action::Login { json } => action::login::run(account, manners, *json).await,
        Action::Logout => action::logout::run(account, manners).await,
        Action::Send { to, text, json } => {
            action::send::run(account, manners, to, text, *json).await
        }
        Action::Tail(wanted) => action::tail::run(account, manners, wanted).await,
        Action::Online { prefix, json } => {
            action::online::run(account, manners, prefix, *json).await
        }
        Action::History(wanted) => action::history::run(account, manners, wanted).await,
        Action::Search { words, count, json } => {
            action::search::run(account, manners, words, (*count, *json)).await
        }
        Action::Config { json } => action::config::run(account, &settled.settings, *json).await,
        Action::Doctor { json } => action::doctor::run(settled, *json).await,
        Action::Completions { shell } => action::completions::run(*shell).await,
        Action::Man { folder } => action::man::run(folder.as_deref()).await,
    }
}

/// Logs go to standard error, and only when `IM_LOG` says which.
fn start_log() -> Result<(), Failure> {
    let Ok(filter) = std::env::var("IM_LOG") else {
        return Ok(());
    };
    let filter = EnvFilter::try_new(&filter)
        .map_err(|error| Failure::usage(t!("shell.bad_log", why = error)))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}

/// Says something that is no output of the program.
#[expect(clippy::print_stderr, reason = "telling the user is the job")]
fn tell(text: &str) {
    eprintln!("im: {}", render::safe::line(text));
}
