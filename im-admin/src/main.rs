//! `im-admin`: works on what a cluster has stored.

mod args;
mod import_cim;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use im_common::node::{EXIT_FAILURE, refuse};

use args::{Args, Command};

/// Done, as far as it could be: something was left out, and the output says what.
const EXIT_LEFT_OUT: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let Command::ImportCim(options) = Args::parse().command;
    let target = match options.target() {
        Ok(target) => target,
        Err(error) => return refuse(&error),
    };
    match import_cim::run(&options, &target).await {
        Ok(summary) => {
            say(&summary);
            if summary.is_whole() {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(EXIT_LEFT_OUT)
            }
        }
        Err(error) => {
            writeln!(std::io::stderr(), "error: {error:#}").ok();
            ExitCode::from(EXIT_FAILURE)
        }
    }
}

/// Prints a line or more; whoever started this may have closed its end.
fn say(what: &impl Display) {
    writeln!(std::io::stdout(), "{what}").ok();
}
