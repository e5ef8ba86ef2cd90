//! Names of users seen in this chat: for completion, and to show the other side of a private
//! conversation.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use im_common::id::UserId;
use im_common::name::fold;

/// More names than this are no help in completing one, and a lobby may have millions.
const NAMES_MAX: usize = 1000;

/// The names; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    known: Arc<Mutex<BTreeMap<UserId, String>>>,
}

impl Names {
    /// Notes a user.
    pub(super) fn learn(&self, user: UserId, name: &str) {
        let mut known = self.lock();
        if known.len() >= NAMES_MAX && !known.contains_key(&user) {
            known.pop_first();
        }
        known.insert(user, name.to_owned());
    }

    /// The name of a user, or the id of one that was not seen.
    pub(super) fn of(&self, user: UserId) -> String {
        let known = self.lock().get(&user).cloned();
        known.unwrap_or_else(|| user.to_string())
    }

    /// Every known name that begins so, without regard to case.
    pub(super) fn beginning_with(&self, prefix: &str) -> Vec<String> {
        let prefix = fold(prefix);
        let mut names: Vec<String> = self
            .lock()
            .values()
            .filter(|name| fold(name).starts_with(&prefix))
            .cloned()
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<UserId, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_their_beginning_and_bounded() {
        let names = Names::default();
        for id in 1..=NAMES_MAX as u64 + 5 {
            names.learn(UserId::new(id).unwrap(), &format!("user-{id}"));
        }
        let alice = UserId::new(9_999).unwrap();
        names.learn(alice, "Alice");
        assert_eq!(names.beginning_with("al"), ["Alice"]);
        assert_eq!(names.of(alice), "Alice");
        assert_eq!(names.of(UserId::new(1).unwrap()), "1");
        assert_eq!(names.beginning_with("").len(), NAMES_MAX);
    }
}
