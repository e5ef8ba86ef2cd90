//! Bugs put in on purpose: a suite that does not catch them proves nothing.
//!
//! Some sit inside of nodes and the SDK ([`im_common::planted`]), the others between a route and
//! its stores and servers, where a decorator can make every mistake that an implementation could.
//! One bug is awake in a process at most: [`plant`] it before anything starts.

mod downlink;
mod messages;
mod sessions;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use im_common::backend::Backend;
use im_common::planted::Bug;
use im_common::transport::Downlink;

use downlink::PlantedDownlink;
use messages::PlantedMessages;
use sessions::PlantedSessions;

/// A mistake at a seam.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeamBug {
    /// The log does not recognise a message that is offered again.
    ForgetDedupe,
    /// The log gives a number to two messages.
    RepeatNumber,
    /// A message is accepted before it is stored, and is not stored then.
    AcceptBeforeCommit,
    /// An id that was used for another text is taken for a repetition.
    ForgetConflict,
    /// Two messages of one sender change places.
    SwapDrafts,
    /// A page leaves a message out.
    SkipInPage,
    /// A log is told to end before its last message.
    ShortHeads,
    /// Nobody remembers which conversations a user has.
    ForgetConversations,
    /// How far a device is, is not found again.
    ForgetPositions,
    /// A device is noted as further than it is.
    AdvanceTooFar,
    /// Nobody takes over messages whose fan-out failed.
    ForgetUnsettled,
    /// A byte of a text changes in the store.
    CorruptText,
    /// A message is stored under the name of whom it is for.
    WrongSender,
    /// An older login attaches over a newer one.
    SkipFence,
    /// Routes do not find where a user is attached.
    LocateNobody,
    /// A push is reported as taken and was not.
    DropPush,
}

/// Where a bug sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a node or the SDK.
    Inside(Bug),
    /// Between a route and what it talks to.
    Seam(SeamBug),
}

/// One planted bug.
#[derive(Debug, Clone, Copy)]
pub struct Plant {
    /// Its name on the command line.
    pub name: &'static str,
    /// Where it sits.
    pub place: Place,
    /// What it does.
    pub what: &'static str,
    /// The scenario of the stress suite that must fail.
    pub caught_by: &'static str,
}

static AWAKE: OnceLock<SeamBug> = OnceLock::new();

/// Wakes a bug for the rest of this process.
pub fn plant(plant: &Plant) {
    match plant.place {
        Place::Inside(bug) => im_common::planted::plant(bug),
        Place::Seam(bug) => {
            AWAKE.get_or_init(|| bug);
        }
    }
}

fn is_awake(bug: SeamBug) -> bool {
    AWAKE.get() == Some(&bug)
}

/// The backend with the mistakes of the bug that is awake, if one is.
pub fn spoil_backend(backend: Backend) -> Backend {
    if AWAKE.get().is_none() {
        return backend;
    }
    Backend {
        messages: Arc::new(PlantedMessages::over(backend.messages)),
        sessions: Arc::new(PlantedSessions::over(backend.sessions)),
        ..backend
    }
}

/// The downlink with the mistakes of the bug that is awake, if one is.
pub fn spoil_downlink(downlink: Arc<dyn Downlink>) -> Arc<dyn Downlink> {
    if AWAKE.get().is_none() {
        return downlink;
    }
    Arc::new(PlantedDownlink::over(downlink))
}

/// Comes true once in so many times: a bug that always shows would be too easy to catch.
#[derive(Debug, Default)]
struct OnceIn(AtomicU64);

impl OnceIn {
    fn often(&self, times: u64) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) % times == times - 1
    }
}
