//! The lines typed before, kept in a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustyline::history::DefaultHistory;
use rustyline::{Editor, Helper};

/// Where they are kept; nowhere, if there is no folder for them.
#[derive(Debug)]
pub(super) struct History(Option<PathBuf>);

impl History {
    /// Lines remembered: years of typing, and still loaded at once.
    pub(super) const LINES_MAX: usize = 1000;

    pub(super) const fn new(path: Option<PathBuf>) -> Self {
        Self(path)
    }

    /// Gives the editor what was typed in earlier runs.
    pub(super) fn load(&self, editor: &mut Editor<impl Helper, DefaultHistory>) {
        let Some(path) = &self.0 else { return };
        if let Err(error) = clean(path) {
            tracing::debug!(%error, "cannot clean the lines typed before");
        }
        if let Err(error) = editor.load_history(path) {
            tracing::debug!(%error, "cannot load the lines typed before");
        }
    }

    /// Remembers a line. Written at once, because the program may end without warning.
    pub(super) fn remember(&self, editor: &mut Editor<impl Helper, DefaultHistory>, line: &str) {
        if has_controls(line) || !matches!(editor.add_history_entry(line), Ok(true)) {
            return;
        }
        // The file was created beforehand: rustyline would do it by changing the mask of the whole
        // process, in which other threads may be creating folders.
        if let Some(path) = &self.0
            && let Err(error) = editor.append_history(path)
        {
            tracing::debug!(%error, "cannot keep the lines typed");
        }
    }
}

/// Forgets lines that no editor should draw, whatever program left them there, and what is not
/// UTF-8, for which rustyline would refuse the whole file.
fn clean(path: &Path) -> io::Result<()> {
    let bytes = fs::read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = || text.split_terminator('\n');
    if text.as_bytes() == bytes && !lines().any(has_controls) {
        return Ok(());
    }
    let kept: Vec<&str> = lines().filter(|line| !has_controls(line)).collect();
    fs::write(path, kept.join("\n") + "\n")
}

/// The editor would write them to the terminal as they are, and count what follows an escape as
/// nothing. Of a text with several lines, the ends are no such controls.
fn has_controls(line: &str) -> bool {
    line.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_cannot_be_drawn_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input_history");
        for (kept, cleaned) in [
            (&b"#V2\none\ttwo\n\xe5\xbc\xa0\n"[..], "#V2\none\ttwo\n张\n"),
            (b"#V2\none\n\x1b[2Jtwo\nthree\n", "#V2\none\nthree\n"),
            (b"one\r\ntwo\n\xc2\x9b2J\n", "two\n"),
            (b"one\n\xff\n", "one\n\u{fffd}\n"),
            (b"", ""),
        ] {
            fs::write(&path, kept).unwrap();
            clean(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), cleaned);
        }
    }
}
