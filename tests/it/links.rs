//! The contracts of `Uplink` and `Downlink`, each checked in process and over HTTP.

use std::sync::Arc;

use im_common::backend::directory::Registered;
use im_common::backend::registry::ServerInfo;
use im_common::backend::{Backend, Mode};
use im_common::code::Code;
use im_common::id::{
    ConnectionId, ConversationId, DeviceId, LogEpoch, Members, MessageId, Sequence, ServerId,
    SessionEpoch, UserId,
};
use im_common::message::{Identity, Position, Recipient, Session, StoredMessage, Submission};
use im_common::name::UserName;
use im_common::secret::{ClusterSecret, Secret};
use im_common::tasks::Tasks;
use im_common::transport::{
    DeviceAck, Downlink, DownlinkError, OnlineQuery, Push, SyncRequest, Uplink,
};
use im_route::{HttpDownlink, Route, RouteConfig};
use im_server::{Connections, HttpUplink, Server, ServerConfig};
use im_tests::user::TestUser;
use tokio_util::sync::CancellationToken;

/// A route and a server in this process, and all four ways between them.
struct Links {
    backend: Backend,
    near_uplink: Arc<dyn Uplink>,
    far_uplink: Arc<dyn Uplink>,
    near_downlink: Arc<dyn Downlink>,
    far_downlink: Arc<dyn Downlink>,
    server: ServerInfo,
    urls: Vec<String>,
    tasks: Tasks,
    _stop: tokio_util::sync::DropGuard,
}

impl Links {
    async fn open() -> Self {
        let (tasks, stop, secret) = (
            Tasks::new(),
            CancellationToken::new(),
            ClusterSecret::fresh(),
        );
        let backend = Backend::connect(&Mode::Embedded(None), &tasks)
            .await
            .expect("a backend");
        let config = ServerConfig::for_tests();
        let connections = Connections::new(config.connections_max);
        let near_downlink: Arc<dyn Downlink> = Arc::new(connections.clone());
        let parts = im_route::Parts {
            backend: backend.clone(),
            downlink: Arc::clone(&near_downlink),
            secret: secret.clone(),
        };
        let route = Route::bind(RouteConfig::for_tests(), parts)
            .await
            .expect("a route");
        let (near_uplink, urls) = (route.uplink(), vec![format!("http://{}", route.address())]);
        let routes = backend.registry.routes();
        let far_uplink = HttpUplink::new(routes, secret.node_credential(), tasks.clone());
        let parts = im_server::Parts {
            registry: Arc::clone(&backend.registry),
            uplink: Arc::clone(&near_uplink),
            connections,
            secret: secret.clone(),
        };
        let server = Server::bind(config, parts).await.expect("a server");
        let info = server.info();
        let (until, until_too) = (stop.clone(), stop.clone());
        tasks.spawn("route", async move {
            route
                .run(until.cancelled_owned())
                .await
                .expect("a route serves");
        });
        tasks.spawn("server", async move {
            server
                .run(until_too.cancelled_owned())
                .await
                .expect("a server serves");
        });
        backend
            .registry
            .routes()
            .wait_for(|routes| !routes.is_empty())
            .await
            .expect("the route is listed");
        Self {
            backend,
            near_uplink,
            far_uplink: Arc::new(far_uplink),
            near_downlink,
            far_downlink: Arc::new(HttpDownlink::new(&secret.node_credential())),
            server: info,
            urls,
            tasks,
            _stop: stop.drop_guard(),
        }
    }

    /// A user that is logged in on one device, and an identity to speak with.
    async fn somebody(&self, name: &str) -> (Identity, u64) {
        let name = UserName::new(name).expect("a name");
        let registered = self
            .backend
            .directory
            .register(&name, Secret("hash".into()))
            .await;
        let Ok(Registered::New(account)) = registered else {
            panic!("{name} is registered")
        };
        let device = DeviceId::new("laptop").expect("a device");
        let login = self
            .backend
            .directory
            .log_in(account.user, &device, [0; 32])
            .await
            .expect("logged in");
        (
            Identity {
                user: account.user,
                name,
                device,
            },
            login,
        )
    }
}

