//! What one commit holds: the changes of several callers, each of which sees those before it.

use std::collections::BTreeMap;

use fjall::{PersistMode, Slice};

use super::commits::Commit;
use super::keys::{self, Key};
use super::tables::{Entries, Tables, caught};
use crate::backend::Result;

/// What was written and not yet committed; `None` where a key was removed.
type Written = BTreeMap<Key, Option<Slice>>;
/// What happens in memory once a change is committed.
type Effect = Box<dyn FnOnce() + Send>;

/// Changes that are committed together or not at all.
pub(super) struct Batch<'a> {
    tables: &'a Tables,
    written: Written,
    effects: Vec<Effect>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    pub(super) fn new(tables: &'a Tables) -> Self {
        Self {
            tables,
            written: Written::new(),
            effects: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds a change; one that fails adds nothing.
    pub(super) fn add<T>(
        &mut self,
        change: impl FnOnce(&mut Change<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut view = Change {
            tables: self.tables,
            earlier: &self.written,
            written: Written::new(),
            effects: Vec::new(),
        };
        let outcome = change(&mut view)?;
        let Change {
            written, effects, ..
        } = view;
        for (key, value) in written {
            self.bytes += key.bytes.len() + value.as_ref().map_or(0, |value| value.len());
            self.written.insert(key, value);
        }
        self.effects.extend(effects);
        Ok(outcome)
    }

    /// How many bytes of keys and values it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Commits under the number after `newest`, and returns which commit is the newest then: the
    /// same, if nothing is to be written. The database first writes its journal and syncs it as
    /// asked for, and shows the changes to readers after that only: when it fails, nobody has seen
    /// them, and what callers were told stays true.
    pub(super) fn commit(
        mut self,
        newest: u64,
        synced: u64,
        persist: Option<PersistMode>,
    ) -> Result<u64> {
        let database = &self.tables.database;
        if self.written.is_empty() {
            // Tells whether the database would take anything.
            caught(|| database.persist(PersistMode::Buffer))?;
            self.take_effect();
            return Ok(newest);
        }
        let commit = Commit {
            number: newest + 1,
            least_seqno: database.seqno(),
            synced,
        };
        self.written
            .insert(keys::commit(), Some(commit.encode().into()));
        let mut batch = database.batch().durability(persist);
        for (key, value) in std::mem::take(&mut self.written) {
            let table = self.tables.table(key.table);
            match value {
                Some(value) => batch.insert(table, key.bytes, value),
                None => batch.remove(table, key.bytes),
            }
        }
        caught(|| batch.commit())?;
        self.take_effect();
        Ok(commit.number)
    }

    fn take_effect(self) {
        for effect in self.effects {
            effect();
        }
    }
}

/// One change in the making. Sees the database, the changes before it, and itself.
pub(crate) struct Change<'a> {
    tables: &'a Tables,
    earlier: &'a Written,
    written: Written,
    effects: Vec<Effect>,
}

impl Change<'_> {
    /// Returns a value.
    pub(crate) fn get(&self, key: &Key) -> Result<Option<Slice>> {
        if let Some(value) = self.written.get(key).or_else(|| self.earlier.get(key)) {
            return Ok(value.clone());
        }
        // Without a snapshot: nobody but the one writer changes anything.
        let table = self.tables.table(key.table);
        caught(|| table.get(&key.bytes))
    }

    /// Returns the bytes of the keys under a prefix, and their values, in order.
    pub(crate) fn prefix(&self, prefix: &Key) -> Result<BTreeMap<Slice, Slice>> {
        let table = self.tables.table(prefix.table);
        let mut found = Entries(table.prefix(&prefix.bytes)).collect::<Result<BTreeMap<_, _>>>()?;
        for written in [self.earlier, &self.written] {
            let under = written
                .range(prefix.clone()..)
                .take_while(|(key, _)| key.bytes.starts_with(&prefix.bytes));
            for (key, value) in under {
                match value {
                    Some(value) => found.insert(key.bytes.as_slice().into(), value.clone()),
                    None => found.remove(key.bytes.as_slice()),
                };
            }
        }
        Ok(found)
    }

    /// Sets a value.
    pub(crate) fn insert(&mut self, key: Key, value: impl Into<Slice>) {
        self.written.insert(key, Some(value.into()));
    }

    /// Removes a value.
    pub(crate) fn remove(&mut self, key: Key) {
        self.written.insert(key, None);
    }

    /// Runs something once the change is committed, whether or not its caller still waits.
    pub(crate) fn when_committed(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.effects.push(Box::new(effect));
    }
}
