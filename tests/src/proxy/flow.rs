//! How one direction of a connection flows.

use std::time::Duration;

/// One direction; the default is a plain wire.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Flow {
    /// Nothing passes; what arrives waits, first in the proxy, then in the sockets' buffers.
    pub is_stalled: bool,
    /// Everything is taken and nothing arrives, as with a peer that is gone without a word.
    pub is_swallowed: bool,
    /// At most so many bytes in a second.
    pub bytes_per_second: Option<u32>,
    /// How much later everything arrives.
    pub delay: Duration,
    /// Up to so much later still; the order stays.
    pub jitter: Duration,
    /// Every byte is written by itself.
    pub is_sliced: bool,
}

impl Flow {
    /// Nothing passes until this ends; then everything does.
    pub fn stalled() -> Self {
        Self {
            is_stalled: true,
            ..Self::default()
        }
    }

    /// Nothing arrives, ever.
    pub fn swallowed() -> Self {
        Self {
            is_swallowed: true,
            ..Self::default()
        }
    }

    /// Everything arrives later.
    pub fn delayed(delay: Duration, jitter: Duration) -> Self {
        Self {
            delay,
            jitter,
            ..Self::default()
        }
    }

    /// At most so many bytes in a second.
    pub fn slow(bytes_per_second: u32) -> Self {
        Self {
            bytes_per_second: Some(bytes_per_second),
            ..Self::default()
        }
    }

    /// The same, every byte by itself.
    pub fn sliced(self) -> Self {
        Self {
            is_sliced: true,
            ..self
        }
    }
}
