//! `HttpUplink` against real HTTP servers on free ports.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::FutureExt as _;
use im_common::backend::registry::RouteInfo;
use im_common::id::{MessageId, ServerId};
use im_common::secret::ClusterSecret;
use im_common::wire::outcome;
use parking_lot::Mutex;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::*;
use crate::fixture::{epoch, identity, receipt};

/// A route that accepts everything, once the test lets it.
struct FakeRoute {
    credential: NodeCredential,
    requests: Mutex<Vec<usize>>,
    arrived: Semaphore,
    may_answer: Semaphore,
    answer: Answer,
}

enum Answer {
    Accepted,
    OneTooFew,
    OtherIds,
    Error(StatusCode, &'static str),
}

impl FakeRoute {
    async fn start(
        secret: &ClusterSecret,
        tasks: &Tasks,
        answer: Answer,
    ) -> (Arc<Self>, RouteInfo) {
        let route = Arc::new(Self {
            credential: secret.node_credential(),
            requests: Mutex::default(),
            arrived: Semaphore::new(0),
            may_answer: Semaphore::new(0),
            answer,
        });
        let router = Router::new()
            .route("/internal/v1/submit", post(submit))
            .route("/internal/v1/detach", post(submit))
            .with_state(Arc::clone(&route));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let info = info(listener.local_addr().unwrap());
        let stop = tasks.token();
        tasks.spawn("route", async move {
            tokio::select! {
                _ = axum::serve(listener, router) => {}
                () = stop.cancelled() => {}
            }
        });
        (route, info)
    }

