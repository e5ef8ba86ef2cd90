//! The HTTP API of the routes, as far as the SDK needs it.

mod call;

use std::time::Duration;

use im_common::api::{
    DeliveredResponse, HistoryResponse, LoginRequest, LoginResponse, OnlineResponse,
    RegisterRequest, TicketResponse, User,
};
use im_common::id::{ConversationId, Sequence};
use reqwest::Method;

use crate::error::Error;
use crate::token::Token;
#[cfg(feature = "cli")]
pub(crate) use call::parse;
use call::{Call, Routes};

/// Issuing a ticket takes a route one look-up, and a user who is cut off waits for it.
const TICKET_WITHIN: Duration = Duration::from_secs(2);

/// Talks to whichever route answers; clones share what they learn.
#[derive(Debug, Clone)]
pub(crate) struct RouteApi {
    routes: Routes,
}

impl RouteApi {
    /// Checks the addresses; connects to nothing yet.
    pub(crate) fn new<R: AsRef<str>>(routes: &[R]) -> Result<Self, Error> {
        let routes = Routes::new(routes)?;
        Ok(Self { routes })
    }

    pub(crate) async fn register(&self, request: &RegisterRequest) -> Result<User, Error> {
        let call = Call::new(Method::POST, &["v1", "users"]).body(request)?;
        // Asking a second route after the first may have registered would report the name taken.
        self.routes.answer(&call.once()).await
    }

    pub(crate) async fn login(&self, request: &LoginRequest) -> Result<LoginResponse, Error> {
        let call = Call::new(Method::POST, &["v1", "login"]).body(request)?;
        self.routes.answer(&call).await
    }

    pub(crate) async fn ticket(&self, token: &Token) -> Result<TicketResponse, Error> {
        let call = Call::new(Method::POST, &["v1", "ticket"]).token(token.as_str());
        self.routes.answer(&call.within(TICKET_WITHIN)).await
    }

    pub(crate) async fn logout(&self, token: &Token) -> Result<(), Error> {
        let call = Call::new(Method::POST, &["v1", "logout"]).token(token.as_str());
        self.routes.send(&call).await.map(drop)
    }

    /// Looks a user up by name or id.
    pub(crate) async fn user(&self, token: &Token, who: &str) -> Result<User, Error> {
        let path = ["v1", "users", who];
        let call = Call::new(Method::GET, &path).token(token.as_str());
        self.routes.answer(&call).await
    }

    pub(crate) async fn online(
        &self,
        token: &Token,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<OnlineResponse, Error> {
        let call = Call::new(Method::GET, &["v1", "users", "online"])
            .token(token.as_str())
            .query("prefix", Some(prefix).filter(|prefix| !prefix.is_empty()))
            .query("after", after)
            .query("limit", Some(limit));
        self.routes.answer(&call).await
    }

    pub(crate) async fn delivered(
        &self,
        token: &Token,
        conversation: &ConversationId,
    ) -> Result<DeliveredResponse, Error> {
        let conversation = conversation.to_string();
        let path = ["v1", "conversations", &conversation, "delivered"];
        let call = Call::new(Method::GET, &path).token(token.as_str());
        self.routes.answer(&call).await
    }

    pub(crate) async fn history(
        &self,
        token: &Token,
        conversation: &ConversationId,
        before: Option<Sequence>,
        limit: usize,
    ) -> Result<HistoryResponse, Error> {
        let conversation = conversation.to_string();
        let path = ["v1", "conversations", &conversation, "messages"];
        let call = Call::new(Method::GET, &path)
            .token(token.as_str())
            .query("before", before)
            .query("limit", Some(limit));
        self.routes.answer(&call).await
    }
}
