//! CIM's envelope and codes, and what it says when something breaks.
//!
//! Its clients read strictly: not one key more. What they can do nothing about comes as HTTP 200
//! with a code, a fault as HTTP 500 with the error object of the framework that CIM is built on.

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use im_common::code::Code;
use im_common::id::InvalidId;
use im_common::name::InvalidName;
use im_common::transport::Refusal;
use serde::Serialize;

/// A code of CIM and its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Status {
    code: &'static str,
    message: &'static str,
}

const SUCCESS: Status = status("9000", "Success");
const INVALID_ARGUMENT: Status = status("3000", "invalid argument");
const REPEAT_LOGIN: Status = status("5000", "Repeat login, log out an account please!");
const OFF_LINE: Status = status(
    "7000",
    "You selected user is offline!, please try again later!",
);
const SERVER_NOT_AVAILABLE: Status = status(
    "7100",
    "cim server is not available, please try again later!",
);
const ACCOUNT_NOT_MATCH: Status =
    status("9100", "The User information you have used is incorrect!");

const fn status(code: &'static str, message: &'static str) -> Status {
    Status { code, message }
}

/// Exactly four keys, all of them always.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<T> {
    code: &'static str,
    message: String,
    req_no: Option<String>,
    data_body: Option<T>,
}

/// What an endpoint answers.
pub(super) type Answer<T = ()> = Result<Success<T>, Failure>;

/// It was done; some endpoints have something to tell.
#[derive(Debug)]
pub(super) struct Success<T>(pub(super) Option<T>);

/// It was not done, or not as the client may think.
#[derive(Debug)]
pub(super) enum Failure {
    /// The message is stored, and its receiver is away.
    Offline,
    /// What is asked for cannot be.
    Invalid(&'static str),
    /// The logic behind says no.
    Refused(Refusal),
}

impl<T: Serialize> IntoResponse for Success<T> {
    fn into_response(self) -> Response {
        envelope(SUCCESS, SUCCESS.message.to_owned(), self.0)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let say = |said: Status| envelope(said, said.message.to_owned(), None::<()>);
        let explain = |reason: &str| {
            let message = format!("{}: {reason}", INVALID_ARGUMENT.message);
            envelope(INVALID_ARGUMENT, message, None::<()>)
        };
        match self {
            Self::Offline => say(OFF_LINE),
            Self::Invalid(reason) => explain(reason),
            Self::Refused(Refusal { code, reason }) => match code {
                Code::ALREADY_ONLINE => say(REPEAT_LOGIN),
                Code::NO_SERVER => say(SERVER_NOT_AVAILABLE),
                Code::USER_UNKNOWN => say(ACCOUNT_NOT_MATCH),
                Code::NAME_INVALID
                | Code::NAME_TAKEN
                | Code::TEXT_EMPTY
                | Code::TEXT_TOO_LONG
                | Code::MALFORMED => explain(&reason),
                _ => {
                    tracing::debug!(code = code.name(), "a request of CIM fails");
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
            },
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<InvalidName> for Failure {
    fn from(error: InvalidName) -> Self {
        Self::Refused(Refusal::new(Code::NAME_INVALID, error.to_string()))
    }
}

impl From<InvalidId> for Failure {
    fn from(_: InvalidId) -> Self {
        // A number that nobody can have is nobody's.
        Self::Refused(Code::USER_UNKNOWN.into())
    }
}

fn envelope<T: Serialize>(said: Status, message: String, body: Option<T>) -> Response {
    Json(Envelope {
        code: said.code,
        message,
        req_no: None,
        data_body: body,
    })
    .into_response()
}

/// What the framework says of a fault.
#[derive(Serialize)]
struct Fault {
    timestamp: String,
    status: u16,
    error: &'static str,
    path: String,
}

/// Gives an answer that is no success the body that clients of CIM know.
pub(super) async fn explain(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status();
    if status.is_success() {
        return response;
    }
    let now = jiff::Timestamp::now();
    let fault = Fault {
        timestamp: now.strftime("%Y-%m-%dT%H:%M:%S.%3f+00:00").to_string(),
        status: status.as_u16(),
        error: status.canonical_reason().unwrap_or_default(),
        path,
    };
    (status, Json(fault)).into_response()
}
