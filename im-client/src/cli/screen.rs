//! Where output goes: above the line being typed, or plainly to standard output.
//!
//! Writing happens on a thread of its own, because a terminal may stop at any time (Ctrl-S, a full
//! pipe) and an asynchronous task must not stop with it.

mod above;
mod tail;
mod wrap;

use std::io::{self, Write};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

pub(super) use self::above::Above;

/// Outputs waiting for the terminal. Their writers wait, and so does whoever feeds them. In a
/// pause of a flood a quarter of this piles up at 4,000 messages a second.
const QUEUE: usize = 256;
/// Pauses between writes to a terminal: nobody sees more than some 60 pictures a second, and keys
/// are answered in between.
const PAUSE: Duration = Duration::from_millis(16);

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
    /// Told when it is written, if somebody waits for that.
    written: Option<oneshot::Sender<()>>,
}

impl Screen {
    /// Writes to standard output, each output at once.
    pub(super) fn plain() -> io::Result<Self> {
        Self::start(Duration::ZERO, write_plainly)
    }

    /// Writes above the line that is being edited. Outputs that come in quick succession are
    /// drawn together.
    pub(super) fn above(above: Above) -> io::Result<Self> {
        Self::start(PAUSE, move |text| above.write(text))
    }

    fn start<W>(pause: Duration, mut write: W) -> io::Result<Self>
    where
        W: FnMut(&str) -> io::Result<()> + Send + 'static,
    {
        let (outputs, mut queue) = mpsc::channel::<Output>(QUEUE);
        // Never joined: it may be stuck in a terminal that has stopped.
        std::thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || {
                let mut free_at = Instant::now();
                while let Some(first) = queue.blocking_recv() {
                    // Nothing unparks this thread; woken early, it only writes early.
                    std::thread::park_timeout(free_at.saturating_duration_since(Instant::now()));
                    let (text, waiting) = together(first, &mut queue);
                    if write(&text).is_err() {
                        return;
                    }
                    free_at = Instant::now() + pause;
                    for written in waiting {
                        let _ = written.send(());
                    }
                }
            })?;
        Ok(Self { outputs })
    }

    /// Prints whole lines; returns once they are written.
    pub(super) async fn print(&self, text: String) -> Result<(), Gone> {
        let (written, done) = oneshot::channel();
        self.queue(text, Some(written)).await?;
        done.await.map_err(|_| Gone)
    }

    /// Prints whole lines; returns once they are in the queue, so that more can join them there.
    pub(super) async fn hand_over(&self, text: String) -> Result<(), Gone> {
        self.queue(text, None).await
    }

    async fn queue(&self, text: String, written: Option<oneshot::Sender<()>>) -> Result<(), Gone> {
        let output = Output { text, written };
        self.outputs.send(output).await.map_err(|_| Gone)
    }

    /// Resolves when nobody reads the output any more. Cancel-safe.
    pub(super) async fn gone(&self) {
        self.outputs.closed().await;
    }
}

/// Everything that is in the queue, as one text.
fn together(
    first: Output,
    queue: &mut mpsc::Receiver<Output>,
) -> (String, Vec<oneshot::Sender<()>>) {
    let mut text = first.text;
    let mut waiting = Vec::from_iter(first.written);
    while let Ok(output) = queue.try_recv() {
        text.push_str(&output.text);
        waiting.extend(output.written);
    }
    (text, waiting)
}

fn write_plainly(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_print_returns_when_it_is_written_and_in_order() {
        let (seen, written) = std::sync::mpsc::sync_channel(8);
        let write = move |text: &str| seen.send(text.to_owned()).map_err(io::Error::other);
        let screen = Screen::start(Duration::ZERO, write).unwrap();
        for text in ["a\n", "b\n"] {
            screen.print(text.to_owned()).await.unwrap();
            assert_eq!(written.try_recv().unwrap(), text);
        }
    }

    #[tokio::test]
    async fn what_comes_during_a_pause_is_written_together() {
        let (seen, written) = std::sync::mpsc::sync_channel(8);
        let write = move |text: &str| {
            let writer = std::thread::current();
            seen.send((text.to_owned(), writer))
                .map_err(io::Error::other)
        };
        // Longer than the test runs, which ends the pause by itself.
        let screen = Screen::start(Duration::from_secs(3600), write).unwrap();
        screen.print("a\n".to_owned()).await.unwrap();
        let (first, writer) = written.try_recv().unwrap();
        for text in ["b\n", "c\n", "d\n"] {
            screen.hand_over(text.to_owned()).await.unwrap();
        }
        writer.unpark();
        let (second, _) = written.recv_timeout(Duration::from_secs(30)).unwrap();
        assert_eq!([first.as_str(), second.as_str()], ["a\n", "b\nc\nd\n"]);
    }

    #[tokio::test]
    async fn a_closed_output_is_noticed() {
        let screen = Screen::start(PAUSE, |_| Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        assert_eq!(screen.print("a\n".to_owned()).await, Err(Gone));
        screen.gone().await;
    }
}