fn session(identity: &Identity, login: u64, attempt: u32) -> Session {
    Session {
        user: identity.user,
        device: identity.device.clone(),
        server: ServerId::new("elsewhere").expect("an id"),
        connection: ConnectionId(attempt.into()),
        epoch: SessionEpoch { login, attempt },
    }
}

fn offer(sender: &Identity, to: &Identity, text: &str) -> (Identity, Submission) {
    let to = Recipient::User(to.user);
    (
        sender.clone(),
        Submission {
            id: MessageId::fresh(),
            to,
            text: text.into(),
        },
    )
}

/// What every uplink does; `near` and `far` keep the names of two runs apart.
async fn submitting(links: &Links, uplink: &dyn Uplink, run: &str) {
    let (alice, _) = links.somebody(&format!("alice-{run}")).await;
    let (bob, _) = links.somebody(&format!("bob-{run}")).await;
    let first = offer(&alice, &bob, "one");
    let mut conflicting = first.clone();
    conflicting.1.text = "other".into();
    let nobody = Recipient::Name(UserName::new("nobody-at-all").expect("a name"));
    let to_nobody = (
        alice.clone(),
        Submission {
            to: nobody,
            ..offer(&alice, &bob, "x").1
        },
    );
    let offers = vec![
        first.clone(),
        offer(&alice, &bob, ""),
        offer(&alice, &bob, "two"),
        to_nobody,
        first,
        conflicting,
    ];
    let outcomes = uplink.submit(offers).await;
    let sequences: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(receipt) => Ok(receipt.position.sequence.0),
            Err(refusal) => Err(refusal.code),
        })
        .collect();
    let expected = [
        Ok(1),
        Err(Code::TEXT_EMPTY),
        Ok(2),
        Err(Code::USER_UNKNOWN),
        Ok(1),
        Err(Code::ID_CONFLICT),
    ];
    assert_eq!(sequences, expected, "{run}");
}

async fn syncing(links: &Links, uplink: &dyn Uplink, run: &str) {
    let (alice, _) = links.somebody(&format!("anna-{run}")).await;
    let (bob, _) = links.somebody(&format!("bert-{run}")).await;
    let offers = vec![offer(&alice, &bob, "one"), offer(&alice, &bob, "two")];
    assert!(uplink.submit(offers).await.iter().all(Result::is_ok));
    let conversation = ConversationId::private(alice.user, bob.user);
    let ask = |epoch, after| SyncRequest {
        conversation: conversation.clone(),
        epoch,
        after: Sequence(after),
    };
    let page = uplink
        .sync(bob.user, ask(LogEpoch(0), 0))
        .await
        .expect("a page");
    let texts: Vec<_> = page
        .messages
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!((texts, page.head), (vec!["one", "two"], Sequence(2)));
    assert_eq!(page.messages[0].sender, alice);
    let rest = uplink
        .sync(bob.user, ask(page.epoch, 1))
        .await
        .expect("a page");
    assert_eq!(rest.messages.len(), 1);
    let void = uplink
        .sync(bob.user, ask(LogEpoch(page.epoch.0 ^ 1), 1))
        .await
        .expect("a page");
    assert_eq!(
        (void.messages.len(), void.epoch),
        (0, page.epoch),
        "an unknown epoch gets no messages"
    );
    let (mallory, _) = links.somebody(&format!("mallory-{run}")).await;
    let refused = uplink
        .sync(mallory.user, ask(page.epoch, 0))
        .await
        .expect_err("not a member");
    assert_eq!(refused.code, Code::NOT_PERMITTED);
}

