//! JSON bodies of the HTTP API under `/v1`, shared by the route and the SDK.
//!
//! Requests refuse unknown fields, so that a misspelt one is not silently ignored; answers may
//! gain fields, so clients ignore those they do not know.

use serde::{Deserialize, Serialize};

/// `POST /v1/users`: registers an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// 1 to 32 letters, digits, `.`, `_`, `-` of one script.
    #[cfg_attr(feature = "openapi", schema(example = "alice"))]
    pub name: String,
    /// 8 to 128 characters.
    pub password: String,
}

/// A user, as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// The account's number.
    pub user_id: u64,
    /// The account's name.
    pub name: String,
}

/// `POST /v1/login`: logs a device in; an earlier login of the same device ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The account's name.
    pub name: String,
    /// The account's password.
    pub password: String,
    /// This installation: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    #[cfg_attr(feature = "openapi", schema(example = "laptop"))]
    pub device: String,
}

/// The answer to a login.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LoginResponse {
    /// Goes into `authorization: Bearer ...` of every further request, until logging out.
    pub token: String,
    /// Who is logged in, the ticket for the long connection, and where to connect.
    #[serde(flatten)]
    pub ticket: TicketResponse,
}

/// `POST /v1/ticket`: a fresh ticket for a device that is logged in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TicketResponse {
    /// The account's number.
    pub user_id: u64,
    /// The account's name as registered.
    pub name: String,
    /// The device that is logged in.
    #[cfg_attr(feature = "openapi", schema(example = "laptop"))]
    pub device: String,
    /// Proof of login for the long connection, base64url without padding.
    pub ticket: String,
    /// When the ticket ends, milliseconds since 1970.
    pub ticket_expires_at_ms: u64,
    /// Servers as `host:port`, the best first. Empty when none can take the client now.
    pub servers: Vec<String>,
}

/// `POST /v1/messages`: sends a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SendRequest {
    /// `lobby`, a user's name, or a user's id.
    #[cfg_attr(feature = "openapi", schema(example = "lobby"))]
    pub to: String,
    /// 1 to 65536 bytes.
    pub text: String,
    /// A UUID that makes repeating safe: the same id is stored once. Drawn when missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// The answer to sending: the message is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SendResponse {
    /// The message's id.
    pub id: String,
    /// The conversation it is in.
    #[cfg_attr(feature = "openapi", schema(example = "private:1:2"))]
    pub conversation: String,
    /// The life of the conversation's log.
    pub epoch: u64,
    /// Its place in the log.
    pub sequence: u64,
    /// When it was accepted, milliseconds since 1970.
    pub accepted_at_ms: u64,
}

/// `GET /v1/users/online`: who is online, by name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OnlineResponse {
    /// One page, sorted by name without regard to case.
    pub users: Vec<User>,
    /// Pass it as `after` for the next page; null on the last.
    pub next: Option<String>,
    /// Whether a server did not answer, so that users may be missing.
    pub partial: bool,
}

/// `GET /v1/conversations/{conversation}/messages`: part of a log, oldest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryResponse {
    /// The conversation.
    pub conversation: String,
    /// The life of its log; 0 when it has no messages.
    pub epoch: u64,
    /// The newest sequence of the log.
    pub head: u64,
    /// The messages, oldest first.
    pub messages: Vec<HistoryMessage>,
}

/// A message of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HistoryMessage {
    /// Its place in the log.
    pub sequence: u64,
    /// Its id.
    pub id: String,
    /// Who sent it.
    pub sender: User,
    /// When it was accepted, milliseconds since 1970.
    pub accepted_at_ms: u64,
    /// What it says.
    pub text: String,
}

/// `GET /v1/conversations/{conversation}/delivered`: how far the other user is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeliveredResponse {
    /// The conversation.
    #[cfg_attr(feature = "openapi", schema(example = "private:1:2"))]
    pub conversation: String,
    /// The life of its log in which the sequence means something; 0 when nothing is handled yet.
    pub epoch: u64,
    /// Everything up to here was handled by a device of the other user.
    pub sequence: u64,
}

/// `GET /v1/health`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HealthResponse {
    /// `ok`, or what is missing.
    pub status: String,
    /// The version of the route.
    pub version: String,
    /// How many servers can take clients now.
    pub servers: usize,
}

/// The body of every error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorResponse {
    /// A number of the code table.
    #[cfg_attr(feature = "openapi", schema(example = 4013))]
    pub code: u16,
    /// The code's name.
    #[cfg_attr(feature = "openapi", schema(example = "name_taken"))]
    pub error: String,
    /// For a person: what is wrong and what to do.
    pub message: String,
    /// Whether the same may succeed later.
    pub retryable: bool,
}
