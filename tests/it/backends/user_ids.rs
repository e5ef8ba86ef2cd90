//! User ids are not given twice, whatever Redis has lost.

use std::time::Duration;

use im_common::backend::directory::{Directory, Registered};
use im_common::id::UserId;
use im_common::name::UserName;
use im_common::secret::Secret;
use im_common::tasks::Tasks;
use im_tests::services::{Etcd, Redis};

use super::connect;

async fn register(directory: &dyn Directory, name: &str) -> UserId {
    let name = UserName::new(name).unwrap();
    let registered = directory.register(&name, Secret("hash".to_owned())).await;
    let Registered::New(account) = registered.unwrap() else {
        panic!("the name is free");
    };
    account.user
}

#[tokio::test]
async fn ids_rise_also_after_redis_lost_everything() {
    let (redis, etcd, tasks) = (Redis::start().await, Etcd::start().await, Tasks::new());
    let backend = connect(vec![redis.url()], etcd.url(), &tasks).await;
    let mut ids = Vec::new();
    for life in 0..3 {
        for number in 0..5 {
            ids.push(register(&*backend.directory, &format!("user-{life}-{number}")).await);
        }
        redis.command(&redis::cmd("FLUSHALL")).await;
        // Ids may be ahead of the clock by one millisecond each.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(ids.is_sorted_by(|one, other| one < other), "{ids:?}");
}