async fn attaching(links: &Links, uplink: &dyn Uplink, run: &str) {
    let (carol, login) = links.somebody(&format!("carol-{run}")).await;
    let (dave, _) = links.somebody(&format!("dave-{run}")).await;
    let outcome = uplink
        .submit(vec![
            offer(&dave, &carol, "hi"),
            offer(&dave, &carol, "again"),
        ])
        .await;
    let receipt = outcome[1].clone().expect("accepted");
    let conversation = receipt.position.conversation.clone();
    links
        .backend
        .messages
        .enlist(&conversation, &[carol.user])
        .await
        .expect("enlisted");
    let handled = async |positions| {
        let heads = uplink
            .heads(carol.user, &carol.device, positions)
            .await
            .expect("heads");
        let head = heads
            .into_iter()
            .find(|head| head.newest.conversation == conversation)
            .expect("listed");
        (head.newest.sequence.0, head.handled.0)
    };
    let heads = uplink
        .attach(&session(&carol, login, 2), Vec::new())
        .await
        .expect("attached");
    assert!(
        heads
            .iter()
            .any(|head| head.newest == receipt.position && head.handled == Sequence(0))
    );
    let position = |sequence| Position {
        sequence: Sequence(sequence),
        ..receipt.position.clone()
    };
    let ack = |sequence| DeviceAck {
        user: carol.user,
        device: carol.device.clone(),
        positions: vec![position(sequence)],
    };
    uplink.ack(vec![ack(2)]).await.expect("acked");
    uplink.ack(vec![ack(1)]).await.expect("acked");
    assert_eq!(
        handled(Vec::new()).await,
        (2, 2),
        "positions never move back, and level logs are listed"
    );
    assert_eq!(
        handled(vec![position(1)]).await,
        (2, 1),
        "the device knows best"
    );
}

async fn fencing(links: &Links, uplink: &dyn Uplink, run: &str) {
    let (carol, login) = links.somebody(&format!("cora-{run}")).await;
    let newest = session(&carol, login, 2);
    uplink.attach(&newest, Vec::new()).await.expect("attached");
    let older = uplink
        .attach(&session(&carol, login, 1), Vec::new())
        .await
        .expect_err("older");
    assert_eq!(older.code, Code::DISPLACED);
    let stale = uplink
        .attach(&session(&carol, login - 1, 9), Vec::new())
        .await
        .expect_err("older login");
    assert!(
        [Code::DISPLACED, Code::LOGGED_OUT].contains(&stale.code),
        "{stale:?}"
    );
    let renewal = uplink
        .renew(vec![session(&carol, login, 1), session(&carol, login, 2)])
        .await
        .expect("renewed");
    assert_eq!(
        (renewal.superseded, renewal.restored),
        (vec![ConnectionId(1)], vec![])
    );
    uplink
        .detach(&session(&carol, login, 1))
        .await
        .expect("no effect");
    assert_eq!(
        links
            .backend
            .sessions
            .locate(&[carol.user])
            .await
            .expect("located")
            .len(),
        1
    );
    uplink
        .detach(&session(&carol, login, 2))
        .await
        .expect("detached");
    assert!(
        links
            .backend
            .sessions
            .locate(&[carol.user])
            .await
            .expect("located")
            .is_empty()
    );
    let restored = uplink
        .renew(vec![session(&carol, login, 2)])
        .await
        .expect("renewed");
    assert_eq!(restored.restored, [ConnectionId(2)]);
    links
        .backend
        .directory
        .log_out(carol.user, &carol.device, login)
        .await
        .expect("logged out");
    let ended = uplink
        .attach(&session(&carol, login, 3), Vec::new())
        .await
        .expect_err("logged out");
    assert_eq!(ended.code, Code::LOGGED_OUT);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_uplinks_keep_the_contract() {
    let links = Links::open().await;
    for (uplink, run) in [(&links.near_uplink, "near"), (&links.far_uplink, "far")] {
        submitting(&links, &**uplink, run).await;
        syncing(&links, &**uplink, run).await;
        attaching(&links, &**uplink, run).await;
        fencing(&links, &**uplink, run).await;
    }
    links.tasks.cancel();
}

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
    assert!(
        matches!(answer, Err(DownlinkError::Unreachable(_))),
        "{answer:?}"
    );
    links.tasks.cancel();
}
