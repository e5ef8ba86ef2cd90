//! CIM's endpoints, read as its Java client reads them and more strictly: the envelope has exactly
//! its four keys, and every body exactly the keys of its class.

use std::fmt::Debug;

use reqwest::{Client, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// What a call came to, as a number in a string.
pub mod code {
    /// Done.
    pub const SUCCESS: &str = "9000";
    /// The user is logged in already.
    pub const REPEAT_LOGIN: &str = "5000";
    /// The receiver is not there; the message waits for it.
    pub const OFF_LINE: &str = "7000";
    /// No server takes clients.
    pub const SERVER_NOT_AVAILABLE: &str = "7100";
    /// No such id, or not under that name.
    pub const ACCOUNT_NOT_MATCH: &str = "9100";
}

/// Which message belongs to a code.
const MESSAGES: [(&str, &str); 5] = [
    (code::SUCCESS, "Success"),
    (
        code::REPEAT_LOGIN,
        "Repeat login, log out an account please!",
    ),
    (
        code::OFF_LINE,
        "You selected user is offline!, please try again later!",
    ),
    (
        code::SERVER_NOT_AVAILABLE,
        "cim server is not available, please try again later!",
    ),
    (
        code::ACCOUNT_NOT_MATCH,
        "The User information you have used is incorrect!",
    ),
];

/// The envelope of every answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply<T> {
    /// Four digits.
    pub code: String,
    /// For people. Must be there, as all keys.
    #[serde(deserialize_with = "present")]
    pub message: Option<String>,
    /// Always null.
    #[serde(rename = "reqNo", deserialize_with = "present")]
    pub req_no: Option<String>,
    /// What was asked for.
    #[serde(rename = "dataBody", deserialize_with = "present")]
    #[serde(bound(deserialize = "T: Deserialize<'de>"))]
    pub body: Option<T>,
}

/// Without this, a key that is missing would pass for null.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

impl<T: Debug> Reply<T> {
    /// The body of an answer that must be a success.
    ///
    /// # Panics
    /// When it is none, or has no body.
    pub fn success(self) -> T {
        assert_eq!(self.code, code::SUCCESS, "{self:?}");
        self.body.expect("a body")
    }

    /// Fails unless the answer has this code.
    ///
    /// # Panics
    /// When it has another one.
    pub fn assert_code(&self, code: &str) {
        assert_eq!(self.code, code, "{self:?}");
    }
}

/// Where "no body" is expected, an empty object passes for null.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A user of CIM, as registered and as listed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Account {
    /// A number.
    pub user_id: i64,
    /// Its name.
    pub user_name: String,
}

/// Which server a login was given.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Placed {
    /// Where to connect: an address or a name.
    pub ip: String,
    /// The port for clients.
    pub cim_server_port: u16,
    /// The port of the server's HTTP.
    pub http_port: u16,
}

/// What a call over HTTP came to when nobody answered as CIM does.
#[derive(Debug, thiserror::Error)]
pub enum NoReply {
    /// No answer at all; whether the call was done is unknown.
    #[error("no answer: {0}")]
    Lost(#[from] reqwest::Error),
    /// An answer that CIM's client turns into an exception.
    #[error("{0}: {1}")]
    Status(StatusCode, String),
}

/// The endpoints of one route.
#[derive(Debug, Clone)]
pub struct CimRoute {
    client: Client,
    url: String,
    secret: Option<(String, String)>,
}

impl CimRoute {
    /// The route at a base such as `http://127.0.0.1:8083`.
    ///
    /// # Panics
    /// When the machine cannot make HTTP clients.
    pub fn new(url: &str) -> Self {
        Self {
            client: Client::builder().no_proxy().build().expect("a client"),
            url: url.trim_end_matches('/').to_owned(),
            secret: None,
        }
    }

    /// The same, with a header in every request.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.secret = Some((name.to_owned(), value.to_owned()));
        self
    }

    /// `registerAccount`.
    pub async fn register(&self, name: &str) -> Result<Reply<Account>, NoReply> {
        let body = json!({"userName": name});
        self.post("registerAccount", &body).await
    }

