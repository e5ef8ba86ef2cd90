//! The store in memory: it survives a client, not the program.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use im_common::message::Identity;

use super::state::State;
use super::{Change, Contents, Store, StoreError, StoreErrorKind};

/// Keeps everything in memory. Clones share it: give one to each client that is to go on where the
/// last one stopped.
///
/// Holds at most 64 MiB of messages without an answer; beyond it, saving fails as
/// [`StoreErrorKind::Full`].
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<Option<State>>>,
}

impl MemoryStore {
    /// A store that is empty.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, owner: &Identity) -> Result<Contents, StoreError> {
        let mut state = self.lock();
        let state = state.get_or_insert_with(|| State::new(owner.clone()));
        state.admit(owner)?;
        Ok(state.contents())
    }

    async fn save(&self, changes: &[Change]) -> Result<(), StoreError> {
        let mut state = self.lock();
        let state = state.as_mut().ok_or_else(not_loaded)?;
        state.check(changes)?;
        changes.iter().for_each(|change| state.apply(change));
        Ok(())
    }
}

/// Whose it is shows with the first load.
pub(super) fn not_loaded() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "nobody has loaded the store")
}
