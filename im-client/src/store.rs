//! What a client keeps so that it survives the program: how far it is, and what it has not sent yet.

#[cfg(test)]
mod contract;
mod error;
mod file;
mod keeper;
mod memory;
mod state;

use std::fmt;

use async_trait::async_trait;
use im_common::id::MessageId;
use im_common::message::{Identity, Position, Recipient};

pub use error::{StoreError, StoreErrorKind};
pub use file::FileStore;
pub(crate) use keeper::{Keeper, Keeping};
pub use memory::MemoryStore;

/// Keeps what must survive the program, set with [`ClientBuilder::store`](crate::ClientBuilder::store).
///
/// [`MemoryStore`] survives a client, [`FileStore`] the program and the machine; implement this to
/// keep it where the rest of your data is.
///
/// # What is kept
///
/// **Positions**: up to where the handler has finished, in each conversation. Each is saved after
/// the handler has returned, before the next message is handed to it and before the cluster is told.
/// So every message is handled exactly once, however often the program ends and in whatever way, with
/// one exception: if it is killed after the handler has returned and before the position is saved,
/// that one message is handed to it again.
///
/// To close that gap too, save the position in the transaction in which the handler saves what it
/// made of the message: [`Message::position`](crate::Message::position) is what [`Store::load`] must
/// return for it then. The client saves it once more, which changes nothing. So can what the handler
/// sends be saved there. The example `custom_store` does both.
///
/// **Sends** without an answer, from when they have room among the 10,000 that a client can have on
/// their way: each is saved before it is offered to the cluster, and removed when it has ended. After
/// a restart they are offered again, in order, under the same ids, until their deadline;
/// [`Event::SendEnded`](crate::Event::SendEnded) tells how they ended. What a handler sends while it
/// handles a message is kept no later than the position: a message that is not handed to it again has
/// its answer on the way.
///
/// What a store does not help against: a cluster that loses messages it had accepted
/// ([`Event::Rewound`](crate::Event::Rewound)). Those that come again are handled again by a program
/// that was started anew in between.
///
/// # When it fails
///
/// If [`Store::load`] fails, the client does not connect. If a send cannot be saved it is not offered,
/// and ends as [`SendError::NotKept`](crate::SendError::NotKept). If a position cannot be saved, the
/// handler gets no further message and the cluster is told nothing until it can: the client tries
/// again, ever more seldom, up to every five seconds. A panic in [`Store::save`] is a failure, too.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Returns everything that is kept. Called once by each client, before anything else.
    ///
    /// A store belongs to one device of one user: fails with [`StoreErrorKind::Foreign`] for another
    /// one than the first.
    async fn load(&self, owner: &Identity) -> Result<Contents, StoreError>;

    /// Keeps changes, in order, all of them or none. Called by one client, one call at a time.
    ///
    /// It may block its thread, as handlers may. The changes must survive the end of the program as
    /// soon as this returns. When it fails, the client
    /// does not know whether they are kept, and asks for those that matter again.
    async fn save(&self, changes: &[Change]) -> Result<(), StoreError>;

    /// The client has ended; another one may load. Not called if the program ends before.
    async fn close(&self) {}
}

/// Everything that a store keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// For each conversation, in any order.
    pub positions: Vec<Position>,
    /// In the order in which they were saved.
    pub sends: Vec<PendingSend>,
}

impl Contents {
    /// Puts together what a store has read.
    pub const fn new(positions: Vec<Position>, sends: Vec<PendingSend>) -> Self {
        Self { positions, sends }
    }
}

/// What a store is asked to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The handler has finished up to here. Replaces the position in that conversation, also one that
    /// is further: a cluster that lost messages goes back.
    Handled(Position),
    /// A message is about to be offered. One of the same id is there already if it is saved again.
    Sending(PendingSend),
    /// That send has ended. Nothing, if there is no such send.
    Ended(MessageId),
}

/// A message that has no answer yet.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingSend {
    /// Names the message, also when it is offered again.
    pub id: MessageId,
    /// Whom it is for.
    pub to: Recipient,
    /// What it says.
    pub text: String,
    /// Until when it is offered, milliseconds since 1970 by the clock of this machine: only that clock
    /// goes on while the program does not run.
    pub deadline_ms: u64,
}

impl PendingSend {
    /// Puts together what a store has read.
    pub const fn new(id: MessageId, to: Recipient, text: String, deadline_ms: u64) -> Self {
        Self {
            id,
            to,
            text,
            deadline_ms,
        }
    }
}

/// Leaves the text out: it belongs neither in logs nor in panics.
impl fmt::Debug for PendingSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSend")
            .field("id", &self.id)
            .field("to", &format_args!("{}", self.to))
            .field("text_bytes", &self.text.len())
            .field("deadline_ms", &self.deadline_ms)
            .finish()
    }
}
