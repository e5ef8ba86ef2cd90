//! Who is online: asked from the servers that hold the connections, never stored, so that nobody
//! is listed who is not there.

use std::sync::Arc;

use futures::future::join_all;
use im_common::transport::{Downlink, OnlineQuery, OnlineUser};

use crate::servers::Servers;

/// Most users on one page.
pub(crate) const PAGE_USERS_MAX: usize = 1000;

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
