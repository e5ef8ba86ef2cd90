//! `im completions`: what a shell needs to complete the command line of `im`.

use clap_complete::{Shell, generate};

use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::help;
use crate::cli::screen::Screen;

/// Prints the completions of one shell.
pub(in crate::cli) async fn run(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    generate(shell, &mut help::command(), "im", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    // Whoever stops reading has read enough.
    let _ = Screen::plain()?.print(script).await;
    Ok(Exit::Done)
}
