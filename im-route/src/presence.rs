//! Who is online: asked from the servers that hold the connections, never stored, so that nobody
//! is listed who is not there.

use std::sync::Arc;

use futures::future::join_all;
use im_common::transport::{Downlink, ONLINE_USERS_MAX, OnlineQuery, OnlineUser};

use crate::servers::Servers;

/// Most users on one page: servers are asked for one more, to know whether others follow.
pub(crate) const PAGE_USERS_MAX: usize = ONLINE_USERS_MAX - 1;

/// Lists online users.
#[derive(Clone)]
pub(crate) struct Presence {
    pub(crate) servers: Servers,
    pub(crate) downlink: Arc<dyn Downlink>,
}

/// One page of online users, sorted by folded name.
#[derive(Debug, Default)]
pub(crate) struct OnlinePage {
    pub(crate) users: Vec<OnlineUser>,
    /// Where the next page begins.
    pub(crate) next: Option<String>,
    /// A server did not answer: users may be missing.
    pub(crate) partial: bool,
}

impl Presence {
    /// Merges the pages of all servers. Each returns its first `limit + 1` users, so the merged
    /// first `limit` are right, and one more tells whether there is another page.
    pub(crate) async fn online(&self, query: &OnlineQuery) -> OnlinePage {
        let limit = query.limit.clamp(1, PAGE_USERS_MAX);
        let query = OnlineQuery {
            limit: limit + 1,
            ..query.clone()
        };
        let servers = self.servers.all();
        let answers = join_all(
            servers
                .iter()
                .map(|server| self.downlink.online(&server.info, &query)),
        )
        .await;
        let partial = answers.iter().any(Result::is_err);
        let mut users: Vec<OnlineUser> = answers.into_iter().flatten().flatten().collect();
        users.sort_unstable();
        // A user with devices on several servers.
        users.dedup();
        let has_more = users.len() > limit;
        users.truncate(limit);
        let next = users
            .last()
            .filter(|_| has_more)
            .map(|last| last.folded.clone());
        OnlinePage {
            users,
            next,
            partial,
        }
    }
}

#[cfg(test)]
mod tests {
    use im_common::id::UserId;
    use im_common::name::UserName;
    use im_common::tasks::Tasks;

    use super::*;
    use crate::fixture::{self, FakeServers};

    #[tokio::test]
    async fn the_largest_page_is_followed_by_the_rest() {
        let user = |number: u64| {
            let name = UserName::new(&format!("user{number:04}")).unwrap();
            OnlineUser {
                folded: name.folded(),
                name,
                user: UserId::new(number).unwrap(),
            }
        };
        let tasks = Tasks::new();
        let backend = fixture::backend(&tasks).await;
        let downlink = FakeServers::new((1..=1005).map(user).collect());
        let presence = Presence {
            servers: Servers::follow(&*backend.registry, downlink.clone(), &tasks),
            downlink,
        };
        let mut query = OnlineQuery {
            limit: usize::MAX,
            ..OnlineQuery::default()
        };
        let first = presence.online(&query).await;
        assert_eq!(first.users.len(), PAGE_USERS_MAX);
        query.after = first.next.unwrap();
        let rest = presence.online(&query).await;
        assert_eq!(rest.users.len(), 5);
        assert_eq!(rest.next, None);
        tasks.cancel();
    }
}
