//! CIM's Redis, filled as CIM fills it.

use redis::{Cmd, cmd};
use serde_json::{Value, json};

use super::route::Account;
use crate::services::Redis;

/// What CIM keeps a waiting message for.
const EXPIRES_AFTER_SECONDS: u64 = 3 * 24 * 60 * 60;

/// A Redis of its own.
pub struct CimStore {
    redis: Redis,
}

impl CimStore {
    /// An empty one.
    pub async fn start() -> Self {
        Self {
            redis: Redis::start().await,
        }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.redis.url()
    }

    /// Registers a name under a number.
    pub async fn register(&self, user: i64, name: &str) -> Account {
        let account = format!("cim-account:{user}");
        self.run(cmd("SET").arg(&account).arg(name)).await;
        self.run(cmd("SET").arg(name).arg(&account)).await;
        Account {
            user_id: user,
            user_name: name.to_owned(),
        }
    }

    /// Stores a message for somebody who is offline; null is the text of a batch.
    pub async fn wait(&self, id: u64, from: &Account, to: i64, text: impl Into<Value>) {
        let object = json!({
            "messageId": id,
            "receiveUserId": to,
            "content": text.into(),
            "messageType": 0,
            "status": 0,
            "createdAt": "2026-04-05T12:00:00.123",
            "properties": {
                "sendUserId": from.user_id.to_string(),
                "sendUserName": from.user_name,
                "receiveUserId": to.to_string(),
            },
        });
        // Encoded twice.
        let value = Value::String(object.to_string()).to_string();
        let (message, list) = (message_key(id), format!("offline:msg:user:{to}"));
        let mut set = cmd("SET");
        set.arg(message).arg(value);
        self.run(set.arg("EX").arg(EXPIRES_AFTER_SECONDS)).await;
        self.run(cmd("RPUSH").arg(&list).arg(id)).await;
        self.run(cmd("EXPIRE").arg(&list).arg(EXPIRES_AFTER_SECONDS))
            .await;
    }

    /// A message's time is over; its id stays in the list.
    pub async fn expire(&self, id: u64) {
        self.run(cmd("DEL").arg(message_key(id))).await;
    }

    /// Runs any command.
    pub async fn run(&self, command: &Cmd) -> redis::Value {
        self.redis.command(command).await
    }

    /// How often anything was changed so far.
    pub async fn changes(&self) -> u64 {
        let info = self.run(cmd("INFO").arg("persistence")).await;
        let info: String = redis::from_redis_value(info).expect("it is text");
        let (_, rest) = info
            .split_once("rdb_changes_since_last_save:")
            .expect("Redis counts changes");
        let count = rest.split_whitespace().next().unwrap_or_default();
        count.parse().expect("a number")
    }
}

fn message_key(id: u64) -> String {
    format!("offline:msg:{id}")
}
