//! What the editor asks while it draws: our part of the line.

use std::borrow::Cow;

use rustyline::completion::Completer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::{Context, Helper, Hinter, Validator};

use super::completion::Completion;
use crate::cli::screen::Above;

/// Draws what waits above the line whenever the editor draws its prompt.
#[derive(Debug, Helper, Hinter, Validator)]
pub(super) struct Drawing {
    completion: Completion,
    above: Above,
}

impl Drawing {
    pub(super) const fn new(completion: Completion, above: Above) -> Self {
        Self { completion, above }
    }
}

impl Completer for Drawing {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        self.completion.complete(line, position, context)
    }
}

impl Highlighter for Drawing {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(
        &'s self,
        prompt: &'p str,
        _is_default: bool,
    ) -> Cow<'b, str> {
        Cow::Owned(self.above.in_front_of(prompt))
    }

    fn highlight<'l>(&self, line: &'l str, _position: usize) -> Cow<'l, str> {
        let line = without_controls(line);
        self.above.drew(&line);
        line
    }

    /// Every key draws the whole line, so that we know what is on the screen.
    fn highlight_char(&self, _line: &str, _position: usize, _kind: CmdKind) -> bool {
        true
    }
}

/// What was pasted may hold controls, which the editor would write as they are. It counts them as
/// nothing, so nothing is what is shown of them.
fn without_controls(line: &str) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    match line.contains(is_control) {
        true => Cow::Owned(line.replace(is_control, "")),
        false => Cow::Borrowed(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_not_shown() {
        assert_eq!(
            without_controls("a\u{9b}2Jb\u{9c}é\0张\u{7}\tc\n"),
            "a2Jbé张\tc\n"
        );
    }
}
