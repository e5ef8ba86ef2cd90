//! Whole servers over TCP, with a route and a registry played by the test.

use async_trait::async_trait;
use im_common::backend::Result;
use im_common::backend::registry::{RouteInfo, RouteList, ServerList};
use im_common::code::Code;
use im_common::id::ServerId;
use im_common::wire::{self, server_frame::Frame};
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::*;
use crate::fixture::{
    Call, FakeUplink, PATIENCE, TestClient, hello, position, server_info, stored, user_of,
};

/// What happened, in order: registry and uplink write into the same list.
type Story = Arc<Mutex<Vec<String>>>;

struct FakeRegistry {
    story: Story,
    servers: watch::Sender<ServerList>,
    routes: watch::Sender<RouteList>,
}

#[async_trait]
impl ServerRegistry for FakeRegistry {
    async fn announce(&self, server: ServerInfo) -> Result<()> {
        let state = if server.draining {
            "draining"
        } else {
            "serving"
        };
        self.story.lock().push(state.to_owned());
        Ok(())
    }

    async fn withdraw(&self, _: &ServerId) -> Result<()> {
        self.story.lock().push("withdrawn".to_owned());
        Ok(())
    }

    fn servers(&self) -> watch::Receiver<ServerList> {
        self.servers.subscribe()
    }

    async fn announce_route(&self, _: RouteInfo) -> Result<()> {
        Ok(())
    }

    async fn withdraw_route(&self, _: &ServerId) -> Result<()> {
        Ok(())
    }

    fn routes(&self) -> watch::Receiver<RouteList> {
        self.routes.subscribe()
    }
}

struct Running {
    story: Story,
    connections: Connections,
    address: SocketAddr,
    http_address: SocketAddr,
    secret: ClusterSecret,
    stop: CancellationToken,
    ended: oneshot::Receiver<anyhow::Result<()>>,
}

impl Running {
    async fn start(config: ServerConfig, others: Vec<ServerInfo>) -> Self {
        let story = Story::default();
        let registry = FakeRegistry {
            story: Arc::clone(&story),
            servers: watch::Sender::new(Arc::new(others)),
            routes: watch::Sender::default(),
        };
        let (uplink, calls) = FakeUplink::new();
        let tasks = Tasks::new();
        tasks.spawn("story", tell(calls, Arc::clone(&story)));
        let secret = ClusterSecret::fresh();
        let connections = Connections::new(config.connections_max);
        let parts = Parts {
            registry: Arc::new(registry),
            uplink,
            connections: connections.clone(),
            secret: secret.clone(),
        };
        let server = Server::bind(config, parts).await.unwrap();
        let (address, http_address) = (server.client_address(), server.http_address().unwrap());
        assert_eq!(server.info().client_address, address.to_string());
        assert_eq!(server.info().http_address, http_address.to_string());
        let (stop, (done, ended)) = (CancellationToken::new(), oneshot::channel());
        let until = stop.clone();
        tasks.spawn("server", async move {
            let _ = done.send(server.run(until.cancelled_owned()).await);
        });
        Self {
            story,
            connections,
            address,
            http_address,
            secret,
            stop,
            ended,
        }
    }

    async fn connect(&self) -> TestClient<TcpStream> {
        TestClient::new(TcpStream::connect(self.address).await.unwrap())
    }

    async fn attach(&self, name: &str) -> TestClient<TcpStream> {
        let mut client = self.connect().await;
        client
            .say(hello(&TicketKey::new(&self.secret), name, 1))
            .await;
        assert!(matches!(client.next().await, Frame::Welcome(_)));
        assert!(matches!(client.next().await, Frame::Heads(_)));
        client
    }

    async fn stop(self) -> Vec<String> {
        self.stop.cancel();
        let ended = timeout(PATIENCE, self.ended).await;
        ended.expect("the server stops").unwrap().unwrap();
        self.story.lock().clone()
    }
}

