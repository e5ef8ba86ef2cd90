//! Logging in and out, by password and by token.

use im_client::{Client, ConnectionState, ErrorKind, SendError};
use im_common::code::Code;
use im_tests::cluster::TestCluster;
use im_tests::http::Http;
use im_tests::user::accepted;
use serde_json::json;

pub(super) async fn a_second_login_displaces_the_first(cluster: TestCluster) {
    let [alice, bob] = cluster.users(["alice", "bob"]).await;
    let mut elsewhere = bob.another_device("test");
    elsewhere.reconnect().await;
    bob.expect_state("displaced", |state| {
        matches!(state, ConnectionState::Refused(_))
    })
    .await;
    alice.send(&elsewhere, "who is there").await;
    elsewhere.expect("who is there").await;
    assert_eq!(bob.seen_count(), 0);
    let refused = bob.client().send(alice.address(), "ghost").await;
    assert!(
        matches!(refused, Err(SendError::Closed | SendError::Refused(_))),
        "{refused:?}"
    );
}

pub(super) async fn logging_out_ends_the_connection(cluster: TestCluster) {
    let [alice, mut bob] = cluster.users(["alice", "bob"]).await;
    let web = Http::log_in(&cluster.urls(0)[0], "bob", "web").await;
    assert_eq!(web.get("/v1/users/online").await.0, 200);
    assert_eq!(web.post("/v1/logout", json!({})).await.0, 204);
    assert_eq!(web.get("/v1/users/online").await.0, 401);
    let address = bob.address();
    bob.client().clone().logout().await.expect("logged out");
    accepted(alice.client().send(address, "later")).await;
    bob.reconnect().await;
    bob.expect("later").await;
}

pub(super) async fn a_token_takes_the_place_of_the_password(cluster: TestCluster) {
    let [alice, mut bob] = cluster.users(["alice", "bob"]).await;
    let with_token = |token| {
        let routes = cluster.urls(0);
        let builder = Client::builder().token(token);
        routes
            .into_iter()
            .fold(builder, im_client::ClientBuilder::route)
    };
    let token = bob.client().token();
    let identity = bob.client().identity().clone();
    let again = with_token(token.clone()).connect().await.expect("connects");
    assert_eq!(*again.identity(), identity);
    bob.expect_state("displaced", |state| {
        *state == ConnectionState::Refused(Code::DISPLACED)
    })
    .await;
    accepted(again.send(alice.address(), "by token")).await;
    alice.expect("by token").await;

    // Logging in anew ends the login of the token, and the token with it.
    bob.reconnect().await;
    let ended = ConnectionState::Refused(Code::LOGGED_OUT);
    assert!([ended, ConnectionState::Refused(Code::DISPLACED)].contains(&again.ended().await));
    let refused = async |code| {
        let connected = with_token(token.clone()).connect().await;
        let error = connected.expect_err("the login has ended");
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
        assert_eq!(error.code(), Some(code));
    };
    refused(Code::LOGGED_OUT).await;
    let log_out = with_token(bob.client().token()).log_out();
    log_out.await.expect("logged out");
    refused(Code::UNAUTHENTICATED).await;
    let closed = bob.client().ended().await;
    assert_eq!(closed, ConnectionState::Refused(Code::LOGGED_OUT));
}
