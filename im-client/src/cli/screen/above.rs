//! Output above a line that is being edited: drawn by the line's editor, in front of its prompt.
//!
//! rustyline's printer alone would not do. It writes to the terminal by itself whenever the editor
//! is not reading, also in the moment in which the editor begins or ends a line; and when the
//! window changes its width, the editor clears rows where the line no longer is, or where messages
//! are now. So text waits here until the editor draws its prompt, and goes out in front of it in
//! the same write. The printer only makes the editor draw. After a change of the width the last
//! lines are drawn again as well. Between two lines the terminal is written to directly; the lock
//! keeps a line from beginning meanwhile.

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::termios::Termios;
use rustyline::ExternalPrinter;
use tokio::time::Instant;

use super::tail::{Tail, rows_with_cursor};
use super::wrap::wrap;
use crate::cli::terminal::{self, Window};

/// Makes the editor draw and changes nothing itself: up and down again. The printer would put a
/// line end behind anything that has none.
const WAKE: &str = "\x1b[A\n";
/// A wake-up is lost when it comes in the moment in which a line begins.
const WAKE_AGAIN: Duration = Duration::from_millis(50);
/// Clears the window, its first row last: a window that is cleared from its corner is kept by some
/// terminals, and would be there twice when they wrap its lines anew.
const CLEAR: &str = "\x1b[2;1H\x1b[J\x1b[H\x1b[K";
/// A window that is being dragged changes many times, and the editor learns of each a little later
/// than we do.
const CHANGING_FOR: Duration = Duration::from_millis(250);

/// The place above the line; clones share it.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Above {
    shared: Arc<Shared>,
    wakes: SyncSender<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Nothing waits any more.
    taken: Condvar,
}

#[derive(Debug)]
struct State {
    /// Whether the terminal belongs to the editor.
    is_edited: bool,
    /// What the editor is to draw.
    waiting: String,
    prompt: String,
    /// Prompt and line as they are on the screen.
    drawn: String,
    window: Window,
    /// The modes in which the editor reads.
    modes: Option<Termios>,
    /// Until when everything is drawn again.
    changing_until: Option<Instant>,
    tail: Tail,
}

impl Above {
    /// Above the lines of the editor that has this printer.
    pub(in crate::cli) fn new<P>(mut printer: P) -> io::Result<Self>
    where
        P: ExternalPrinter + Send + 'static,
    {
        let (wakes, asked) = sync_channel(1);
        // Of its own, because the printer waits for an editor that is busy with keys. Never joined.
        std::thread::Builder::new()
            .name("waker".to_owned())
            .spawn(
                move || while asked.recv().is_ok() && printer.print(WAKE.to_owned()).is_ok() {},
            )?;
        let state = State {
            is_edited: false,
            waiting: String::new(),
            prompt: String::new(),
            drawn: String::new(),
            window: terminal::window(),
            modes: None,
            changing_until: None,
            tail: Tail::default(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            taken: Condvar::new(),
        });
        Ok(Self { shared, wakes })
    }

    /// Writes whole lines; returns once they are on the terminal.
    pub(super) fn write(&self, text: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.tail.push(text);
        let text = wrap(text, terminal::window().columns);
        if !state.is_edited {
            return write(&text);
        }
        state.waiting.push_str(&text);
        while !state.waiting.is_empty() {
            // Full when the editor has not heard the last one yet.
            let _ = self.wakes.try_send(());
            let woken = self.shared.taken.wait_timeout(state, WAKE_AGAIN);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Gives the terminal to the editor.
    pub(in crate::cli) fn begin(&self) {
        self.lock().is_edited = true;
    }

    /// Takes the terminal back; the cursor stands below the line, which is erased if that is
    /// wanted.
    pub(in crate::cli) fn end(&self, is_erased: impl FnOnce(&str) -> bool) {
        let mut state = self.lock();
        let mut text = String::new();
        let typed = state.drawn.strip_prefix(&state.prompt).unwrap_or_default();
        if is_erased(typed) {
            let rows = rows_with_cursor(&state.drawn, state.window.columns);
            text.push_str(&format!("\x1b[{}A\r\x1b[J", rows.min(state.window.rows)));
        }
        text.push_str(&std::mem::take(&mut state.waiting));
        // Whoever writes next notices a terminal that is gone.
        let _ = write(&text);
        state.is_edited = false;
        self.shared.taken.notify_all();
    }

    /// What the editor draws as its prompt.
    pub(in crate::cli) fn in_front_of(&self, prompt: &str) -> String {
        let mut state = self.lock();
        let waiting = std::mem::take(&mut state.waiting);
        prompt.clone_into(&mut state.prompt);
        if state.modes.is_none() {
            state.modes = terminal::modes();
        }
        let mut text = match state.is_spoilt() {
            // The tail ends with what waits.
            true => state.again(),
            false => waiting,
        };
        text.push_str(prompt);
        self.shared.taken.notify_all();
        text
    }

    /// Draws the line again after the program was stopped, which a shell takes as a reason to set
    /// modes of its own.
    pub(in crate::cli) fn resume(&self) {
        let mut state = self.lock();
        if !state.is_edited {
            return;
        }
        if let Some(modes) = &state.modes {
            terminal::set_modes(modes);
        }
        let columns = state.window.columns;
        state.redraw_if_wrapped(columns);
        let _ = self.wakes.try_send(());
    }

    /// Notes the line that the editor draws behind its prompt.
    pub(in crate::cli) fn drew(&self, line: &str) {
        let mut state = self.lock();
        state.drawn = format!("{}{line}", state.prompt);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the window has changed so that the editor does not know where its line is.
    fn is_spoilt(&mut self) -> bool {
        let before = std::mem::replace(&mut self.window, terminal::window());
        if before.columns != self.window.columns {
            self.redraw_if_wrapped(before.columns.min(self.window.columns));
        }
        self.changing_until
            .is_some_and(|until| Instant::now() < until)
    }

    /// A line in one row is where the editor thinks it is.
    fn redraw_if_wrapped(&mut self, columns: usize) {
        let is_wrapped = rows_with_cursor(&self.drawn, columns) > 1;
        self.changing_until = is_wrapped.then(|| Instant::now() + CHANGING_FOR);
    }

    /// The window as it should be, up to the prompt.
    fn again(&self) -> String {
        let Window { columns, rows } = self.window;
        let own_rows = rows_with_cursor(&self.drawn, columns);
        let lines = self.tail.fitting(rows.saturating_sub(own_rows), columns);
        format!("{CLEAR}{lines}")
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
