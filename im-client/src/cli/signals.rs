//! Requests from outside to end.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;
use super::failure::Failure;

/// The signals that end `im`. While one of these lives, none of them kills the process.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Starts to listen.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Resolves at the next signal, to the way of ending that it asks for. Cancel-safe.
    pub(super) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.hangup.recv() => Exit::Hangup,
            _ = self.interrupt.recv() => Exit::Interrupted,
        }
    }
}

/// Tells when this process goes on after it was stopped.
#[derive(Debug)]
pub(super) struct Continued(Signal);

impl Continued {
    /// Starts to listen.
    pub(super) fn listen() -> io::Result<Self> {
        let number = rustix::process::Signal::CONT.as_raw();
        signal(SignalKind::from_raw(number)).map(Self)
    }

    /// Resolves each time it goes on. Cancel-safe.
    pub(super) async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// Waits for something, unless a signal comes first; then it is dropped where it stands.
pub(super) async fn until_signal<T>(
    awaited: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        done = awaited => done,
        exit = signals.next() => Err(Failure::new(exit, exit.meaning())),
    }
}
