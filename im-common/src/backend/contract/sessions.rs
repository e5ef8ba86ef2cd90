//! What every `SessionStore` must do, but for leases that expire: that takes a minute, or a clock
//! that can be moved, so each implementation checks it beside itself.

use std::sync::Arc;

use futures::future::join_all;

use super::{fresh_device, fresh_user};
use crate::backend::sessions::{Attached, Renewed, SessionStore};
use crate::id::{ConnectionId, ServerId, SessionEpoch, UserId};
use crate::message::Session;

/// Runs every check.
pub async fn suite(store: Arc<dyn SessionStore>) {
    let store = &*store;
    an_attached_session_is_located(store).await;
    a_newer_session_displaces_the_older_one(store).await;
    an_older_session_changes_nothing(store).await;
    with_equal_epochs_the_one_that_holds_stays(store).await;
    attaching_again_displaces_nobody(store).await;
    devices_do_not_displace_each_other(store).await;
    only_the_session_that_holds_can_be_detached(store).await;
    renewing_extends_restores_or_is_superseded(store).await;
    a_renewed_session_displaces_an_older_one(store).await;
    many_users_are_located_at_once(store).await;
    of_many_at_once_the_newest_holds(store).await;
}

/// Returns a session of a device that no other check has.
fn fresh_session() -> Session {
    Session {
        user: fresh_user(),
        device: fresh_device(),
        server: ServerId::fresh(),
        connection: ConnectionId(1),
        epoch: SessionEpoch {
            login: 1_700_000_000_000,
            attempt: 5,
        },
    }
}

/// Returns the session of another connection of the same device.
fn reconnected(session: &Session, login: u64, attempt: u32) -> Session {
    Session {
        server: ServerId::fresh(),
        connection: ConnectionId(u64::MAX),
        epoch: SessionEpoch { login, attempt },
        ..session.clone()
    }
}

async fn attach(store: &dyn SessionStore, session: &Session) {
    let attached = store.attach(session).await.unwrap();
    assert!(matches!(attached, Attached::Holds(_)), "{attached:?}");
}

async fn located(store: &dyn SessionStore, user: UserId) -> Vec<Session> {
    store.locate(&[user]).await.unwrap()
}

/// Checks that a session is the only one of its user.
async fn only_holds(store: &dyn SessionStore, session: &Session) {
    let sessions = located(store, session.user).await;
    assert_eq!(sessions, std::slice::from_ref(session));
}

/// A session is found until it is detached.
pub async fn an_attached_session_is_located(store: &dyn SessionStore) {
    let session = fresh_session();
    assert_eq!(located(store, session.user).await, []);
    assert_eq!(store.attach(&session).await.unwrap(), Attached::Holds(None));
    only_holds(store, &session).await;
    store.detach(&session).await.unwrap();
    assert_eq!(located(store, session.user).await, []);
    store.detach(&session).await.unwrap();
    assert_eq!(store.attach(&session).await.unwrap(), Attached::Holds(None));
}

/// A later attempt wins over an earlier one, and a later login over any attempt; the displaced
/// session is named.
pub async fn a_newer_session_displaces_the_older_one(store: &dyn SessionStore) {
    let first = fresh_session();
    let login = first.epoch.login;
    let second = reconnected(&first, login, 10);
    let third = reconnected(&first, login + 1, 1);
    attach(store, &first).await;
    let displaced = store.attach(&second).await.unwrap();
    assert_eq!(displaced, Attached::Holds(Some(first.clone())));
    let displaced = store.attach(&third).await.unwrap();
    assert_eq!(displaced, Attached::Holds(Some(second)));
    assert_eq!(located(store, first.user).await, [third]);
}

/// Whatever comes late stays without effect, and is told who holds.
pub async fn an_older_session_changes_nothing(store: &dyn SessionStore) {
    let newer = fresh_session();
    attach(store, &newer).await;
    let login = newer.epoch.login;
    for older in [
        reconnected(&newer, login, 4),
        reconnected(&newer, login - 1, u32::MAX),
        reconnected(&newer, 9, 5),
    ] {
        let attached = store.attach(&older).await.unwrap();
        assert_eq!(attached, Attached::Superseded(newer.clone()));
        only_holds(store, &newer).await;
    }
}

/// Two connections with one epoch: the second is refused.
pub async fn with_equal_epochs_the_one_that_holds_stays(store: &dyn SessionStore) {
    let session = fresh_session();
    attach(store, &session).await;
    let same_server = Session {
        connection: ConnectionId(2),
        ..session.clone()
    };
    let other_server = Session {
        server: ServerId::fresh(),
        ..session.clone()
    };
    for other in [same_server, other_server] {
        let attached = store.attach(&other).await.unwrap();
        assert_eq!(attached, Attached::Superseded(session.clone()));
        only_holds(store, &session).await;
    }
}

/// A repeated call, whose first answer was lost, succeeds.
pub async fn attaching_again_displaces_nobody(store: &dyn SessionStore) {
    let session = fresh_session();
    attach(store, &session).await;
    assert_eq!(store.attach(&session).await.unwrap(), Attached::Holds(None));
    only_holds(store, &session).await;
}

