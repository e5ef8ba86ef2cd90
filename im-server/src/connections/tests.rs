//! The table: fencing in every order, presence, and pushes.

use std::collections::VecDeque;

use bytes::Bytes;
use im_common::backend::registry::ServerInfo;
use im_common::id::{DeviceId, Members};
use im_common::transport::{Downlink, DownlinkError, ONLINE_USERS_MAX, OnlineQuery, Push};

use super::*;
use crate::fixture::{epoch, identity, server_info, stored, user_of};

fn frames(handle: &Handle) -> VecDeque<Bytes> {
    let mut frames = VecDeque::new();
    handle.outbound.take(&mut frames);
    frames
}

fn online(connections: &Connections, prefix: &str, after: &str, limit: usize) -> Vec<String> {
    let query = OnlineQuery {
        prefix: prefix.to_owned(),
        after: after.to_owned(),
        limit,
    };
    let users = connections.online_users(&query);
    users.iter().map(|user| user.name.to_string()).collect()
}

#[test]
fn the_first_of_a_login_stays_and_the_next_login_displaces_it() {
    let connections = Connections::new(10);
    let first = connections
        .attach_first(identity("alice"), epoch(1, 1))
        .unwrap();
    assert!(
        connections
            .attach_first(identity("alice"), epoch(1, 1))
            .is_err()
    );
    let next = connections
        .attach_first(identity("alice"), epoch(2, 1))
        .unwrap();
    assert!(
        connections
            .attach_first(identity("alice"), epoch(1, 1))
            .is_err()
    );
    drop(first);
    assert!(connections.find(&next.session).is_some());
}

#[test]
fn in_every_order_of_arrival_the_greatest_epoch_holds() {
    let epochs = [epoch(1, 1), epoch(1, 2), epoch(2, 1)];
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let connections = Connections::new(10);
        let arrivals = order.map(|index| connections.attach(identity("alice"), epochs[index]));
        assert_eq!(connections.count(), 1);
        let held: Vec<_> = connections.all();
        assert_eq!(held[0].session.epoch, epoch(2, 1), "{order:?}");
        // The losers leave after the winner came, and take nothing with them.
        let (winner, losers): (Vec<_>, Vec<_>) = arrivals
            .into_iter()
            .flatten()
            .partition(|arrival| arrival.session.epoch == epoch(2, 1));
        drop(losers);
        assert!(connections.find(&winner[0].session).is_some(), "{order:?}");
    }
}

#[test]
fn of_equal_epochs_the_newer_connection_holds() {
    let connections = Connections::new(10);
    let first = connections.attach(identity("alice"), epoch(1, 1)).unwrap();
    let second = connections.attach(identity("alice"), epoch(1, 1)).unwrap();
    assert!(connections.find(&first.session).is_none());
    drop(first);
    assert!(connections.find(&second.session).is_some());
    drop(second);
    assert_eq!(connections.count(), 0);
    assert!(connections.all().is_empty());
}

#[test]
fn only_confirmed_users_are_online_and_once_each() {
    let connections = Connections::new(10);
    let phone = Identity {
        device: DeviceId::new("phone").unwrap(),
        ..identity("alice")
    };
    let laptop = connections.attach(identity("alice"), epoch(1, 1)).unwrap();
    let phone = connections.attach(phone, epoch(1, 1)).unwrap();
    assert_eq!(online(&connections, "", "", 10), [""; 0]);
    laptop.confirm();
    laptop.confirm();
    phone.confirm();
    assert_eq!(online(&connections, "", "", 10), ["alice"]);
    drop(laptop);
    assert_eq!(online(&connections, "", "", 10), ["alice"]);
    drop(phone);
    assert_eq!(online(&connections, "", "", 10), [""; 0]);
}

#[test]
fn a_displaced_connection_cannot_make_itself_visible_again() {
    let connections = Connections::new(10);
    let old = connections.attach(identity("alice"), epoch(1, 1)).unwrap();
    let new = connections.attach(identity("alice"), epoch(1, 2)).unwrap();
    old.confirm();
    assert_eq!(online(&connections, "", "", 10), [""; 0]);
    new.confirm();
    drop(old);
    assert_eq!(online(&connections, "", "", 10), ["alice"]);
}

