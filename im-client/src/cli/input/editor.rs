//! The line editor at a terminal: keys, completion, and the lines typed before.

use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{CompletionType, Config};

use super::Typed;
use super::completion::Completion;
use crate::cli::names::Names;

/// Lines remembered: years of typing, and still loaded at once.
const HISTORY_LINES_MAX: usize = 1000;

/// An editor and the file of its history.
pub(super) struct Editor {
    editor: rustyline::Editor<Completion, DefaultHistory>,
    history: Option<PathBuf>,
}

/// Opens the editor at this process's terminal.
pub(super) fn open(names: Names, history: Option<PathBuf>) -> rustyline::Result<Editor> {
    let config = Config::builder()
        .max_history_size(HISTORY_LINES_MAX)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let mut editor = rustyline::Editor::with_config(config)?;
    editor.set_helper(Some(Completion::new(names)));
    if let Some(path) = &history
        && let Err(error) = editor.load_history(path)
    {
        tracing::debug!(%error, "cannot load the lines typed before");
    }
    Ok(Editor { editor, history })
}

impl Editor {
    /// Returns what prints above the line being edited.
    pub(super) fn create_external_printer(
        &mut self,
    ) -> rustyline::Result<impl rustyline::ExternalPrinter + Send + 'static + use<>> {
        self.editor.create_external_printer()
    }
}

/// Lets the user edit a line.
pub(super) fn read(editor: &mut Editor, prompt: &str) -> Typed {
    match editor.editor.readline(prompt) {
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
fn remember(Editor { editor, history }: &mut Editor, line: &str) {
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
