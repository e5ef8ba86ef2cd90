//! CIM's HTTP endpoints: its paths, envelopes and codes on one side, this route's own logic on the
//! other.
//!
//! A CIM account is one without a password, a CIM client the device [`im_common::cim::device`] of its user, CIM's
//! group of everybody the lobby. Nothing behind the handlers knows of CIM.

mod access;
mod account;
mod config;
mod envelope;
mod message;
mod presence;
mod request;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use tokio::time::timeout;

pub(crate) use self::access::Gate;
pub use self::config::CimConfig;
use crate::http::App;

/// A batch, or the largest text with every byte escaped.
const BODY_BYTES_MAX: usize = 512 * 1024;
/// CIM's clients wait for 10 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(9);

/// Serves CIM's endpoints to whom the gate lets through.
pub(crate) fn router(app: App, gate: Gate) -> Router {
    Router::new()
        .route("/registerAccount", post(account::register))
        .route("/login", post(account::log_in))
        .route("/offLine", post(account::log_out))
        .route("/onlineUser", get(presence::online))
        .route("/groupRoute", post(message::to_group))
        .route("/p2pRoute", post(message::to_user))
        .route("/fetchOfflineMsgs", post(message::fetch_missed))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(answer_in_time))
        .layer(middleware::from_fn_with_state(gate, access::guard))
        .layer(middleware::from_fn(envelope::explain))
        .with_state(app)
}

/// As [`router`], for a listener that serves nothing else.
pub(crate) fn router_alone(app: App, gate: Gate) -> Router {
    let no_such_path = || async { StatusCode::NOT_FOUND };
    Router::new()
        .fallback(no_such_path)
        .layer(middleware::from_fn(envelope::explain))
        .merge(router(app, gate))
}

/// Says what an operator must know who opens this entrance.
pub(crate) fn warn(config: &CimConfig, address: SocketAddr) {
    tracing::warn!(
        %address,
        networks = config.allow.networks.len(),
        secret = config.secret_file.is_some(),
        "CIM's protocol has no authentication: whoever reaches these endpoints can speak, log in and \
         log out as any user without a password; users with a password are not concerned"
    );
}

async fn answer_in_time(request: Request, next: Next) -> Response {
    let answer = timeout(ANSWER_WITHIN, next.run(request)).await;
    answer.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
