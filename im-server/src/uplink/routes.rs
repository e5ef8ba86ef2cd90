//! One request to whichever route answers, within a deadline.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hashbrown::HashMap;
use im_common::api::ErrorResponse;
use im_common::backend::registry::{RouteInfo, RouteList};
use im_common::code::Code;
use im_common::id::ServerId;
use im_common::secret::NodeCredential;
use im_common::serve::POOLED_FOR;
use im_common::transport::Refusal;
use parking_lot::Mutex;
use prost::Message;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, StatusCode};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// A route on the same network that does not accept a connection by then is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// Longer than any store call of a route takes when it succeeds.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// The client is waiting: after this it had better offer the message again.
pub(super) const ALL_WITHIN: Duration = Duration::from_secs(5);
/// A route that failed is asked last for this long, so that a dead one costs few requests.
const SUSPECT_FOR: Duration = Duration::from_secs(1);
/// Idle connections kept to each route.
const IDLE_MAX: usize = 64;

/// The routes there are, asked in turn.
pub(super) struct Routes {
    list: watch::Receiver<RouteList>,
    client: Client,
    turn: AtomicUsize,
    suspects: Mutex<HashMap<ServerId, Instant>>,
}

/// Why one route gave no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Another route may answer.
    #[error("{0}")]
    Silent(String),
    /// Every route would say the same.
    #[error(transparent)]
    Refused(Refusal),
}

impl Routes {
    pub(super) fn new(list: watch::Receiver<RouteList>, credential: &NodeCredential) -> Self {
        let mut authorization = HeaderValue::from_str(credential.header())
            .expect("a credential is made of printable ASCII");
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([
            (AUTHORIZATION, authorization),
            (
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-protobuf"),
            ),
        ]);
        let client = Client::builder()
            .no_proxy()
            .default_headers(headers)
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .pool_max_idle_per_host(IDLE_MAX)
            .pool_idle_timeout(POOLED_FOR)
            .tcp_nodelay(true)
            .build()
            .expect("without TLS and with fixed headers nothing can fail");
        Self {
            list,
            client,
            turn: AtomicUsize::new(0),
            suspects: Mutex::default(),
        }
    }

    /// Asks one route after the other until one answers. What is asked must be safe to repeat.
    pub(super) async fn call<Response>(
        &self,
        path: &'static str,
        request: &impl Message,
    ) -> Result<Response, Refusal>
    where
        Response: Message + Default,
    {
        let body = bytes::Bytes::from(request.encode_to_vec());
        let deadline = Instant::now() + ALL_WITHIN;
        for route in self.in_turn() {
            let attempt = self.attempt(&route, path, body.clone());
            let outcome = timeout_at(deadline, attempt).await;
            match outcome.unwrap_or_else(|_| Err(Failure::Silent("out of time".to_owned()))) {
                Ok(response) => {
                    self.trust(&route);
                    return Ok(response);
                }
                Err(Failure::Refused(refusal)) => {
                    self.trust(&route);
                    return Err(refusal);
                }
                Err(error @ Failure::Silent(_)) => {
                    tracing::warn!(path, %error, route = route.http_address, "a route fails");
                    self.suspect(&route);
                }
            }
        }
        Err(Refusal::new(Code::UNAVAILABLE, "no route answers"))
    }

    async fn attempt<Response: Message + Default>(
        &self,
        route: &RouteInfo,
        path: &str,
        body: bytes::Bytes,
    ) -> Result<Response, Failure> {
        let silent = |error: reqwest::Error| Failure::Silent(with_causes(&error.without_url()));
        let url = format!("http://{}/internal/v1/{path}", route.http_address);
        let request = self.client.post(url).body(body);
        let response = request.send().await.map_err(silent)?;
        if response.status() != StatusCode::OK {
            return Err(refused(response).await);
        }
        let body = response.bytes().await.map_err(silent)?;
        Response::decode(body).map_err(|error| Failure::Silent(error.to_string()))
    }

    /// Every route once: in turn, those that failed lately last.
    fn in_turn(&self) -> Vec<RouteInfo> {
        let mut routes = self.list.borrow().to_vec();
        if routes.is_empty() {
            return routes;
        }
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % routes.len();
        routes.rotate_left(first);
        let mut suspects = self.suspects.lock();
        let now = Instant::now();
        suspects.retain(|_, until| *until > now);
        routes.sort_by_key(|route| suspects.contains_key(&route.id));
        routes
    }

    fn suspect(&self, route: &RouteInfo) {
        let until = Instant::now() + SUSPECT_FOR;
        self.suspects.lock().insert(route.id.clone(), until);
    }

    fn trust(&self, route: &RouteInfo) {
        self.suspects.lock().remove(&route.id);
    }
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Routes").field(&*self.list.borrow()).finish()
    }
}

/// What a route refuses for good, every route refuses. What may succeed later is asked of another
/// one, and so is what only a node of another version or cluster says.
async fn refused(response: reqwest::Response) -> Failure {
    let status = response.status();
    let Ok(error) = response.json::<ErrorResponse>().await else {
        return Failure::Silent(format!("answers {status}"));
    };
    let code = Code(error.code);
    if code.is_retryable() || matches!(code, Code::UNAUTHENTICATED | Code::NOT_FOUND) {
        return Failure::Silent(format!("answers {code}: {}", error.message));
    }
    Failure::Refused(Refusal::new(code, error.message))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
