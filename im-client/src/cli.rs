//! The terminal client `im`: a chat prompt, and commands for scripts.
//!
//! - `args`, `action`, `exit`: the command line, one file for each thing to do, how it ends;
//! - `chat`: the loop between `input`, `screen` and the SDK;
//! - `command`: what a typed line means; `render`: how everything looks, and stays harmless.

mod action;
mod args;
mod chat;
mod command;
mod detached;
mod exit;
mod failure;
mod input;
mod language;
mod login;
mod names;
mod nearest;
mod outgoing;
mod password;
mod render;
mod screen;
mod signals;
mod state;
mod status;
mod terminal;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use self::args::{Action, CommandLine};
pub use self::chat::{ChatError, ChatOptions, chat};
pub use self::exit::Exit;
use self::failure::Failure;
pub use self::state::state_dir;

/// What remains when the program ends has been waited for already.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(200);

/// Runs `im` with the command line of this process.
pub fn main() -> ExitCode {
    language::follow_locale();
    let line = CommandLine::parse();
    match start(&line) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            tell(&failure.to_string());
            failure.exit.into()
        }
    }
}

fn start(line: &CommandLine) -> Result<Exit, Failure> {
    start_log()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let exit = runtime.block_on(run(line));
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    exit
}

async fn run(line: &CommandLine) -> Result<Exit, Failure> {
    let account = &line.account;
    match &line.action {
        None => action::chat::run(account).await,
        Some(Action::Register { json }) => action::register::run(account, *json).await,
        Some(Action::Send { to, text, json }) => action::send::run(account, to, text, *json).await,
        Some(Action::Tail { count, json }) => action::tail::run(account, *count, *json).await,
        Some(Action::Online { prefix, json }) => action::online::run(account, prefix, *json).await,
    }
}

/// Logs go to standard error, and only when `IM_LOG` says which.
fn start_log() -> Result<(), Failure> {
    let Ok(filter) = std::env::var("IM_LOG") else {
        return Ok(());
    };
    let filter = EnvFilter::try_new(&filter)
        .map_err(|error| Failure::usage(format!("cannot read IM_LOG: {error}")))?;
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
