//! The terminal beneath the prompt: whether there is one, its modes, and questions to its user.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::detached;

/// Longer answers are cut: more than any password that is allowed.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Whether a person types and reads here, on a terminal that can place its cursor.
pub(super) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb()
}

/// Whether the terminal knows no control sequences.
pub(super) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Restores the modes that a terminal had, however its user is left.
#[derive(Debug)]
pub(super) struct Restored {
    terminal: File,
    modes: Termios,
}

impl Restored {
    /// Remembers the modes of the terminal of this process, if it has one.
    pub(super) fn at_end() -> Option<Self> {
        Self::of(open().ok()?).ok()
    }

    fn of(terminal: File) -> io::Result<Self> {
        let modes = tcgetattr(&terminal)?;
        Ok(Self { terminal, modes })
    }

    /// Leaves a line that is still being edited: its editor cannot be asked to.
    pub(super) fn abandon_line(&mut self) {
        // Also ends bracketed paste, which the editor had begun.
        let _ = self.terminal.write_all(b"\x1b[?2004l\r\n");
    }
}

impl Drop for Restored {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.modes);
    }
}

/// Asks a question and returns the answer without its line end.
pub(super) async fn ask(question: &str) -> io::Result<String> {
    let mut terminal = open()?;
    terminal.write_all(question.as_bytes())?;
    answer(terminal).await
}

/// Asks a question whose answer is not shown. When dropped, the terminal shows again what is
/// typed.
pub(super) async fn ask_secretly(question: &str) -> io::Result<String> {
    let mut terminal = open()?;
    let restored = Restored::of(terminal.try_clone()?)?;
    let mut silent = restored.modes.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    // The line end is shown, so that what follows begins on its own line.
    silent.local_modes.insert(LocalModes::ECHONL);
    // Drops what was typed before the question.
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    terminal.write_all(question.as_bytes())?;
    answer(terminal).await
}

/// The terminal itself, even when standard input is something else.
fn open() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

async fn answer(terminal: File) -> io::Result<String> {
    detached::run("answer", move || read_line(&terminal)).await
}

fn read_line(terminal: &File) -> io::Result<String> {
    let mut line = String::new();
    let mut reader = BufReader::new(terminal.take(ANSWER_BYTES_MAX));
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}
