//! One HTTP call, tried at one route after another.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use im_common::api::ErrorResponse;
use im_common::code::Code;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};

/// A route that does not take a connection by then is passed over.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Covers a password check that waits for its turn behind many others.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Calls come in bursts; between them a crowd of clients should hold no connections to the routes.
/// One that a burst opened and did not need is closed by the route after 5 s, which must not meet the
/// next call.
const IDLE_FOR: Duration = Duration::from_secs(4);

/// What to ask.
#[derive(Debug)]
pub(super) struct Call<'a> {
    method: Method,
    path: &'a [&'a str],
    token: Option<&'a str>,
    query: Vec<(&'static str, String)>,
    body: Option<serde_json::Value>,
    is_repeatable: bool,
    within: Duration,
}

impl<'a> Call<'a> {
    pub(super) const fn new(method: Method, path: &'a [&'a str]) -> Self {
        Self {
            method,
            path,
            token: None,
            query: Vec::new(),
            body: None,
            is_repeatable: true,
            within: ANSWER_WITHIN,
        }
    }

    /// Another route is asked when this one has not answered by then.
    pub(super) fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Another route is asked only if this one cannot have got the call.
    pub(super) fn once(self) -> Self {
        Self {
            is_repeatable: false,
            ..self
        }
    }

    pub(super) fn token(self, token: &'a str) -> Self {
        Self {
            token: Some(token),
            ..self
        }
    }

    pub(super) fn query(mut self, name: &'static str, value: Option<impl Display>) -> Self {
        self.query
            .extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub(super) fn body(self, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_value(body).map_err(Error::invalid)?;
        Ok(Self {
            body: Some(body),
            ..self
        })
    }
}

/// The routes, and the one that answered last.
#[derive(Debug, Clone)]
pub(super) struct Routes {
    http: reqwest::Client,
    urls: Arc<[Url]>,
    preferred: Arc<AtomicUsize>,
}

impl Routes {
    pub(super) fn new<R: AsRef<str>>(routes: &[R]) -> Result<Self, Error> {
        if routes.is_empty() {
            return Err(Error::invalid("no route is given"));
        }
        let urls = routes.iter().map(|route| parse(route.as_ref()));
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .pool_idle_timeout(IDLE_FOR)
            .build()
            .map_err(|error| Error::invalid("cannot set up HTTP").because(error))?;
        Ok(Self {
            http,
            urls: urls.collect::<Result<_, _>>()?,
            preferred: Arc::default(),
        })
    }

    /// Sends a call and reads the answer's body.
    pub(super) async fn answer<A: DeserializeOwned>(&self, call: &Call<'_>) -> Result<A, Error> {
        let response = self.send(call).await?;
        response.json().await.map_err(|error| {
            let kind = if error.is_timeout() {
                ErrorKind::Timeout
            } else {
                ErrorKind::Protocol
            };
            Error::new(kind, "the route's answer cannot be read").because(error)
        })
    }

    /// Sends a call to one route after another, until one of them says yes or no.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Response, Error> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = Error::new(ErrorKind::Unreachable, "no route is known");
        for offset in 0..self.urls.len() {
            let index = (first + offset) % self.urls.len();
            let failure = match self.request(&self.urls[index], call).send().await {
                Ok(response) if response.status().is_success() => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(response);
                }
                Ok(response) => refusal(response).await,
                Err(error) if error.is_connect() => unreachable(&self.urls[index], error),
                Err(error) if call.is_repeatable => unreachable(&self.urls[index], error),
                Err(error) => return Err(unreachable(&self.urls[index], error)),
            };
            if !failure.is_retryable() {
                return Err(failure);
            }
            last = failure;
        }
        Err(last)
    }

    fn request(&self, route: &Url, call: &Call<'_>) -> RequestBuilder {
        let mut url = route.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(call.path);
        }
        let request = self.http.request(call.method.clone(), url);
        let mut request = request.timeout(call.within);
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        if let Some(token) = call.token {
            request = request.bearer_auth(token);
        }
        match &call.body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}

/// `http://host:port`, or only `host:port`.
pub(crate) fn parse(route: &str) -> Result<Url, Error> {
    let text = if route.contains("://") {
        route.to_owned()
    } else {
        format!("http://{route}")
    };
    let wrong = || Error::invalid(format!("not the address of a route: {route:?}"));
    let url = Url::parse(&text).map_err(|error| wrong().because(error))?;
    if url.scheme() != "http" {
        let message = format!("only http:// is supported, not {:?}", url.scheme());
        return Err(Error::invalid(message));
    }
    url.has_host().then_some(url).ok_or_else(wrong)
}

fn unreachable(route: &Url, error: reqwest::Error) -> Error {
    let kind = if error.is_timeout() && !error.is_connect() {
        ErrorKind::Timeout
    } else {
        ErrorKind::Unreachable
    };
    // Without the URL, which would repeat what the message says.
    Error::new(kind, format!("cannot reach the route at {route}")).because(error.without_url())
}

/// Reads what the route says; anything else comes from a proxy or a broken route.
async fn refusal(response: Response) -> Error {
    let status = response.status();
    let route = response.url().origin().ascii_serialization();
    match response.json::<ErrorResponse>().await {
        Ok(error) => Error::refused(Code(error.code), error.message),
        Err(_) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            let message = format!("the route at {route} answers {status}");
            Error::new(ErrorKind::Unreachable, message)
        }
        Err(_) => {
            let message = format!("{route} answers {status}: is it a route?");
            Error::new(ErrorKind::Protocol, message)
        }
    }
}

#[cfg(test)]
mod tests;
