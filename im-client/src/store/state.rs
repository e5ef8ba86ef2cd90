//! What a store holds in memory: positions and sends, and whose they are. Pure.

use std::collections::{HashMap, VecDeque};

use im_common::id::{ConversationId, LogEpoch, Sequence};
use im_common::message::{Identity, Position};

use super::{Change, Contents, PendingSend, StoreError, StoreErrorKind};

/// A thousand messages of the largest size; of usual ones, more than the 10,000 that a client has
/// without an answer.
const TEXT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Everything that is kept for one device.
#[derive(Debug)]
pub(super) struct State {
    owner: Identity,
    positions: HashMap<ConversationId, (LogEpoch, Sequence)>,
    sends: VecDeque<PendingSend>,
    text_bytes: usize,
}

impl State {
    pub(super) fn new(owner: Identity) -> Self {
        Self {
            owner,
            positions: HashMap::new(),
            sends: VecDeque::new(),
            text_bytes: 0,
        }
    }

    pub(super) const fn owner(&self) -> &Identity {
        &self.owner
    }

    /// Refuses anybody but the owner.
    pub(super) fn admit(&self, asking: &Identity) -> Result<(), StoreError> {
        if self.owner == *asking {
            return Ok(());
        }
        let of = |identity: &Identity| {
            let Identity { user, name, device } = identity;
            format!("{name} (user {user}) on the device {device}")
        };
        let message = format!("it is of {}, not of {}", of(&self.owner), of(asking));
        Err(StoreError::new(StoreErrorKind::Foreign, message))
    }

    /// Refuses what would be too much, all of it.
    pub(super) fn check(&self, changes: &[Change]) -> Result<(), StoreError> {
        let text_bytes = |change: &Change| match change {
            Change::Sending(send) => send.text.len(),
            Change::Handled(_) | Change::Ended(_) => 0,
        };
        let added: usize = changes.iter().map(text_bytes).sum();
        if added > 0 && self.text_bytes + added > TEXT_BYTES_MAX {
            let message = "it holds 64 MiB of messages without an answer, and keeps no more";
            return Err(StoreError::new(StoreErrorKind::Full, message));
        }
        Ok(())
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Handled(position) => {
                let at = (position.epoch, position.sequence);
                self.positions.insert(position.conversation.clone(), at);
            }
            Change::Sending(send) => {
                if !self.sends.iter().rev().any(|known| known.id == send.id) {
                    self.text_bytes += send.text.len();
                    self.sends.push_back(send.clone());
                }
            }
            Change::Ended(id) => {
                let index = self.sends.iter().position(|send| send.id == *id);
                if let Some(ended) = index.and_then(|index| self.sends.remove(index)) {
                    self.text_bytes -= ended.text.len();
                }
            }
        }
    }

    pub(super) fn contents(&self) -> Contents {
        let position = |(conversation, at): (&ConversationId, &(LogEpoch, Sequence))| Position {
            conversation: conversation.clone(),
            epoch: at.0,
            sequence: at.1,
        };
        Contents {
            positions: self.positions.iter().map(position).collect(),
            sends: self.sends.iter().cloned().collect(),
        }
    }
}
