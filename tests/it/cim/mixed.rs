//! Users of CIM and of our own client in one room.

use im_common::id::ConversationId;
use im_tests::cim::code;
use im_tests::cluster::TestCluster;

use super::friend::{Friend, online};

/// Both see each other online.
pub(super) async fn everybody_is_listed_for_everybody(cluster: TestCluster) {
    let route = cluster.cim();
    let guest = Friend::join(&route, "guest").await;
    let native = cluster.user("native").await;
    let listed = online(&route).await;
    for name in ["guest", "native"] {
        assert!(listed.iter().any(|listed| listed == name), "{listed:?}");
    }
    let page = native
        .client()
        .online("gue", None, 10)
        .await
        .expect("a page");
    let names: Vec<&str> = page.users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["guest"]);
    assert_eq!(page.users[0].user.to_string(), guest.id().to_string());
}

/// Private texts cross both ways, also to who is away.
pub(super) async fn private_messages_cross(cluster: TestCluster) {
    let route = cluster.cim();
    let guest = Friend::join(&route, "guest").await;
    let mut native = cluster.user("native").await;
    let native_id = i64::try_from(native.id().number()).expect("53 bits");
    assert_eq!(guest.send(native_id, "to native").await, code::SUCCESS);
    let message = native.expect("to native").await;
    assert_eq!(message.sender_name.as_str(), "guest");
    assert!(message.is_private());
    im_tests::user::accepted(native.client().send(message.sender, "to guest")).await;
    let received = guest.inbox.expect("to guest").await;
    assert_eq!(received.sender, native_id);
    assert_eq!(received.sender_name, "native");

    native.disconnect().await;
    assert_eq!(guest.send(native_id, "later").await, code::OFF_LINE);
    native.reconnect().await;
    native.expect("later").await;

    let account = guest.account().clone();
    guest.client.close().await.expect("offLine is answered");
    im_tests::user::accepted(native.client().send(message.sender, "much later")).await;
    let guest = Friend::enter(&route, &account).await;
    let received = guest.inbox.expect("much later").await;
    assert_eq!(received.sender, native_id);
    native.check_order();
}

/// CIM's group is the lobby.
pub(super) async fn the_lobby_is_one(cluster: TestCluster) {
    let route = cluster.cim();
    let guest = Friend::join(&route, "guest").await;
    let other = Friend::join(&route, "other").await;
    let native = cluster.user("native").await;
    guest.say("from guest").await;
    assert_eq!(
        native.expect("from guest").await.conversation,
        ConversationId::Lobby
    );
    other.hears("from guest", guest.account()).await;
    native.say("from native").await;
    for reader in [&guest, &other] {
        let received = reader.inbox.expect("from native").await;
        assert_eq!(received.sender_name, "native");
    }
    assert_eq!(guest.inbox.texts(), ["from native"]);
}
