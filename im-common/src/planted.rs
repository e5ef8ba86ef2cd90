//! Bugs that can be put in on purpose, to see whether the suites catch them.
//!
//! Each is a mistake that somebody could make in good faith at that very place. Without the feature
//! `planted`, which only the test crate asks for, every question is answered with a constant "no"
//! and the compiler drops the branch. With it, a bug is still asleep until a test wakes it.

#[cfg(feature = "planted")]
use std::sync::OnceLock;

/// A mistake inside of a node or a client. Those at a seam are in the test crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bug {
    /// The SDK counts a message as handled before its handler has returned.
    AckBeforeHandling,
    /// The SDK steps over a gap instead of fetching what is missing.
    StepOverGaps,
    /// The SDK does not believe the cluster how far its device was.
    ForgetPosition,
    /// The SDK gives a message a new id when it offers it again.
    FreshIdOnRetry,
    /// The SDK takes what was on the wire when the connection broke as refused.
    RefuseOffered,
    /// A server takes later messages of a round of which one was refused.
    ForgetRounds,
    /// A server drops a push for a full queue and tells nobody.
    DropSilently,
    /// A server loses acks.
    ForgetAcks,
    /// A server lets an older connection of a device replace the newer one.
    SkipTableFence,
    /// A server leaves a displaced connection open.
    KeepDisplaced,
    /// A route attaches a device whose login has ended.
    SkipLoginCheck,
    /// A route takes a message off the list although a server has not taken it.
    SettleFailed,
}

#[cfg(feature = "planted")]
static PLANTED: OnceLock<Bug> = OnceLock::new();

/// Wakes a bug for the rest of this process; one is enough. Later calls have no effect.
#[cfg(feature = "planted")]
pub fn plant(bug: Bug) {
    PLANTED.get_or_init(|| bug);
}

/// Whether this bug is to show itself.
#[cfg(feature = "planted")]
pub fn is_planted(bug: Bug) -> bool {
    PLANTED.get() == Some(&bug)
}

/// Whether this bug is to show itself: never, without the feature `planted`.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub const fn is_planted(_bug: Bug) -> bool {
    false
}
