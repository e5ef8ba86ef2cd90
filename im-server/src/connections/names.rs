//! Who is here, by name: presence comes from the connections themselves, so there are no ghosts.

use std::collections::BTreeMap;
use std::ops::Bound;

use im_common::id::UserId;
use im_common::name::UserName;
use im_common::transport::{ONLINE_USERS_MAX, OnlineQuery, OnlineUser};
use parking_lot::Mutex;

/// Users with at least one confirmed connection, sorted by folded name.
#[derive(Default)]
pub(super) struct Names(Mutex<BTreeMap<String, Present>>);

struct Present {
    name: UserName,
    user: UserId,
    devices: usize,
}

impl Names {
    pub(super) fn add(&self, name: &UserName, user: UserId) {
        let mut names = self.0.lock();
        let present = names.entry(name.folded()).or_insert_with(|| Present {
            name: name.clone(),
            user,
            devices: 0,
        });
        present.devices += 1;
    }

    pub(super) fn remove(&self, name: &UserName) {
        let mut names = self.0.lock();
        let folded = name.folded();
        if let Some(present) = names.get_mut(&folded) {
            present.devices -= 1;
            if present.devices == 0 {
                names.remove(&folded);
            }
        }
    }

    pub(super) fn list(&self, query: &OnlineQuery) -> Vec<OnlineUser> {
        let start = if query.after >= query.prefix {
            Bound::Excluded(query.after.as_str())
        } else {
            Bound::Included(query.prefix.as_str())
        };
        // The empty name is nobody's, so excluding it begins with the first.
        self.0
            .lock()
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(folded, _)| folded.starts_with(&query.prefix))
            .take(query.limit.min(ONLINE_USERS_MAX))
            .map(|(folded, present)| OnlineUser {
                folded: folded.clone(),
                name: present.name.clone(),
                user: present.user,
            })
            .collect()
    }
}
