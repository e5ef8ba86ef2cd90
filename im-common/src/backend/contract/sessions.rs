//! What every `SessionStore` must do, but for leases that expire: that takes a minute, or a clock
//! that can be moved, so each implementation checks it beside itself.

use std::sync::Arc;

use futures::future::join_all;

use super::{fresh_device, fresh_user};
use crate::backend::sessions::{
    Attached, Renewed, SecondLogin, SessionStore, SessionsPer, SlotPolicy,
};
use crate::id::{ConnectionId, ServerId, SessionEpoch, UserId};
use crate::message::Session;

const BY_DEVICE: SlotPolicy = SlotPolicy {
    sessions_per: SessionsPer::Device,
    second_login: SecondLogin::Displace,
};
const BY_USER: SlotPolicy = SlotPolicy {
    sessions_per: SessionsPer::User,
    ..BY_DEVICE
};
const REFUSING: SlotPolicy = SlotPolicy {
    second_login: SecondLogin::Refuse,
    ..BY_USER
};
const REFUSING_BY_DEVICE: SlotPolicy = SlotPolicy {
    sessions_per: SessionsPer::Device,
    ..REFUSING
};

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
    of_one_user_the_newest_login_holds_whatever_the_device(store).await;
    a_renewal_of_another_device_tells_who_holds(store).await;
    an_occupied_slot_stays_until_it_is_detached(store).await;
    on_one_device_the_newer_login_holds_also_where_others_are_refused(store).await;
    of_many_devices_at_once_one_holds(store).await;
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
    let attached = store.attach(session, BY_DEVICE).await.unwrap();
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
    assert_eq!(
        store.attach(&session, BY_DEVICE).await.unwrap(),
        Attached::Holds(vec![])
    );
    only_holds(store, &session).await;
    store.detach(&session).await.unwrap();
    assert_eq!(located(store, session.user).await, []);
    store.detach(&session).await.unwrap();
    assert_eq!(
        store.attach(&session, BY_DEVICE).await.unwrap(),
        Attached::Holds(vec![])
    );
}

/// A later attempt wins over an earlier one, and a later login over any attempt; the displaced
/// session is named.
pub async fn a_newer_session_displaces_the_older_one(store: &dyn SessionStore) {
    let first = fresh_session();
    let login = first.epoch.login;
    let second = reconnected(&first, login, 10);
    let third = reconnected(&first, login + 1, 1);
    attach(store, &first).await;
    let displaced = store.attach(&second, BY_DEVICE).await.unwrap();
    assert_eq!(displaced, Attached::Holds(vec![first.clone()]));
    let displaced = store.attach(&third, BY_DEVICE).await.unwrap();
    assert_eq!(displaced, Attached::Holds(vec![second]));
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
        let attached = store.attach(&older, BY_DEVICE).await.unwrap();
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
        let attached = store.attach(&other, BY_DEVICE).await.unwrap();
        assert_eq!(attached, Attached::Superseded(session.clone()));
        only_holds(store, &session).await;
    }
}

/// A repeated call, whose first answer was lost, succeeds.
pub async fn attaching_again_displaces_nobody(store: &dyn SessionStore) {
    let session = fresh_session();
    attach(store, &session).await;
    assert_eq!(
        store.attach(&session, BY_DEVICE).await.unwrap(),
        Attached::Holds(vec![])
    );
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
        assert_eq!(
            store.attach(session, BY_DEVICE).await.unwrap(),
            Attached::Holds(vec![])
        );
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
    assert_eq!(store.renew(&[], BY_DEVICE).await.unwrap(), []);
    let [held, vanished, older] = [(); 3].map(|()| fresh_session());
    let newer = reconnected(&older, older.epoch.login, 6);
    let other = fresh_session();
    let same_epoch = reconnected(&other, other.epoch.login, other.epoch.attempt);
    for session in [&held, &newer, &other] {
        attach(store, session).await;
    }
    let sessions = [older, vanished.clone(), held.clone(), same_epoch];
    let renewed = store.renew(&sessions, BY_DEVICE).await.unwrap();
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
    let renewed = store
        .renew(std::slice::from_ref(&newer), BY_DEVICE)
        .await
        .unwrap();
    assert_eq!(renewed, [Renewed::Restored]);
    only_holds(store, &newer).await;
    let renewed = store.renew(&[older], BY_DEVICE).await.unwrap();
    assert_eq!(renewed, [Renewed::Superseded]);
}

