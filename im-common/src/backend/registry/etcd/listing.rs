//! The last good list of nodes: pure, the keeper feeds it what etcd says.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

/// Every node in the list, by `<kind>/<id>`.
#[derive(Debug, Default)]
pub(super) struct Listing {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    /// Set while the entry is missing in etcd without having been deleted.
    doubted_until: Option<Instant>,
}

impl Listing {
    /// Takes a full list.
    ///
    /// A node that is missing in it stays for `grace`: it may have lost its entry together with
    /// etcd's data or during an outage, and is about to announce itself again. Only a deletion that
    /// was seen says for certain that a node is gone.
    pub(super) fn replace(
        &mut self,
        listed: Vec<(String, Vec<u8>)>,
        now: Instant,
        grace: Duration,
    ) {
        for entry in self.entries.values_mut() {
            entry.doubted_until = Some(now + grace);
        }
        for (key, value) in listed {
            self.put(key, value);
        }
    }

    /// Takes one entry.
    pub(super) fn put(&mut self, key: String, value: Vec<u8>) {
        let entry = Entry {
            value,
            doubted_until: None,
        };
        self.entries.insert(key, entry);
    }

    /// Drops an entry that was deleted, or whose lease ran out.
    pub(super) fn delete(&mut self, key: &str) {
        self.entries.remove(key);
    }

    /// Drops the entries that nobody has put back in time.
    pub(super) fn expire(&mut self, now: Instant) {
        self.entries
            .retain(|_, entry| entry.doubted_until.is_none_or(|until| until > now));
    }

    /// When to call [`Listing::expire`] next.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let entries = self.entries.values();
        entries.filter_map(|entry| entry.doubted_until).min()
    }

    /// The nodes of one kind, sorted by id. Entries that this version cannot read are left out.
    pub(super) fn nodes<T: DeserializeOwned>(&self, kind: &str) -> Vec<T> {
        let of_kind = |key: &str| {
            key.strip_prefix(kind)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let entries = self.entries.iter().filter(|(key, _)| of_kind(key));
        let read = |(key, entry): (&String, &Entry)| {
            serde_json::from_slice(&entry.value)
                .inspect_err(|error| tracing::warn!(key, %error, "cannot read a node's entry"))
                .ok()
        };
        entries.filter_map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(12);

    fn listed(keys: &[&str]) -> Vec<(String, Vec<u8>)> {
        let entry = |key: &&str| ((*key).to_owned(), b"1".to_vec());
        keys.iter().map(entry).collect()
    }

    fn count(listing: &Listing) -> usize {
        listing.nodes::<u64>("servers").len()
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_new_list_lacks_stays_for_the_grace_only() {
        let start = Instant::now();
        let mut listing = Listing::default();
        listing.replace(listed(&["servers/a", "servers/b"]), start, GRACE);
        assert_eq!(listing.next_expiry(), None);

        listing.replace(listed(&["servers/a"]), start, GRACE);
        listing.expire(start + GRACE / 2);
        assert_eq!(count(&listing), 2);
        assert_eq!(listing.next_expiry(), Some(start + GRACE));

        listing.expire(start + GRACE);
        assert_eq!(count(&listing), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_back_stays_and_what_is_deleted_goes_at_once() {
        let start = Instant::now();
        let mut listing = Listing::default();
        listing.replace(listed(&["servers/a", "servers/b"]), start, GRACE);
        listing.replace(Vec::new(), start, GRACE);

        listing.put("servers/a".to_owned(), b"1".to_vec());
        listing.delete("servers/b");
        assert_eq!(count(&listing), 1);
        listing.expire(start + GRACE);
        assert_eq!(count(&listing), 1);
    }

    #[test]
    fn kinds_are_kept_apart_and_strange_entries_left_out() {
        let mut listing = Listing::default();
        for (key, value) in [
            ("servers/a", "1"),
            ("servers/b", "?"),
            ("serversx/c", "1"),
            ("routes/d", "1"),
        ] {
            listing.put(key.to_owned(), value.as_bytes().to_vec());
        }
        assert_eq!(count(&listing), 1);
    }
}
