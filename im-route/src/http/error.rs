//! Errors as HTTP: a status, and a body with a numbered code.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use im_common::api::ErrorResponse;
use im_common::code::{Code, NextStep};
use im_common::id::InvalidId;
use im_common::name::InvalidName;
use im_common::transport::Refusal;
use im_common::wire::Malformed;

/// An error of the public API.
#[derive(Debug)]
pub(crate) struct ApiError(Refusal);

impl ApiError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Refusal::new(code, message))
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl From<Code> for ApiError {
    fn from(code: Code) -> Self {
        Self(code.into())
    }
}

impl From<InvalidName> for ApiError {
    fn from(error: InvalidName) -> Self {
        Self::new(Code::NAME_INVALID, error.to_string())
    }
}

impl From<InvalidId> for ApiError {
    fn from(error: InvalidId) -> Self {
        Self::new(Code::MALFORMED, error.to_string())
    }
}

impl From<Malformed> for ApiError {
    fn from(error: Malformed) -> Self {
        Self::new(Code::MALFORMED, error.to_string())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Self::from(Code::BODY_TOO_LARGE),
            _ => Self::new(Code::MALFORMED, rejection.body_text()),
        }
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(Code::MALFORMED, rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::new(Code::MALFORMED, rejection.body_text())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self(Refusal { code, reason }) = self;
        let body = ErrorResponse {
            code: code.0,
            error: code.name().to_owned(),
            message: reason,
            retryable: code.is_retryable(),
        };
        (status(code), Json(body)).into_response()
    }
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::OVERLOADED => StatusCode::TOO_MANY_REQUESTS,
        Code::NAME_TAKEN | Code::ID_CONFLICT | Code::ALREADY_ONLINE => StatusCode::CONFLICT,
        Code::WRONG_PASSWORD => StatusCode::UNAUTHORIZED,
        Code::NOT_PERMITTED => StatusCode::FORBIDDEN,
        Code::USER_UNKNOWN | Code::NOT_FOUND => StatusCode::NOT_FOUND,
        Code::BODY_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        Code::INTERNAL => StatusCode::INTERNAL_SERVER_ERROR,
        other => match other.next_step() {
            NextStep::Retry => StatusCode::SERVICE_UNAVAILABLE,
            NextStep::LogIn => StatusCode::UNAUTHORIZED,
            NextStep::Sync | NextStep::GiveUp => StatusCode::BAD_REQUEST,
        },
    }
}

/// Answers requests for paths that do not exist.
pub(super) async fn no_such_path(uri: Uri) -> ApiError {
    let message = format!(
        "there is no {}; /v1/openapi.json lists what there is",
        uri.path()
    );
    ApiError::new(Code::NOT_FOUND, message)
}

/// Answers requests with a method that the path does not have.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> Response {
    let message = format!(
        "{} does not take {method}; see /v1/openapi.json",
        uri.path()
    );
    let mut response = ApiError::new(Code::MALFORMED, message).into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}