/// Each device of a user has a session of its own; so has the same device id of another user.
pub async fn devices_do_not_displace_each_other(store: &dyn SessionStore) {
    let phone = fresh_session();
    let desk = Session {
        device: fresh_device(),
        ..phone.clone()
    };
    let stranger = Session {
        user: fresh_user(),
        ..phone.clone()
    };
    for session in [&phone, &desk, &stranger] {
        assert_eq!(store.attach(session).await.unwrap(), Attached::Holds(None));
    }
    let sessions = located(store, phone.user).await;
    assert_eq!(sessions.len(), 2);
    assert!(sessions.contains(&phone) && sessions.contains(&desk));
    store.detach(&phone).await.unwrap();
    assert_eq!(located(store, phone.user).await, [desk]);
    only_holds(store, &stranger).await;
}

/// A detach that comes late does not end the session that took over.
pub async fn only_the_session_that_holds_can_be_detached(store: &dyn SessionStore) {
    let older = fresh_session();
    let newer = reconnected(&older, older.epoch.login, 6);
    attach(store, &older).await;
    attach(store, &newer).await;
    store.detach(&older).await.unwrap();
    only_holds(store, &newer).await;
    let same_epoch = reconnected(&newer, newer.epoch.login, newer.epoch.attempt);
    store.detach(&same_epoch).await.unwrap();
    only_holds(store, &newer).await;
    let not_yet = reconnected(&newer, newer.epoch.login, 7);
    store.detach(&not_yet).await.unwrap();
    only_holds(store, &newer).await;
}

/// The answers are in the order of the sessions.
pub async fn renewing_extends_restores_or_is_superseded(store: &dyn SessionStore) {
    assert_eq!(store.renew(&[]).await.unwrap(), []);
    let [held, vanished, older] = [(); 3].map(|()| fresh_session());
    let newer = reconnected(&older, older.epoch.login, 6);
    let other = fresh_session();
    let same_epoch = reconnected(&other, other.epoch.login, other.epoch.attempt);
    for session in [&held, &newer, &other] {
        attach(store, session).await;
    }
    let sessions = [older, vanished.clone(), held.clone(), same_epoch];
    let renewed = store.renew(&sessions).await.unwrap();
    assert_eq!(
        renewed,
        [
            Renewed::Superseded,
            Renewed::Restored,
            Renewed::Extended,
            Renewed::Superseded
        ]
    );
    for session in [held, vanished, newer, other] {
        only_holds(store, &session).await;
    }
}

/// When the store lost the newer session and the older one came first, renewing puts it right.
pub async fn a_renewed_session_displaces_an_older_one(store: &dyn SessionStore) {
    let older = fresh_session();
    let newer = reconnected(&older, older.epoch.login + 1, 1);
    attach(store, &older).await;
    let renewed = store.renew(std::slice::from_ref(&newer)).await.unwrap();
    assert_eq!(renewed, [Renewed::Restored]);
    only_holds(store, &newer).await;
    let renewed = store.renew(&[older]).await.unwrap();
    assert_eq!(renewed, [Renewed::Superseded]);
}

/// Users without sessions are no error; nobody else's sessions are among the answers.
pub async fn many_users_are_located_at_once(store: &dyn SessionStore) {
    assert_eq!(store.locate(&[]).await.unwrap(), []);
    let sessions: Vec<_> = (0..300).map(|_| fresh_session()).collect();
    for attached in join_all(sessions.iter().map(|session| store.attach(session))).await {
        assert_eq!(attached.unwrap(), Attached::Holds(None));
    }
    let mut users: Vec<_> = sessions
        .iter()
        .skip(10)
        .map(|session| session.user)
        .collect();
    users.push(fresh_user());
    let mut found = store.locate(&users).await.unwrap();
    let mut expected = sessions[10..].to_vec();
    found.sort_by_key(|session| session.user);
    expected.sort_by_key(|session| session.user);
    assert_eq!(found, expected);
}

/// A hundred connections of one device at once, in any order: the greatest epoch holds, and every
/// other is told, or named as displaced, exactly once.
pub async fn of_many_at_once_the_newest_holds(store: &dyn SessionStore) {
    let device = fresh_session();
    let sessions: Vec<_> = (0..100)
        .map(|n| reconnected(&device, device.epoch.login, n * 37 % 100 + 1))
        .collect();
    let outcomes = join_all(sessions.iter().map(|session| store.attach(session))).await;
    let mut ended = Vec::new();
    for (session, outcome) in sessions.iter().zip(outcomes) {
        match outcome.unwrap() {
            Attached::Holds(displaced) => ended.extend(displaced.map(|d| d.epoch.attempt)),
            Attached::Superseded(_) => ended.push(session.epoch.attempt),
        }
    }
    ended.sort_unstable();
    assert!(ended.into_iter().eq(1..=99));
    let held = located(store, device.user).await;
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].epoch.attempt, 100);
}
