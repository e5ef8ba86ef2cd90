//! When to ping a silent server and when to give the connection up.
//!
//! Pure timing: the connection loop sends the ping and drops the socket.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Used when the server does not say how long a silence is normal.
const SILENCE_BEFORE_PING: Duration = Duration::from_secs(8);
/// A half-open link is noticed this long after the ping; servers answer within milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// What the connection loop has to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Send a ping.
    Ping,
    /// Nobody is there any more.
    Dead,
}

/// Watches one connection for silence.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    silence: Duration,
    deadline: Instant,
    pinged: bool,
}

impl Heartbeat {
    /// Starts with the full silence allowed; 0 stands for the default.
    pub(crate) fn new(ping_after_ms: u32) -> Self {
        let silence = match ping_after_ms {
            0 => SILENCE_BEFORE_PING,
            millis => Duration::from_millis(millis.into()),
        };
        Self {
            silence,
            deadline: Instant::now() + silence,
            pinged: false,
        }
    }

    /// Notes that a frame arrived. Any frame counts, not only a pong.
    pub(crate) fn heard(&mut self) {
        self.deadline = Instant::now() + self.silence;
        self.pinged = false;
    }

    /// Resolves when something has to be done. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Beat {
        sleep_until(self.deadline).await;
        if self.pinged {
            return Beat::Dead;
        }
        self.pinged = true;
        self.deadline = Instant::now() + ANSWER_WITHIN;
        Beat::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_pinged_once_then_given_up() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(2000);
        assert_eq!(heartbeat.next().await, Beat::Ping);
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        assert_eq!(heartbeat.next().await, Beat::Dead);
        assert_eq!(start.elapsed(), Duration::from_secs(6));
    }

    #[tokio::test(start_paused = true)]
    async fn any_frame_starts_anew() {
        let start = Instant::now();
        let mut heartbeat = Heartbeat::new(0);
        assert_eq!(heartbeat.next().await, Beat::Ping);
        heartbeat.heard();
        assert_eq!(heartbeat.next().await, Beat::Ping);
        assert_eq!(start.elapsed(), 2 * SILENCE_BEFORE_PING);
    }
}
