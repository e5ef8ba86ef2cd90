//! How the route is: for people, load balancers and metrics.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use im_common::api::HealthResponse;

use super::App;

/// Whether the route can serve: the store answers and takes messages.
#[utoipa::path(get, path = "/v1/health", responses(
    (status = 200, description = "Serving", body = HealthResponse),
    (status = 503, description = "Not serving; `status` says why", body = HealthResponse),
))]
pub(super) async fn health(State(app): State<App>) -> (StatusCode, Json<HealthResponse>) {
    let probe = app.uplink.reading.messages.ready().await;
    let (code, status) = match probe {
        Ok(_) => (StatusCode::OK, "ok"),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the message store does not answer, or takes nothing",
        ),
    };
    let body = HealthResponse {
        status: status.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        servers: app.accounts.servers.placeable().len(),
    };
    (code, Json(body))
}

/// The counters, in the text format of Prometheus.
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let text = app.uplink.delivery.counters.render();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

/// Serves a document that is JSON already.
pub(super) fn json(document: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], document).into_response()
}
