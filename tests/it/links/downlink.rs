//! What every downlink does, in process and over HTTP.

use im_common::backend::registry::ServerInfo;
use im_common::code::Code;
use im_common::id::{
    ConnectionId, ConversationId, DeviceId, LogEpoch, Members, MessageId, Sequence, ServerId,
    SessionEpoch, UserId,
};
use im_common::message::{Identity, Session, StoredMessage};
use im_common::name::UserName;
use im_common::transport::{Downlink, DownlinkError, OnlineQuery, Push};
use im_tests::user::TestUser;

use super::Links;

fn push(text: &str, sequence: u64, to: Members) -> Push {
    let sender = Identity {
        user: UserId::new(9999).expect("an id"),
        name: UserName::new("sender").expect("a name"),
        device: DeviceId::new("d").expect("a device"),
    };
    let message = StoredMessage {
        conversation: ConversationId::Lobby,
        epoch: LogEpoch(7),
        sequence: Sequence(sequence),
        id: MessageId::fresh(),
        sender,
        accepted_at_ms: 1,
        text: text.into(),
    };
    Push { message, to }
}

async fn pushing(links: &Links, downlink: &dyn Downlink, run: &str) {
    let alice = TestUser::register(&links.urls, &format!("alice-{run}")).await;
    let bert = TestUser::register(&links.urls, &format!("bert-{run}")).await;
    let server = &links.server;
    let absent = UserId::new(123_456).expect("an id");
    let to = Members::Users(vec![alice.id(), absent]);
    let answer = downlink
        .push(server, vec![push("unlogged", 1, to)])
        .await
        .expect("pushed");
    assert_eq!(answer, [absent]);
    let everyone = downlink
        .push(server, vec![push("unlogged", 1, Members::Everyone)])
        .await;
    assert_eq!(everyone.expect("pushed"), []);

    let query = |prefix: &str, after: &str, limit| OnlineQuery {
        prefix: prefix.into(),
        after: after.into(),
        limit,
    };
    let names = async |query| {
        let users = downlink.online(server, &query).await.expect("a list");
        users
            .into_iter()
            .map(|user| user.name.to_string())
            .filter(|name| name.ends_with(run))
            .collect::<Vec<_>>()
    };
    let (a, b) = (format!("alice-{run}"), format!("bert-{run}"));
    assert_eq!(names(query("", "", 100)).await, [a.clone(), b.clone()]);
    assert_eq!(names(query("b", "", 100)).await, std::slice::from_ref(&b));
    assert_eq!(names(query("", &a, 100)).await, std::slice::from_ref(&b));

    let health = downlink.health(server).await.expect("healthy");
    assert!(!health.draining && health.connections >= 2);
    let other = ServerInfo {
        id: ServerId::fresh(),
        ..server.clone()
    };
    assert!(matches!(
        downlink.health(&other).await,
        Err(DownlinkError::Mistaken)
    ));

    let held = links
        .backend
        .sessions
        .locate(&[bert.id()])
        .await
        .expect("located")
        .remove(0);
    let older = SessionEpoch {
        login: held.epoch.login - 1,
        ..held.epoch
    };
    let stale = Session {
        epoch: older,
        connection: ConnectionId(0),
        ..held.clone()
    };
    downlink
        .kick(server, &stale, Code::KICKED)
        .await
        .expect("no effect");
    assert!(bert.client().state().borrow().is_attached());
    downlink
        .kick(server, &held, Code::KICKED)
        .await
        .expect("kicked");
    bert.expect_state("kicked", im_client::ConnectionState::is_final)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_downlinks_keep_the_contract() {
    let links = Links::open().await;
    for (downlink, run) in [(&links.near_downlink, "near"), (&links.far_downlink, "far")] {
        pushing(&links, &**downlink, run).await;
    }
    links.tasks.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unreachable() {
    let links = Links::open().await;
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address");
    let gone = ServerInfo {
        http_address: free.to_string(),
        ..links.server.clone()
    };
    let answer = links
        .far_downlink
        .push(&gone, vec![push("x", 1, Members::Everyone)])
        .await;
    assert!(matches!(answer, Err(DownlinkError::Gone(_))), "{answer:?}");
    links.tasks.cancel();
}