async fn tell(mut calls: mpsc::Receiver<Call>, story: Story) {
    while let Some(call) = calls.recv().await {
        match call {
            Call::Detach(_) => story.lock().push("detached".to_owned()),
            Call::Ack(_) => story.lock().push("acked".to_owned()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn draining_moves_clients_first_and_withdraws_last() {
    let stopping = ServerInfo {
        draining: true,
        ..server_info("stopping")
    };
    let config = ServerConfig {
        drain: Duration::from_millis(600),
        ..ServerConfig::for_tests()
    };
    let server = Running::start(config, vec![server_info("other"), stopping]).await;
    let mut moves = server.attach("alice").await;
    let mut stays = server.attach("bob").await;
    let positions = vec![position(1).into()];
    stays.say(wire::Ack { positions }).await;
    stays.say(wire::Ping { nonce: 1 }).await;
    assert!(matches!(stays.next().await, Frame::Pong(_)));
    server.stop.cancel();
    for client in [&mut moves, &mut stays] {
        let Frame::GoAway(go_away) = client.next().await else {
            panic!("not sent away");
        };
        assert_eq!(go_away.candidates, ["other:1"]);
        assert!(go_away.deadline_ms <= 600);
    }
    let refused = TcpStream::connect(server.address).await;
    assert!(refused.is_err(), "nobody new is taken in");
    drop(moves);
    assert_eq!(stays.closed().await, Code::GOING_AWAY);
    drop(stays);
    let story = server.stop().await;
    let without_acks: Vec<_> = story.iter().filter(|event| *event != "acked").collect();
    assert_eq!(
        without_acks,
        ["serving", "draining", "detached", "detached", "withdrawn"]
    );
    assert!(story.contains(&"acked".to_owned()));
}

#[tokio::test]
async fn without_another_server_clients_are_closed_at_once() {
    let config = ServerConfig {
        drain: Duration::from_secs(3600),
        ..ServerConfig::for_tests()
    };
    let server = Running::start(config, Vec::new()).await;
    let mut client = server.attach("alice").await;
    server.stop.cancel();
    assert_eq!(client.closed().await, Code::GOING_AWAY);
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_full_server_says_so() {
    let config = ServerConfig {
        connections_max: 1,
        ..ServerConfig::for_tests()
    };
    let server = Running::start(config, Vec::new()).await;
    let client = server.attach("alice").await;
    let mut refused = server.connect().await;
    refused
        .say(hello(&TicketKey::new(&server.secret), "bob", 1))
        .await;
    let Frame::Close(close) = refused.next().await else {
        panic!("not closed");
    };
    assert_eq!(Code::from(close.code), Code::FULL);
    assert_eq!(close.retry_after_ms, 1000);
    drop((client, refused));
    server.stop().await;
}

#[tokio::test]
async fn nodes_push_over_http_and_others_may_not() {
    let server = Running::start(ServerConfig::for_tests(), Vec::new()).await;
    let mut client = server.attach("alice").await;
    let base = format!("http://{}", server.http_address);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let push = wire::PushRequest {
        pushes: vec![wire::Push {
            message: Some(stored(5, "hi").into()),
            user_ids: vec![user_of("alice").number(), user_of("bob").number()],
            everyone: false,
        }],
    };
    let post = || {
        http.post(format!("{base}/internal/v1/push"))
            .body(push.encode_to_vec())
    };
    assert_eq!(post().send().await.unwrap().status(), 401);
    let wrong = ClusterSecret::fresh().node_credential();
    let refused = post().header("authorization", wrong.header());
    assert_eq!(refused.send().await.unwrap().status(), 401);

    let credential = server.secret.node_credential();
    let accepted = post().header("authorization", credential.header());
    let body = accepted.send().await.unwrap().bytes().await.unwrap();
    let response = wire::PushResponse::decode(body).unwrap();
    assert_eq!(response.absent, [user_of("bob").number()]);
    assert_eq!(client.delivered().await, 5);

    let health = http.get(format!("{base}/v1/health")).send().await.unwrap();
    assert_eq!(
        health.text().await.unwrap().trim(),
        r#"{"status":"ok","draining":false,"connections":1}"#
    );
    let health = http
        .get(format!("{base}/internal/v1/health"))
        .header("authorization", credential.header());
    let body = health.send().await.unwrap().bytes().await.unwrap();
    let health = wire::HealthResponse::decode(body).unwrap();
    assert_eq!(health.server_id, server.connections.server().as_str());
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_named_in_the_error() {
    let server = Running::start(ServerConfig::for_tests(), Vec::new()).await;
    let error = listener::listen(server.address).unwrap_err().to_string();
    assert_eq!(error, format!("cannot listen on {}", server.address));

    server.stop().await;
}