/// Users without sessions are no error; nobody else's sessions are among the answers.
pub async fn many_users_are_located_at_once(store: &dyn SessionStore) {
    assert_eq!(store.locate(&[]).await.unwrap(), []);
    let sessions: Vec<_> = (0..300).map(|_| fresh_session()).collect();
    for attached in join_all(
        sessions
            .iter()
            .map(|session| store.attach(session, BY_DEVICE)),
    )
    .await
    {
        assert_eq!(attached.unwrap(), Attached::Holds(vec![]));
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
    let outcomes = join_all(
        sessions
            .iter()
            .map(|session| store.attach(session, BY_DEVICE)),
    )
    .await;
    let mut ended = Vec::new();
    for (session, outcome) in sessions.iter().zip(outcomes) {
        match outcome.unwrap() {
            Attached::Holds(displaced) => ended.extend(displaced.iter().map(|d| d.epoch.attempt)),
            Attached::Superseded(_) => ended.push(session.epoch.attempt),
            Attached::Occupied(_) => panic!("nobody is refused"),
        }
    }
    ended.sort_unstable();
    assert!(ended.into_iter().eq(1..=99));
    let held = located(store, device.user).await;
    assert_eq!(held.len(), 1);
    assert_eq!(held[0].epoch.attempt, 100);
}

/// Returns a later login of the same user on another device.
fn elsewhere(session: &Session) -> Session {
    Session {
        device: fresh_device(),
        ..reconnected(session, session.epoch.login + 1, 1)
    }
}

/// With one session for each user the newest login displaces the others; older ones are refused.
pub async fn of_one_user_the_newest_login_holds_whatever_the_device(store: &dyn SessionStore) {
    let phone = fresh_session();
    let desk = elsewhere(&phone);
    attach(store, &phone).await;
    let attached = store.attach(&desk, BY_USER).await.unwrap();
    assert_eq!(attached, Attached::Holds(vec![phone.clone()]));
    only_holds(store, &desk).await;
    let again = reconnected(&phone, phone.epoch.login, u32::MAX);
    let attached = store.attach(&again, BY_USER).await.unwrap();
    assert_eq!(attached, Attached::Superseded(desk.clone()));
    only_holds(store, &desk).await;
    let attached = store.attach(&desk, BY_USER).await.unwrap();
    assert_eq!(attached, Attached::Holds(vec![]));
    // Who was attached before there was one slot for all gives way as well.
    let tablet = Session {
        device: fresh_device(),
        ..reconnected(&phone, phone.epoch.login - 1, 1)
    };
    attach(store, &tablet).await;
    attach(store, &phone).await;
    let newest = elsewhere(&desk);
    let Attached::Holds(mut displaced) = store.attach(&newest, BY_USER).await.unwrap() else {
        panic!("the newest is refused");
    };
    displaced.sort_by_key(|session| session.epoch);
    assert_eq!(displaced, [tablet, phone, desk]);
    only_holds(store, &newest).await;
}

/// When the store lost who held the slot of a user, the newest of those that renew holds it.
pub async fn a_renewal_of_another_device_tells_who_holds(store: &dyn SessionStore) {
    for policy in [BY_USER, REFUSING] {
        let phone = fresh_session();
        let desk = elsewhere(&phone);
        let renew = async |session: &Session| {
            let renewed = store.renew(std::slice::from_ref(session), policy).await;
            renewed.unwrap()[0]
        };
        assert_eq!(renew(&phone).await, Renewed::Restored);
        assert_eq!(renew(&desk).await, Renewed::Restored);
        only_holds(store, &desk).await;
        assert_eq!(renew(&phone).await, Renewed::Superseded);
        assert_eq!(renew(&desk).await, Renewed::Extended);
        only_holds(store, &desk).await;
    }
}

/// Where a second login is refused, neither an older nor a newer one of another device takes the
/// slot, until it is free.
pub async fn an_occupied_slot_stays_until_it_is_detached(store: &dyn SessionStore) {
    let phone = fresh_session();
    let newer = elsewhere(&phone);
    let older = Session {
        device: fresh_device(),
        ..reconnected(&phone, phone.epoch.login - 1, 9)
    };
    let attached = store.attach(&phone, REFUSING).await.unwrap();
    assert_eq!(attached, Attached::Holds(vec![]));
    for other in [&newer, &older] {
        let attached = store.attach(other, REFUSING).await.unwrap();
        assert_eq!(attached, Attached::Occupied(phone.clone()));
        only_holds(store, &phone).await;
    }
    let renewed = store.renew(std::slice::from_ref(&phone), REFUSING).await;
    assert_eq!(renewed.unwrap(), [Renewed::Extended]);
    store.detach(&phone).await.unwrap();
    let attached = store.attach(&older, REFUSING).await.unwrap();
    assert_eq!(attached, Attached::Holds(vec![]));
    let attached = store.attach(&newer, REFUSING_BY_DEVICE).await.unwrap();
    assert_eq!(attached, Attached::Holds(vec![]), "each has its own slot");
    assert_eq!(located(store, phone.user).await.len(), 2);
}

/// A reconnect is no second login; and a second login of the device has ended the first.
pub async fn on_one_device_the_newer_login_holds_also_where_others_are_refused(
    store: &dyn SessionStore,
) {
    for policy in [REFUSING, REFUSING_BY_DEVICE] {
        let first = fresh_session();
        let login = first.epoch.login;
        let second = reconnected(&first, login, 10);
        let third = reconnected(&first, login + 1, 1);
        attach(store, &first).await;
        let attached = store.attach(&second, policy).await.unwrap();
        assert_eq!(attached, Attached::Holds(vec![first.clone()]));
        let attached = store.attach(&third, policy).await.unwrap();
        assert_eq!(attached, Attached::Holds(vec![second]));
        let attached = store.attach(&first, policy).await.unwrap();
        assert_eq!(attached, Attached::Superseded(third.clone()));
        only_holds(store, &third).await;
    }
}

/// A hundred devices of one user at once: one has the slot, and every other one is told so or
/// named as displaced.
pub async fn of_many_devices_at_once_one_holds(store: &dyn SessionStore) {
    for policy in [BY_USER, REFUSING] {
        let first = fresh_session();
        let sessions: Vec<_> = (0..100)
            .map(|n| Session {
                device: fresh_device(),
                ..reconnected(&first, first.epoch.login + n * 37 % 100, 1)
            })
            .collect();
        let attached = sessions.iter().map(|session| store.attach(session, policy));
        let mut ended = 0;
        for outcome in join_all(attached).await {
            ended += match outcome.unwrap() {
                Attached::Holds(displaced) => displaced.len(),
                Attached::Superseded(_) | Attached::Occupied(_) => 1,
            };
        }
        assert_eq!(ended, 99);
        let held = located(store, first.user).await;
        assert_eq!(held.len(), 1);
        if policy == BY_USER {
            assert_eq!(held[0].epoch.login, first.epoch.login + 99);
        }
    }
}
