//! When to ping a silent client and when to give it up.
//!
//! Pure timing: the connection loop sends the ping and closes the socket.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// What the connection loop has to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Send a ping.
    Ping,
    /// The client is gone; close.
    Dead,
}

/// Watches one connection for silence.
///
/// Hearing something is a mere note: the one timer is set anew only when it goes off, so that a
/// busy connection does not touch the runtime's timers.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    ping_after: Duration,
    pong_within: Duration,
    heard: Instant,
    pinged: bool,
    alarm: Pin<Box<Sleep>>,
}

impl Heartbeat {
    /// Starts with the full silence allowed.
    pub(crate) fn new(ping_after: Duration, pong_within: Duration) -> Self {
        let now = Instant::now();
        Self {
            ping_after,
            pong_within,
            heard: now,
            pinged: false,
            alarm: Box::pin(sleep_until(now + ping_after)),
        }
    }

    /// Notes that a frame arrived. Any frame counts, not only a pong.
    pub(crate) fn heard(&mut self) {
        self.heard = Instant::now();
        if std::mem::take(&mut self.pinged) {
            let due = self.due();
            self.alarm.as_mut().reset(due);
        }
    }

    /// Resolves when something has to be done. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Beat {
        loop {
            self.alarm.as_mut().await;
            let due = self.due();
            if Instant::now() < due {
                self.alarm.as_mut().reset(due);
                continue;
            }
            if self.pinged {
                return Beat::Dead;
            }
            self.pinged = true;
            let due = self.due();
            self.alarm.as_mut().reset(due);
            return Beat::Ping;
        }
    }

    fn due(&self) -> Instant {
        let ping = self.heard + self.ping_after;
        if self.pinged {
            ping + self.pong_within
        } else {
            ping
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE: Duration = Duration::from_secs(30);
    const ANSWER: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn silence_is_pinged_once_then_given_up() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(SILENCE, ANSWER);
        assert_eq!(heartbeat.next().await, Beat::Ping);
        assert_eq!(start.elapsed().as_secs(), 30);
        assert_eq!(heartbeat.next().await, Beat::Dead);
        assert_eq!(start.elapsed().as_secs(), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn anything_heard_starts_the_silence_anew() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(SILENCE, ANSWER);
        tokio::time::advance(Duration::from_secs(20)).await;
        heartbeat.heard();
        assert_eq!(heartbeat.next().await, Beat::Ping);
        assert_eq!(start.elapsed().as_secs(), 50);
        tokio::time::advance(Duration::from_secs(5)).await;
        heartbeat.heard();
        assert_eq!(heartbeat.next().await, Beat::Ping);
        assert_eq!(start.elapsed().as_secs(), 85);
    }
}
