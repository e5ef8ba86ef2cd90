use std::time::Duration;

use tokio::time::advance;

use super::*;
use crate::backend::contract;
use crate::id::{ConnectionId, ServerId, SessionEpoch};

fn session(user: u64, attempt: u32) -> Session {
    Session {
        user: UserId::new(user).unwrap(),
        device: DeviceId::new("phone").unwrap(),
        server: ServerId::fresh(),
        connection: ConnectionId(1),
        epoch: SessionEpoch { login: 1, attempt },
    }
}

const NEARLY: Duration = SESSION_LEASE.checked_sub(Duration::from_secs(1)).unwrap();

#[tokio::test]
async fn passes_the_suite() {
    contract::sessions::suite(std::sync::Arc::new(EmbeddedSessions::new())).await;
}

#[tokio::test(start_paused = true)]
async fn an_expired_session_is_absent_and_can_be_attached_over() {
    let store = EmbeddedSessions::new();
    let newer = session(1, 2);
    store.attach(&newer, SlotPolicy::default()).await.unwrap();
    advance(NEARLY).await;
    assert_eq!(
        store.locate(&[newer.user]).await.unwrap(),
        std::slice::from_ref(&newer)
    );
    advance(Duration::from_secs(1)).await;
    assert_eq!(store.locate(&[newer.user]).await.unwrap(), []);

    let older = session(1, 1);
    let attached = store.attach(&older, SlotPolicy::default()).await.unwrap();
    assert_eq!(
        attached,
        Attached::Holds(vec![]),
        "a ghost locks nobody out"
    );
    let renewed = store
        .renew(std::slice::from_ref(&newer), SlotPolicy::default())
        .await
        .unwrap();
    assert_eq!(
        renewed,
        [Renewed::Restored],
        "the newer one lives after all"
    );
    assert_eq!(store.locate(&[newer.user]).await.unwrap(), [newer]);
}

#[tokio::test(start_paused = true)]
async fn renewing_and_attaching_again_extend_the_lease() {
    let store = EmbeddedSessions::new();
    let session = session(1, 1);
    store.attach(&session, SlotPolicy::default()).await.unwrap();
    advance(NEARLY).await;
    let renewed = store
        .renew(std::slice::from_ref(&session), SlotPolicy::default())
        .await
        .unwrap();
    assert_eq!(renewed, [Renewed::Extended]);
    advance(NEARLY).await;
    store.attach(&session, SlotPolicy::default()).await.unwrap();
    advance(NEARLY).await;
    assert_eq!(
        store.locate(&[session.user]).await.unwrap(),
        std::slice::from_ref(&session)
    );
    advance(SESSION_LEASE).await;
    let renewed = store
        .renew(std::slice::from_ref(&session), SlotPolicy::default())
        .await
        .unwrap();
    assert_eq!(renewed, [Renewed::Restored]);
}

#[tokio::test(start_paused = true)]
async fn expired_sessions_do_not_pile_up() {
    let store = EmbeddedSessions::new();
    for user in 1..=1000 {
        store
            .attach(&session(user, 1), SlotPolicy::default())
            .await
            .unwrap();
    }
    assert_eq!(store.count(), 1000);
    advance(SESSION_LEASE).await;
    store
        .attach(&session(1, 1), SlotPolicy::default())
        .await
        .unwrap();
    assert_eq!(store.count(), 1);
}
