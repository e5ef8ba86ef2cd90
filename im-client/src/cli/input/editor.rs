//! The line editor at a terminal: keys, completion, and the lines typed before.

use std::io;

use rustyline::config::BellStyle;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{
    Cmd, ColorMode, CompletionType, ConditionalEventHandler, Config, Event, EventContext,
    EventHandler, KeyEvent, RepeatCount,
};

use super::Typed;
use super::completion::Completion;
use super::drawing::Drawing;
use super::history::History;
use crate::cli::command;
use crate::cli::names::Names;
use crate::cli::screen::Above;
use crate::cli::terminal::Restored;

/// An editor, the lines typed before, and the place above its line.
pub(super) struct Editor {
    editor: rustyline::Editor<Drawing, DefaultHistory>,
    history: History,
    above: Above,
}

/// Opens the editor at this process's terminal.
pub(super) fn open(names: Names, history: History) -> io::Result<Editor> {
    let mut editor = rustyline::Editor::with_config(config()?).map_err(io::Error::other)?;
    let printer = editor.create_external_printer().map_err(io::Error::other)?;
    let above = Above::new(printer)?;
    editor.set_helper(Some(Drawing::new(Completion::new(names), above.clone())));
    if let Some(restored) = Restored::at_end() {
        let suspend = EventHandler::Conditional(Box::new(Suspend(restored)));
        editor.bind_sequence(KeyEvent::ctrl('Z'), suspend);
    }
    // They insert the next key as it is, and a control cannot be drawn.
    for key in ['Q', 'V'] {
        editor.bind_sequence(KeyEvent::ctrl(key), Cmd::Noop);
    }
    history.load(&mut editor);
    Ok(Editor {
        editor,
        history,
        above,
    })
}

fn config() -> io::Result<Config> {
    let builder = Config::builder()
        .max_history_size(History::LINES_MAX)
        .and_then(|builder| builder.history_ignore_dups(true))
        .map_err(io::Error::other)?;
    let builder = builder
        .history_ignore_space(true)
        // A bell is for messages, and for those who want one.
        .bell_style(BellStyle::None)
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
            editor.history.remember(&mut editor.editor, &line);
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
