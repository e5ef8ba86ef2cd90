//! `im-faults`: real processes under real faults, and what became of every message.
#![expect(
    clippy::print_stdout,
    reason = "it is a program that reports to a person"
)]

mod campaign;
mod catalogue;
mod guests;
mod load;
mod options;
mod outages;
mod report;
mod results;
mod run;
mod runner;
mod scenarios;

use std::process::ExitCode;

use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use options::{Args, Command};

/// As a shell says of a program that was interrupted.
const INTERRUPTED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let mut terminate = signal(SignalKind::terminate()).expect("a signal can be listened for");
    // Whatever runs is dropped, and with it every process that it started.
    tokio::select! {
        code = obey(args) => code,
        _ = tokio::signal::ctrl_c() => ExitCode::from(INTERRUPTED),
        _ = terminate.recv() => ExitCode::from(INTERRUPTED),
    }
}

async fn obey(args: Args) -> ExitCode {
    let done = match args.command {
        Command::List => {
            catalogue::print();
            Ok(true)
        }
        Command::Run(options) => runner::run(&options).await,
        Command::Campaign(options) => campaign::run(&options).await,
        Command::Report(options) => report::write(&options).map(|()| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("im-faults: {error:#}");
            ExitCode::from(2)
        }
    }
}
