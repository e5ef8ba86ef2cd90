//! The line editor at a terminal: keys, completion, and the lines typed before.

use std::io;
use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Event, EventContext,
    EventHandler, KeyEvent, RepeatCount,
};

use super::Typed;
use super::completion::Completion;
use super::drawing::Drawing;
use crate::cli::command;
use crate::cli::names::Names;
use crate::cli::screen::Above;
use crate::cli::terminal::Restored;

/// Lines remembered: years of typing, and still loaded at once.
const HISTORY_LINES_MAX: usize = 1000;

/// An editor, the file of its history, and the place above its line.
pub(super) struct Editor {
    editor: rustyline::Editor<Drawing, DefaultHistory>,
    history: Option<PathBuf>,
    above: Above,
}

/// Opens the editor at this process's terminal.
pub(super) fn open(names: Names, history: Option<PathBuf>) -> io::Result<Editor> {
    let mut editor = rustyline::Editor::with_config(config()?).map_err(io::Error::other)?;
    let printer = editor.create_external_printer().map_err(io::Error::other)?;
    let above = Above::new(printer)?;
    editor.set_helper(Some(Drawing::new(Completion::new(names), above.clone())));
    if let Some(restored) = Restored::at_end() {
        let suspend = EventHandler::Conditional(Box::new(Suspend(restored)));
        editor.bind_sequence(KeyEvent::ctrl('Z'), suspend);
    }
    if let Some(path) = &history
        && let Err(error) = editor.load_history(path)
    {
        tracing::debug!(%error, "cannot load the lines typed before");
    }
    Ok(Editor {
        editor,
        history,
        above,
    })
}

fn config() -> io::Result<Config> {
    let builder = Config::builder()
        .max_history_size(HISTORY_LINES_MAX)
        .and_then(|builder| builder.history_ignore_dups(true))
        .map_err(io::Error::other)?;
    let builder = builder
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        // Waiting for another Tab, or for an answer, the editor would draw nothing.
        .completion_show_all_if_ambiguous(true)
        .completion_prompt_limit(usize::MAX)
        // Without it the editor does not ask us for what it draws. We give it no colours.
        .color_mode(ColorMode::Forced);
    Ok(builder.build())
}

/// Ctrl-Z. The editor's own would leave the terminal as it was between two lines.
struct Suspend(Restored);

impl ConditionalEventHandler for Suspend {
    fn handle(
        &self,
        _event: &Event,
        _count: RepeatCount,
        _is_positive: bool,
        _context: &EventContext<'_>,
    ) -> Option<Cmd> {
        self.0.suspend();
        Some(Cmd::Repaint)
    }
}

impl Editor {
    /// The place above the line.
    pub(super) fn above(&self) -> Above {
        self.above.clone()
    }
}

/// Lets the user edit a line. One to be sent is taken off the screen: the chat shows what became
/// of it.
pub(super) fn read(editor: &mut Editor, prompt: &str) -> Typed {
    editor.above.begin();
    let read = editor.editor.readline(prompt);
    let is_accepted = read.is_ok();
    editor
        .above
        .end(|typed| typed.is_empty() || is_accepted && !command::is_command(typed));
    match read {
        Ok(line) => {
            remember(editor, &line);
            Typed::Line(line)
        }
        Err(ReadlineError::Interrupted) => Typed::Interrupted,
        Err(ReadlineError::Eof) => Typed::End,
        Err(error) => {
            tracing::debug!(%error, "the terminal cannot be read");
            Typed::End
        }
    }
}

/// Written after each line, because the program may end without warning.
fn remember(
    Editor {
        editor, history, ..
    }: &mut Editor,
    line: &str,
) {
    let Ok(true) = editor.add_history_entry(line) else {
        return;
    };
    // The file was created beforehand: rustyline would do it by changing the mask of the whole
    // process, in which other threads may be creating folders.
    if let Some(path) = history
        && let Err(error) = editor.append_history(path)
    {
        tracing::debug!(%error, "cannot keep the lines typed");
    }
}