    /// Waits until one more request has arrived.
    async fn arrived(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }
}

fn info(address: SocketAddr) -> RouteInfo {
    RouteInfo {
        id: ServerId::fresh(),
        http_address: address.to_string(),
    }
}

async fn submit(State(route): State<Arc<FakeRoute>>, headers: HeaderMap, body: Bytes) -> Response {
    assert!(
        route
            .credential
            .matches(headers["authorization"].to_str().unwrap())
    );
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = wire::SubmitRequest::decode(body).unwrap();
    route.requests.lock().push(request.offers.len());
    route.arrived.add_permits(1);
    route.may_answer.acquire().await.unwrap().forget();
    let mut outcomes: Vec<_> = request.offers.into_iter().map(accepted).collect();
    match route.answer {
        Answer::Accepted => {}
        Answer::OneTooFew => drop(outcomes.pop()),
        Answer::OtherIds => outcomes = vec![accepted(wire::Offer::default()); outcomes.len()],
        Answer::Error(status, body) => return (status, body).into_response(),
    }
    wire::SubmitResponse { outcomes }
        .encode_to_vec()
        .into_response()
}

fn accepted(offer: wire::Offer) -> wire::Outcome {
    let mut accepted = wire::Accepted::from(receipt(1).unwrap());
    accepted.id = offer.submit.map_or(vec![0; 16].into(), |submit| submit.id);
    wire::Outcome {
        outcome: Some(outcome::Outcome::Accepted(accepted)),
    }
}

fn offers(count: usize) -> Vec<(Identity, Submission)> {
    let offer = |_| {
        let submission = Submission {
            id: MessageId::fresh(),
            to: im_common::message::Recipient::Lobby,
            text: "hi".to_owned(),
        };
        (identity("alice"), submission)
    };
    (0..count).map(offer).collect()
}

fn ids(offers: &[(Identity, Submission)]) -> Vec<MessageId> {
    offers.iter().map(|(_, submission)| submission.id).collect()
}

fn uplink(secret: &ClusterSecret, tasks: &Tasks, routes: Vec<RouteInfo>) -> HttpUplink {
    let (_, list) = watch::channel(Arc::new(routes));
    HttpUplink::new(list, secret.node_credential(), tasks.clone())
}

fn codes(outcomes: &[Result<Receipt, Refusal>]) -> Vec<u16> {
    let code = |outcome: &Result<_, Refusal>| {
        outcome
            .as_ref()
            .map_or_else(|refusal| refusal.code.0, |_| 0)
    };
    outcomes.iter().map(code).collect()
}

#[tokio::test]
async fn submits_gather_while_requests_are_in_flight() {
    let (secret, tasks) = (ClusterSecret::fresh(), Tasks::new());
    let (route, info) = FakeRoute::start(&secret, &tasks, Answer::Accepted).await;
    let uplink = Arc::new(uplink(&secret, &tasks, vec![info]));
    let (done, mut finished) = tokio::sync::mpsc::channel(100);
    let start = |count: usize| {
        let (uplink, done) = (Arc::clone(&uplink), done.clone());
        tasks.spawn("sender", async move {
            let offers = offers(count);
            let expected = ids(&offers);
            let outcomes = uplink.submit(offers).await;
            let got: Vec<_> = outcomes
                .into_iter()
                .map(|outcome| outcome.unwrap().id)
                .collect();
            assert_eq!(got, expected);
            done.send(()).await.unwrap();
        });
    };
    for _ in 0..4 {
        start(1);
        route.arrived().await;
    }
    for _ in 0..20 {
        start(3);
    }
    while uplink.gather.waiting() < 20 {
        tokio::task::yield_now().await;
    }
    route.may_answer.add_permits(100);
    for _ in 0..24 {
        finished.recv().await.unwrap();
    }
    let requests = route.requests.lock().clone();
    assert_eq!(
        requests[..4],
        [1, 1, 1, 1],
        "nobody waits while there is room"
    );
    assert_eq!(requests[4..], [60], "the others left together");
    tasks.wait(crate::fixture::PATIENCE).await.unwrap();
}

#[tokio::test]
async fn another_route_takes_over_for_a_dead_one() {
    let (secret, tasks) = (ClusterSecret::fresh(), Tasks::new());
    let (route, alive) = FakeRoute::start(&secret, &tasks, Answer::Accepted).await;
    route.may_answer.add_permits(100);
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let dead = info(gone.local_addr().unwrap());
    drop(gone);
    let uplink = uplink(&secret, &tasks, vec![dead, alive]);
    for _ in 0..6 {
        assert_eq!(codes(&uplink.submit(offers(2)).await), [0, 0]);
    }
}

#[tokio::test]
async fn a_route_in_trouble_is_passed_over() {
    let (secret, tasks) = (ClusterSecret::fresh(), Tasks::new());
    let body = r#"{"code":1001,"error":"unavailable","message":"no store","retryable":true}"#;
    let trouble = Answer::Error(StatusCode::SERVICE_UNAVAILABLE, body);
    let (sick, first) = FakeRoute::start(&secret, &tasks, trouble).await;
    let (well, second) = FakeRoute::start(&secret, &tasks, Answer::Accepted).await;
    sick.may_answer.add_permits(100);
    well.may_answer.add_permits(100);
    let uplink = uplink(&secret, &tasks, vec![first, second]);
    for _ in 0..6 {
        assert_eq!(codes(&uplink.submit(offers(1)).await), [0]);
    }
    let asked = sick.requests.lock().len();
    assert!(asked < 6, "a suspect is asked last, not {asked} times");
}

#[tokio::test]
async fn what_a_route_refuses_for_good_is_not_asked_again() {
    let (secret, tasks) = (ClusterSecret::fresh(), Tasks::new());
    let body = r#"{"code":4009,"error":"not_permitted","message":"not yours","retryable":false}"#;
    let refusal = || Answer::Error(StatusCode::FORBIDDEN, body);
    let (one, first) = FakeRoute::start(&secret, &tasks, refusal()).await;
    let (other, second) = FakeRoute::start(&secret, &tasks, refusal()).await;
    one.may_answer.add_permits(9);
    other.may_answer.add_permits(9);
    let uplink = uplink(&secret, &tasks, vec![first, second]);
    let outcomes = uplink.submit(offers(1)).await;
    assert_eq!(codes(&outcomes), [4009]);
    assert_eq!(outcomes[0].as_ref().unwrap_err().reason, "not yours");
    assert_eq!(one.requests.lock().len() + other.requests.lock().len(), 1);
}

#[tokio::test]
async fn answers_that_do_not_match_the_offers_mean_unknown() {
    for answer in [Answer::OneTooFew, Answer::OtherIds] {
        let (secret, tasks) = (ClusterSecret::fresh(), Tasks::new());
        let (route, info) = FakeRoute::start(&secret, &tasks, answer).await;
        route.may_answer.add_permits(9);
        let uplink = uplink(&secret, &tasks, vec![info]);
        assert_eq!(codes(&uplink.submit(offers(2)).await), [1001, 1001]);
    }
}

#[tokio::test]
async fn without_any_route_the_outcome_is_unavailable_at_once() {
    let (secret, tasks) = (ClusterSecret::fresh(), Tasks::new());
    let uplink = uplink(&secret, &tasks, Vec::new());
    assert_eq!(codes(&uplink.submit(offers(2)).await), [1001, 1001]);
    let session = Session {
        user: identity("alice").user,
        device: identity("alice").device,
        server: ServerId::fresh(),
        connection: ConnectionId(1),
        epoch: epoch(1, 1),
    };
    let refusal = uplink.detach(&session).await.unwrap_err();
    assert_eq!(refusal.code, Code::UNAVAILABLE);
}

#[tokio::test]
async fn a_route_that_stands_still_is_given_up_for_another() {
    let (secret, tasks) = (ClusterSecret::fresh(), Tasks::new());
    let (stuck, first) = FakeRoute::start(&secret, &tasks, Answer::Accepted).await;
    let (well, second) = FakeRoute::start(&secret, &tasks, Answer::Accepted).await;
    well.may_answer.add_permits(9);
    let uplink = uplink(&secret, &tasks, vec![first, second]);
    assert_eq!(codes(&uplink.submit(offers(1)).await), [0]);
    assert_eq!(codes(&uplink.submit(offers(1)).await), [0]);
    assert_eq!(stuck.requests.lock().len(), 1);
}

#[tokio::test]
async fn in_an_outage_so_much_waits_and_then_senders_are_slowed_down() {
    let (secret, tasks) = (ClusterSecret::fresh(), Tasks::new());
    let (route, info) = FakeRoute::start(&secret, &tasks, Answer::Accepted).await;
    let uplink = uplink(&secret, &tasks, vec![info]);
    let large = || {
        let mut offers = offers(1);
        offers[0].1.text = "x".repeat(im_common::message::TEXT_BYTES_MAX);
        offers
    };
    let mut waiting_bytes = 0;
    // Nobody sends as long as this test does not wait.
    let refused = loop {
        match uplink.gather.submit(large()).now_or_never() {
            None => waiting_bytes += im_common::message::TEXT_BYTES_MAX,
            Some(outcomes) => break outcomes,
        }
    };
    assert_eq!(codes(&refused), [Code::OVERLOADED.0]);
    assert!(waiting_bytes <= gather::WAITING_BYTES_MAX);
    assert!(waiting_bytes > gather::WAITING_BYTES_MAX / 10 * 9);
    route.may_answer.add_permits(waiting_bytes);
    while uplink.gather.waiting() > 0 {
        route.arrived().await;
    }
    assert_eq!(codes(&uplink.submit(large()).await), [0]);
    tasks.wait(crate::fixture::PATIENCE).await.unwrap();
}
