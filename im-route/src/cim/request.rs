//! What clients of CIM send. Any field may be missing, unknown ones mean nothing.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use im_common::id::UserId;
use im_common::name::UserName;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::envelope::Failure;

/// The body of every request but one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Asked {
    #[serde(deserialize_with = "number")]
    user_id: Option<i64>,
    user_name: Option<String>,
    #[serde(deserialize_with = "number")]
    receive_user_id: Option<i64>,
    msg: Option<String>,
    batch_msg: Option<Vec<Option<String>>>,
}

impl Asked {
    /// Who asks.
    pub(super) fn user(&self) -> Result<UserId, Failure> {
        id(self.user_id, "userId is missing")
    }

    /// For whom a message is.
    pub(super) fn receiver(&self) -> Result<UserId, Failure> {
        id(self.receive_user_id, "receiveUserId is missing")
    }

    /// What the user is called.
    pub(super) fn name(&self) -> Result<UserName, Failure> {
        let name = self.user_name.as_deref();
        let name = name.ok_or(Failure::Invalid("userName is missing"))?;
        Ok(UserName::new(name)?)
    }

    /// The text of a message.
    pub(super) fn text(self) -> Result<String, Failure> {
        self.msg.ok_or(Failure::Invalid("msg is missing"))
    }

    /// The texts of a private message: the batch, or the only one if there is no batch.
    pub(super) fn texts(self) -> Result<Vec<String>, Failure> {
        match self.batch_msg {
            Some(batch) if !batch.is_empty() => {
                let texts = batch.into_iter().collect::<Option<_>>();
                texts.ok_or(Failure::Invalid("batchMsg has an element that is no text"))
            }
            _ => Ok(vec![self.text()?]),
        }
    }
}

fn id(number: Option<i64>, missing: &'static str) -> Result<UserId, Failure> {
    let number = number.ok_or(Failure::Invalid(missing))?;
    Ok(UserId::new(u64::try_from(number).unwrap_or(0))?)
}

/// A number, also one in quotes.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Spelling {
        Number(i64),
        Text(String),
    }
    match Option::<Spelling>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Spelling::Number(number)) => Ok(Some(number)),
        Some(Spelling::Text(text)) if text.is_empty() => Ok(None),
        Some(Spelling::Text(text)) => text.trim().parse().map(Some).map_err(D::Error::custom),
    }
}

/// A body that is an object of JSON; anything else is refused as CIM's framework does.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = StatusCode;

    async fn from_request(request: Request, state: &S) -> Result<Self, StatusCode> {
        let body = Json::from_request(request, state).await;
        let Json(object) = body.map_err(|rejection: JsonRejection| match rejection.status() {
            StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            status => status,
        })?;
        // Read as an object first: a struct could be read from an array too.
        let body = serde_json::from_value(Value::Object(object));
        body.map(Self).map_err(|_| StatusCode::BAD_REQUEST)
    }
}
