//! Who is called what. Names never change, so what was found once is remembered.

use std::sync::Arc;
use std::time::Duration;

use im_common::backend::Result;
use im_common::backend::directory::Directory;
use im_common::id::UserId;
use im_common::name::UserName;
use moka::future::Cache;

/// Some 400 bytes each: 8 MB at most for both directions.
const REMEMBERED_MAX: u64 = 10_000;
/// Bounds how long an account that was lost with its store seems to be there.
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// Looks users up by name and by id. Only what exists is remembered, so a new account is seen at
/// once by every route.
#[derive(Clone)]
pub(crate) struct Names {
    directory: Arc<dyn Directory>,
    ids: Cache<String, UserId>,
    names: Cache<UserId, UserName>,
}

impl Names {
    pub(crate) fn new(directory: Arc<dyn Directory>) -> Self {
        Self {
            directory,
            ids: cache(),
            names: cache(),
        }
    }

    /// Returns the user of this name, without regard to case.
    pub(crate) async fn user(&self, name: &UserName) -> Result<Option<UserId>> {
        let folded = name.folded();
        if let Some(user) = self.ids.get(&folded).await {
            return Ok(Some(user));
        }
        let Some(account) = self.directory.find(name).await? else {
            return Ok(None);
        };
        self.ids.insert(folded, account.user).await;
        Ok(Some(account.user))
    }

    /// Returns the name of this user.
    pub(crate) async fn name(&self, user: UserId) -> Result<Option<UserName>> {
        if let Some(name) = self.names.get(&user).await {
            return Ok(Some(name));
        }
        let Some(name) = self.directory.name_of(user).await? else {
            return Ok(None);
        };
        self.names.insert(user, name.clone()).await;
        Ok(Some(name))
    }

    /// Whether the directory itself knows this user now, whatever is remembered here.
    pub(crate) async fn is_stored(&self, user: UserId) -> Result<bool> {
        Ok(self.directory.name_of(user).await?.is_some())
    }
}

fn cache<K, V>() -> Cache<K, V>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(REMEMBERED_MAX)
        .time_to_live(REMEMBERED_FOR)
        .build()
}