    /// Registers a name that must be free or a CIM user's, and returns the account.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn account(&self, name: &str) -> Account {
        let reply = self.register(name).await;
        let account = reply.expect("the route answers").success();
        assert_eq!(account.user_name, name);
        account
    }

    /// `login`.
    pub async fn log_in(&self, account: &Account) -> Result<Reply<Placed>, NoReply> {
        let body = json!({"userId": account.user_id, "userName": account.user_name});
        self.post("login", &body).await
    }

    /// `offLine`, as the SDK asks for it.
    pub async fn off_line(&self, user: i64) -> Result<Reply<Nothing>, NoReply> {
        self.post("offLine", &json!({"userId": user, "msg": "offLine"}))
            .await
    }

    /// `onlineUser`.
    pub async fn online(&self) -> Result<Reply<Vec<Account>>, NoReply> {
        let (status, text) = self.request(Method::GET, "onlineUser", None).await?;
        read(status, text)
    }

    /// `groupRoute`.
    pub async fn say(&self, from: i64, text: &str) -> Result<Reply<Nothing>, NoReply> {
        self.post("groupRoute", &json!({"userId": from, "msg": text}))
            .await
    }

    /// `p2pRoute` with one text.
    pub async fn send(&self, from: i64, to: i64, text: &str) -> Result<Reply<Nothing>, NoReply> {
        let body = json!({"userId": from, "receiveUserId": to, "msg": text});
        self.post("p2pRoute", &body).await
    }

    /// `p2pRoute` with several texts.
    pub async fn send_batch(
        &self,
        from: i64,
        to: i64,
        texts: &[&str],
    ) -> Result<Reply<Nothing>, NoReply> {
        let body = json!({"userId": from, "receiveUserId": to, "msg": "", "batchMsg": texts});
        self.post("p2pRoute", &body).await
    }

    /// `fetchOfflineMsgs`.
    pub async fn fetch_offline(&self, user: i64) -> Result<Reply<Nothing>, NoReply> {
        self.post("fetchOfflineMsgs", &json!({"receiveUserId": user}))
            .await
    }

    /// Posts any JSON to a path.
    pub async fn post<T: DeserializeOwned + Debug>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<Reply<T>, NoReply> {
        let body = body.to_string().into_bytes();
        let (status, text) = self.request(Method::POST, path, Some(body)).await?;
        read(status, text)
    }

    /// Any request: the status and the text of the answer.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<(StatusCode, String), NoReply> {
        let mut request = self.client.request(method, format!("{}/{path}", self.url));
        if let Some(body) = body {
            let json = "application/json; charset=utf-8";
            request = request.header("content-type", json).body(body);
        }
        if let Some((name, value)) = &self.secret {
            request = request.header(name, value);
        }
        let response = request.send().await?;
        Ok((response.status(), response.text().await?))
    }
}

/// Reads an answer as CIM's client does.
///
/// # Panics
/// When the envelope or the body is not CIM's to the letter.
fn read<T: DeserializeOwned + Debug>(
    status: StatusCode,
    text: String,
) -> Result<Reply<T>, NoReply> {
    if !status.is_success() {
        return Err(NoReply::Status(status, text));
    }
    let reply: Reply<T> = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("not an answer of CIM: {error}: {text}"));
    assert_eq!(status, StatusCode::OK, "{text}");
    assert_eq!(reply.req_no, None, "{text}");
    let said = MESSAGES.iter().find(|(code, _)| *code == reply.code);
    if let Some((_, message)) = said {
        assert_eq!(reply.message.as_deref(), Some(*message), "{text}");
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Reply<Account>, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn an_envelope_has_exactly_its_keys() {
        let good = r#"{"code":"9000","message":"Success","reqNo":null,"dataBody":{"userId":1,"userName":"a"}}"#;
        assert!(parse(good).is_ok());
        for bad in [
            // A key too many, here and in the body.
            r#"{"code":"9000","message":"Success","reqNo":null,"dataBody":null,"id":1}"#,
            r#"{"code":"9000","message":"Success","reqNo":null,"dataBody":{"userId":1,"userName":"a","x":0}}"#,
            // One too few.
            r#"{"code":"9000","message":"Success","reqNo":null}"#,
            r#"{"code":"9000","message":"Success","dataBody":null}"#,
            r#"{"code":"9000","reqNo":null,"dataBody":null}"#,
            // Not a string.
            r#"{"code":9000,"message":"Success","reqNo":null,"dataBody":null}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_body_may_be_an_empty_object_and_nothing_else() {
        let reply = |body: &str| {
            let text =
                format!(r#"{{"code":"9000","message":"Success","reqNo":null,"dataBody":{body}}}"#);
            read::<Nothing>(StatusCode::OK, text)
        };
        assert!(reply("null").is_ok());
        assert!(reply("{}").is_ok());
        let refused = std::panic::catch_unwind(|| reply(r#"{"id":1}"#).is_ok());
        assert!(refused.is_err());
    }
}