#[test]
fn users_are_listed_by_page_and_prefix_without_regard_to_case() {
    let connections = Connections::new(100);
    let names = ["Bob", "alice", "Alfred", "carol", "al"];
    let attached = names.map(|name| connections.attach(identity(name), epoch(1, 1)).unwrap());
    attached.iter().for_each(Attachment::confirm);
    assert_eq!(online(&connections, "", "", 2), ["al", "Alfred"]);
    assert_eq!(online(&connections, "", "alfred", 2), ["alice", "Bob"]);
    assert_eq!(online(&connections, "", "bob", 2), ["carol"]);
    assert_eq!(online(&connections, "al", "", 9), ["al", "Alfred", "alice"]);
    assert_eq!(online(&connections, "al", "al", 9), ["Alfred", "alice"]);
    assert_eq!(online(&connections, "al", "b", 9), [""; 0]);
    assert_eq!(online(&connections, "b", "alice", 9), ["Bob"]);
    assert_eq!(online(&connections, "", "", 0), [""; 0]);
}

#[tokio::test]
async fn a_push_reaches_every_device_and_names_the_absent() {
    let connections = Connections::new(10);
    let phone = Identity {
        device: DeviceId::new("phone").unwrap(),
        ..identity("alice")
    };
    let laptop = connections.attach(identity("alice"), epoch(1, 1)).unwrap();
    let phone = connections.attach(phone, epoch(1, 1)).unwrap();
    let bob = connections.attach(identity("bob"), epoch(1, 1)).unwrap();
    let push = Push {
        message: stored(1, "hi"),
        to: Members::Users(vec![user_of("alice"), user_of("carol")]),
    };
    let absent = connections.deliver(vec![push.clone(), push]).await;
    assert_eq!(absent, [user_of("carol")]);
    assert_eq!(frames(&laptop).len(), 2);
    assert_eq!(frames(&phone).len(), 2);
    assert_eq!(frames(&bob).len(), 0);
}

#[tokio::test]
async fn everyone_shares_the_bytes_of_one_encoding() {
    let connections = Connections::new(500);
    let attached: Vec<_> = (0..300)
        .map(|number| {
            connections
                .attach(identity(&format!("user{number}")), epoch(1, 1))
                .unwrap()
        })
        .collect();
    let push = Push {
        message: stored(1, "hi"),
        to: Members::Everyone,
    };
    connections.deliver(vec![push]).await;
    let mut places = attached.iter().map(|one| frames(one)[0].as_ptr());
    let first = places.next().unwrap();
    assert!(places.all(|place| place == first));
}

#[test]
fn who_is_sent_away_is_seen_no_more_while_saying_goodbye() {
    let connections = Connections::new(10);
    let alice = connections.attach(identity("alice"), epoch(1, 1)).unwrap();
    alice.confirm();
    connections.close(&alice.session, Code::LOGGED_OUT);
    assert_eq!(online(&connections, "", "", 10), [""; 0]);
    assert_eq!(connections.count(), 0);
    let next = connections.attach(identity("alice"), epoch(2, 1)).unwrap();
    next.confirm();
    drop(alice);
    assert_eq!(online(&connections, "", "", 10), ["alice"]);
    assert_eq!(connections.count(), 1);
}

#[tokio::test]
async fn a_request_meant_for_another_server_is_refused() {
    let connections = Connections::new(10);
    let alice = connections.attach(identity("alice"), epoch(1, 1)).unwrap();
    let mut server = ServerInfo {
        id: connections.server().clone(),
        ..server_info("here")
    };
    assert_eq!(connections.health(&server).await.unwrap().connections, 1);
    let older = Session {
        epoch: epoch(1, 0),
        ..alice.session.clone()
    };
    connections
        .kick(&server, &older, Code::KICKED)
        .await
        .unwrap();
    connections
        .kick(&server, &alice.session, Code::DISPLACED)
        .await
        .unwrap();
    assert_eq!(alice.outbound.closed().await, Code::DISPLACED);
    server.id = ServerId::fresh();
    let health = connections.health(&server).await;
    assert!(matches!(health, Err(DownlinkError::Mistaken)));
}

#[test]
fn a_full_server_admits_nobody_until_somebody_leaves() {
    let connections = Connections::new(1);
    let permit = connections.admit().unwrap();
    assert!(connections.admit().is_none());
    drop(permit);
    assert!(connections.admit().is_some());
}

#[test]
fn an_answer_has_room_for_a_full_page_and_one_more() {
    let connections = Connections::new(ONLINE_USERS_MAX + 10);
    let crowd: Vec<_> = (0..ONLINE_USERS_MAX + 1)
        .map(|number| {
            let arrival = connections.attach(identity(&format!("user{number:04}")), epoch(1, 1));
            let arrival = arrival.unwrap();
            arrival.confirm();
            arrival
        })
        .collect();
    let first = online(&connections, "", "", usize::MAX);
    assert_eq!(first.len(), ONLINE_USERS_MAX);
    let rest = online(&connections, "", first.last().unwrap(), usize::MAX);
    assert_eq!(rest, ["user1001"]);
    drop(crowd);
}
