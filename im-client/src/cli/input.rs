//! Where lines come from: an editor at a terminal, or plainly standard input.
//!
//! Each line is asked for. So output that answers a line stands before the next prompt, and a pipe
//! is not read faster than its lines are sent.

mod completion;
mod drawing;
mod editor;
mod history;
mod plain;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use self::history::History;
use super::names::Names;
use super::screen::Above;
use super::terminal;

/// How often a line that is being edited is asked to end: a signal that comes in the moment in
/// which it begins is lost.
const STOP_ATTEMPTS: usize = 20;
/// Pauses between the attempts; the editor answers within one.
const STOP_PAUSE: Duration = Duration::from_millis(10);

/// What came from the user.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line.
    Line(String),
    /// A line that cannot be read, and why.
    Unreadable(&'static str),
    /// Ctrl-C.
    Interrupted,
    /// The end of the input.
    End,
}

/// A source of lines. At most one is under way.
#[derive(Debug)]
pub(super) struct Input {
    /// Where its lines are drawn, if they are.
    above: Option<Above>,
    prompts: SyncSender<String>,
    typed: mpsc::Receiver<Typed>,
}

impl Input {
    /// Reads lines with an editor, and returns the place above them. `history` is the file of
    /// lines typed before.
    pub(super) fn edited(names: Names, history: Option<PathBuf>) -> io::Result<(Self, Above)> {
        let mut editor = editor::open(names, History::new(history))?;
        let above = editor.above();
        let input = Self {
            above: Some(above.clone()),
            ..Self::start(move |prompt| editor::read(&mut editor, prompt))?
        };
        Ok((input, above))
    }

    /// Reads standard input line by line.
    pub(super) fn plain() -> io::Result<Self> {
        Self::start(|_prompt| plain::read(&mut io::stdin().lock()))
    }

    fn start<R>(mut read: R) -> io::Result<Self>
    where
        R: FnMut(&str) -> Typed + Send + 'static,
    {
        let (prompts, asked) = sync_channel::<String>(1);
        let (lines, typed) = mpsc::channel(1);
        // Never joined: it may be stuck in a read that nobody answers.
        std::thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || {
                while let Ok(prompt) = asked.recv() {
                    if lines.blocking_send(read(&prompt)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            above: None,
            prompts,
            typed,
        })
    }

    /// Asks for the next line.
    pub(super) fn ask(&self, prompt: &str) {
        // Full only when a line is asked for already.
        let _ = self.prompts.try_send(prompt.to_owned());
    }

    /// Resolves to the line that was asked for. Cancel-safe.
    pub(super) async fn next(&mut self) -> Typed {
        self.typed.recv().await.unwrap_or(Typed::End)
    }

    /// Draws the line that is being edited again, after the program was stopped.
    pub(super) fn resume(&self) {
        if let Some(above) = &self.above {
            above.resume();
        }
    }

    /// Ends the line that is being edited; what was typed stays on the screen. SIGINT must be
    /// listened for.
    pub(super) async fn stop(&mut self) {
        for _ in 0..STOP_ATTEMPTS {
            terminal::interrupt();
            if timeout(STOP_PAUSE, self.typed.recv()).await.is_ok() {
                return;
            }
        }
        tracing::debug!("the editor does not answer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_read_only_when_asked_for() {
        let (seen, prompts) = sync_channel(4);
        let mut input = Input::start(move |prompt| {
            seen.send(prompt.to_owned()).unwrap();
            Typed::Line(format!("after {prompt}"))
        })
        .unwrap();
        for prompt in ["1> ", "2> "] {
            input.ask(prompt);
            assert_eq!(input.next().await, Typed::Line(format!("after {prompt}")));
            assert_eq!(prompts.try_recv().unwrap(), prompt);
            assert!(prompts.try_recv().is_err());
        }
    }
}
