//! The HTTP API as an integrator without SDK uses it.

use im_common::serve::POOLED_FOR;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::user::PASSWORD;

/// Requests to one route, with or without a token.
pub struct Http {
    client: Client,
    url: String,
    token: Option<String>,
}

impl Http {
    /// Nobody in particular.
    pub fn anonymous(url: &str) -> Self {
        let client = Client::builder()
            .no_proxy()
            .pool_idle_timeout(POOLED_FOR)
            .build()
            .expect("a client");
        Self {
            client,
            url: url.to_owned(),
            token: None,
        }
    }

    /// A registered user.
    pub async fn log_in(url: &str, name: &str, device: &str) -> Self {
        let http = Self::anonymous(url);
        let body = json!({"name": name, "password": PASSWORD, "device": device});
        let (status, answer) = http.post("/v1/login", body).await;
        assert_eq!(status, 200, "{answer}");
        let token = answer["token"].as_str().expect("a token").to_owned();
        Self {
            token: Some(token),
            ..http
        }
    }

    /// Gets a path: the status, and the body as JSON (null when it is none).
    pub async fn get(&self, path: &str) -> (u16, Value) {
        Self::answer(self.request(Method::GET, path)).await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        Self::answer(self.request(Method::POST, path).json(&body)).await
    }

    /// Posts bytes that claim to be JSON.
    pub async fn post_raw(&self, path: &str, body: Vec<u8>) -> (u16, Value) {
        let request = self
            .request(Method::POST, path)
            .header("content-type", "application/json");
        Self::answer(request.body(body)).await
    }

    /// Prepares a request.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request.
    pub async fn answer(request: RequestBuilder) -> (u16, Value) {
        let response = request.send().await.expect("the route answers");
        let status = response.status().as_u16();
        let body = response.bytes().await.expect("a body");
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }
}
