//! Names of users seen in this chat: for completion, and to show the other side of a private
//! conversation.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use im_common::id::UserId;
use im_common::name::{UserName, fold};

/// Some 20 MB of them. A lobby may have more; those seen first are forgotten.
const NAMES_MAX: usize = 100_000;

/// The names; clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    names: HashMap<UserId, Arc<str>>,
    /// By the folded name, for lookup by its beginning.
    sorted: BTreeMap<String, Arc<str>>,
}

impl Names {
    /// Notes a user.
    pub(super) fn learn(&self, user: UserId, name: &str) {
        // Completion writes names to the terminal as they are.
        if UserName::new(name).is_err() {
            return;
        }
        let mut known = self.lock();
        if known.names.get(&user).is_some_and(|known| **known == *name) {
            return;
        }
        known.forget(user);
        // The smallest id is not the oldest sight, but costs nothing to find: any will do.
        if known.names.len() >= NAMES_MAX
            && let Some(other) = known.names.keys().next().copied()
        {
            known.forget(other);
        }
        let name: Arc<str> = Arc::from(name);
        known.sorted.insert(fold(&name), Arc::clone(&name));
        known.names.insert(user, name);
    }

    /// Notes a user who was only named: nobody types capitals as their owner writes them.
    pub(super) fn learn_as_typed(&self, user: UserId, name: &str) {
        if !self.lock().names.contains_key(&user) {
            self.learn(user, name);
        }
    }

    /// The name of a user, or the id of one that was not seen.
    pub(super) fn of(&self, user: UserId) -> String {
        let known = self.lock();
        let name = known.names.get(&user);
        name.map_or_else(|| user.to_string(), ToString::to_string)
    }

    /// Known names that begin so, without regard to case, sorted. With more than so many, the
    /// first ones and the last one: what they have in common is what all have in common.
    pub(super) fn beginning_with(&self, prefix: &str, limit: usize) -> Vec<String> {
        let prefix = fold(prefix);
        let end = format!("{prefix}{}", char::MAX);
        let range = (Bound::Included(prefix), Bound::Excluded(end));
        let known = self.lock();
        let mut names = known.sorted.range(range).map(|(_, name)| name.to_string());
        let mut found: Vec<String> = names.by_ref().take(limit.saturating_sub(1)).collect();
        found.extend(names.next_back());
        found
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget(&mut self, user: UserId) {
        if let Some(name) = self.names.remove(&user) {
            self.sorted.remove(&fold(&name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learn(names: &Names, id: u64, name: &str) {
        names.learn(UserId::new(id).unwrap(), name);
    }

    #[test]
    fn names_are_found_by_their_beginning_and_bounded() {
        let names = Names::default();
        for id in 1..=NAMES_MAX as u64 + 5 {
            learn(&names, id, &format!("user-{id:06}"));
        }
        learn(&names, 999_999, "Alice");
        assert_eq!(names.beginning_with("al", 9), ["Alice"]);
        assert_eq!(names.of(UserId::new(999_999).unwrap()), "Alice");
        assert_eq!(names.of(UserId::new(888_888).unwrap()), "888888");
        assert_eq!(
            names.beginning_with("", 2 * NAMES_MAX).len(),
            NAMES_MAX,
            "bounded"
        );
        assert_eq!(names.beginning_with("user-", 3).len(), 3);
    }

    #[test]
    fn a_cut_list_has_in_common_what_all_have() {
        let names = Names::default();
        for (id, name) in [
            (1, "张三"),
            (2, "张三丰"),
            (3, "张飞"),
            (4, "Bob"),
            (5, "böb"),
        ] {
            learn(&names, id, name);
        }
        assert_eq!(names.beginning_with("张", 2), ["张三", "张飞"]);
        assert_eq!(names.beginning_with("B", 9), ["Bob", "böb"]);
        assert_eq!(names.beginning_with("x", 9), Vec::<String>::new());
        names.learn_as_typed(UserId::new(4).unwrap(), "BOB");
        assert_eq!(names.of(UserId::new(4).unwrap()), "Bob");
        learn(&names, 4, "Robert");
        assert_eq!(names.beginning_with("bo", 9), Vec::<String>::new());
    }
}
