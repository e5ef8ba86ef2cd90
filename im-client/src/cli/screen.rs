//! Where output goes: above the line being typed, or plainly to standard output.
//!
//! Writing happens on a thread of its own, because a terminal may stop at any time (Ctrl-S, a full
//! pipe) and an asynchronous task must not stop with it.

use std::io::{self, Write};

use rustyline::ExternalPrinter;
use tokio::sync::{mpsc, oneshot};

/// Outputs waiting for the terminal. Their writers wait, and so does whoever feeds them.
const QUEUE: usize = 64;

/// A handle to the output; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    outputs: mpsc::Sender<Output>,
}

/// Nobody reads the output any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

#[derive(Debug)]
struct Output {
    text: String,
    written: oneshot::Sender<()>,
}

impl Screen {
    /// Writes to standard output.
    pub(super) fn plain() -> io::Result<Self> {
        Self::start(|text| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        })
    }

    /// Writes above the line that is being edited.
    pub(super) fn above<P>(mut printer: P) -> io::Result<Self>
    where
        P: ExternalPrinter + Send + 'static,
    {
        Self::start(move |text| printer.print(text).map_err(io::Error::other))
    }

    fn start<W>(mut write: W) -> io::Result<Self>
    where
        W: FnMut(String) -> io::Result<()> + Send + 'static,
    {
        let (outputs, mut queue) = mpsc::channel::<Output>(QUEUE);
        // Never joined: it may be stuck in a terminal that has stopped.
        std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || {
                while let Some(Output { text, written }) = queue.blocking_recv() {
                    if write(text).is_err() {
                        return;
                    }
                    let _ = written.send(());
                }
            })?;
        Ok(Self { outputs })
    }

    /// Prints whole lines; returns once they are written.
    pub(super) async fn print(&self, text: String) -> Result<(), Gone> {
        let (written, done) = oneshot::channel();
        let output = Output { text, written };
        self.outputs.send(output).await.map_err(|_| Gone)?;
        done.await.map_err(|_| Gone)
    }

    /// Resolves when nobody reads the output any more. Cancel-safe.
    pub(super) async fn gone(&self) {
        self.outputs.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_print_returns_when_it_is_written_and_in_order() {
        let (seen, written) = std::sync::mpsc::sync_channel(8);
        let screen = Screen::start(move |text| seen.send(text).map_err(io::Error::other)).unwrap();
        for text in ["a\n", "b\n"] {
            screen.print(text.to_owned()).await.unwrap();
            assert_eq!(written.try_recv().unwrap(), text);
        }
    }

    #[tokio::test]
    async fn a_closed_output_is_noticed() {
        let screen = Screen::start(|_| Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        assert_eq!(screen.print("a\n".to_owned()).await, Err(Gone));
        screen.gone().await;
    }
}
