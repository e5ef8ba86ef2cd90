//! What must hold for any bytes that reach a route. Runs under proptest and in `fuzz/`.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use im_common::backend::Backend;
use im_common::secret::ClusterSecret;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

use crate::{HttpDownlink, Parts, Route, RouteConfig};

/// Every path that takes a body. Those of nodes come with the credential of a node.
const PATHS: [&str; 12] = [
    "/v1/users",
    "/v1/login",
    "/v1/messages",
    "/v1/logout",
    "/internal/v1/submit",
    "/internal/v1/login",
    "/internal/v1/attach",
    "/internal/v1/detach",
    "/internal/v1/renew",
    "/internal/v1/heads",
    "/internal/v1/ack",
    "/internal/v1/sync",
];
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// A route without sockets that are used, on a store that nothing outlives.
pub struct Api {
    runtime: Runtime,
    router: Router,
    secret: ClusterSecret,
    token: String,
    _route: Route,
}

impl Default for Api {
    fn default() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime of one thread");
        let secret = ClusterSecret::fresh();
        let route = runtime.block_on(bind(&secret));
        let mut api = Self {
            router: route.router(),
            runtime,
            secret,
            token: String::new(),
            _route: route,
        };
        let account = r#"{"name":"alice","password":"correct horse"}"#;
        api.ask("/v1/users", account.as_bytes());
        let login = r#"{"name":"alice","password":"correct horse","device":"phone"}"#;
        let (_, answer) = api.ask("/v1/login", login.as_bytes());
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
        answer["token"]
            .as_str()
            .expect("a token")
            .clone_into(&mut api.token);
        api
    }
}

async fn bind(secret: &ClusterSecret) -> Route {
    let config = RouteConfig {
        listen: ([127, 0, 0, 1], 0).into(),
        password_hashes: NonZeroUsize::MIN,
        ..RouteConfig::default()
    };
    let parts = Parts {
        backend: Backend::embedded(None).expect("a temporary folder"),
        downlink: Arc::new(HttpDownlink::new(&secret.node_credential())),
        secret: secret.clone(),
    };
    Route::bind(config, parts).await.expect("a free port")
}

impl Api {
    /// Whatever is asked, the route does not fail, and says to people why it refuses. The first byte
    /// chooses the path.
    pub fn any(&self, data: &[u8]) {
        let Some((path, body)) = data.split_first() else {
            return;
        };
        let path = PATHS[usize::from(*path) % PATHS.len()];
        let (status, answer) = self.ask(path, body);
        assert!(status < 500, "{path}: {status}");
        if status >= 400 {
            let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
            assert!(answer["code"].is_u64(), "{path}: {answer}");
        }
    }

    fn ask(&self, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let authorization = if path.starts_with("/internal") {
            self.secret.node_credential().header().to_owned()
        } else {
            format!("Bearer {}", self.token)
        };
        let request = Request::post(path)
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_vec()))
            .expect("a request");
        self.runtime.block_on(async {
            let answer = self.router.clone().oneshot(request).await;
            let answer = answer.expect("a router always answers");
            let status = answer.status().as_u16();
            let body = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await;
            (status, body.expect("a short answer").to_vec())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    #[test]
    fn any_bytes_are_answered() {
        let api = Api::default();
        let text = prop::sample::select(vec!["lobby", "alice", "1", "", "\u{202e}", "x"]);
        let json = (text.clone(), text).prop_map(|(one, other)| {
            serde_json::json!({"to": one, "text": other, "name": one, "password": other,
                "device": other, "id": one})
            .to_string()
            .into_bytes()
        });
        let garbage = prop::collection::vec(any::<u8>(), 0..200);
        let data = (any::<u8>(), prop_oneof![json, garbage]);
        TestRunner::default()
            .run(&data, |(path, body)| {
                api.any(&[vec![path], body].concat());
                Ok(())
            })
            .unwrap();
    }
}
