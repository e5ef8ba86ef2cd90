//! The terminal beneath the prompt: whether there is one, its modes, and questions to its user.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};

use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

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

/// How much a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Columns.
    pub(super) columns: usize,
    /// Rows.
    pub(super) rows: usize,
}

/// The window that standard output is shown in; 80 by 24 if that is not known.
pub(super) fn window() -> Window {
    let or = |cells: u16, unknown| match cells {
        0 => unknown,
        cells => usize::from(cells),
    };
    let (columns, rows) =
        tcgetwinsize(io::stdout()).map_or((0, 0), |size| (size.ws_col, size.ws_row));
    Window {
        columns: or(columns, 80),
        rows: or(rows, 24),
    }
}

/// The modes of the terminal that is read from.
pub(super) fn modes() -> Option<Termios> {
    tcgetattr(io::stdin()).ok()
}

/// Gives the terminal modes that it had.
pub(super) fn set_modes(modes: &Termios) {
    // A terminal that is gone needs none.
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, modes);
}

/// Does to this process what Ctrl-C does, which ends a line that is being edited.
pub(super) fn interrupt() {
    // A process may always signal itself.
    let _ = kill_process(getpid(), Signal::INT);
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

    /// Keeps the terminal from showing keys by itself: what is typed before the next prompt is
    /// shown there.
    pub(super) fn silence(&self) {
        let mut silent = self.modes.clone();
        silent
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON);
        // A terminal that is gone shows nothing.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &silent);
    }

    /// Stops this job with the terminal as it was, and returns when it goes on, with the terminal
    /// as it was left.
    pub(super) fn suspend(&self) {
        let left = tcgetattr(&self.terminal);
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.modes);
        let _ = kill_current_process_group(Signal::TSTP);
        // Here it goes on.
        if let Ok(left) = left {
            let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &left);
        }
        // The editor does not hear of a window that changed meanwhile.
        let _ = kill_process(getpid(), Signal::WINCH);
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
