//! `SessionStore` in Redis: a hash for each user, leases by the clock of Redis.

use std::sync::LazyLock;

use async_trait::async_trait;

use super::{Attached, Renewed, SESSION_LEASE, SessionStore};
use crate::backend::redis::{Call, Connection, Keys, Script};
use crate::backend::{BackendError, Result};
use crate::id::{ConnectionId, DeviceId, ServerId, SessionEpoch, UserId};
use crate::message::Session;

static HOLD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/hold.lua")));
static DETACH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/detach.lua")));
static LOCATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/locate.lua")));

/// Sessions in Redis. The lease runs out by itself, so a crashed server leaves nothing behind.
pub(in crate::backend) struct RedisSessions {
    connection: Connection,
    keys: Keys,
}

impl RedisSessions {
    /// Uses a connection that others may share.
    pub(in crate::backend) fn new(connection: Connection, keys: Keys) -> Self {
        Self { connection, keys }
    }

    fn hold(&self, session: &Session) -> Call {
        arguments(HOLD.on(&[self.keys.sessions(session.user)]), session)
            .arg(u64::try_from(SESSION_LEASE.as_millis()).unwrap_or(u64::MAX))
    }
}

#[async_trait]
impl SessionStore for RedisSessions {
    async fn attach(&self, session: &Session) -> Result<Attached> {
        let (outcome, other): (String, String) = self.connection.call(&self.hold(session)).await?;
        let other = || decode(session.user, session.device.as_str(), &other);
        match outcome.as_str() {
            "same" | "absent" => Ok(Attached::Holds(None)),
            "displaced" => Ok(Attached::Holds(Some(other()?))),
            "superseded" => Ok(Attached::Superseded(other()?)),
            _ => Err(unknown(&outcome)),
        }
    }

    async fn detach(&self, session: &Session) -> Result<()> {
        let script = DETACH.on(&[self.keys.sessions(session.user)]);
        self.connection.call(&arguments(script, session)).await
    }

    async fn renew(&self, sessions: &[Session]) -> Result<Vec<Renewed>> {
        let calls = sessions.iter().map(|session| self.hold(session)).collect();
        let answers: Vec<(String, String)> = self.connection.all(calls).await?;
        let renewed = |(outcome, _): (String, String)| match outcome.as_str() {
            "same" => Ok(Renewed::Extended),
            "absent" | "displaced" => Ok(Renewed::Restored),
            "superseded" => Ok(Renewed::Superseded),
            _ => Err(unknown(&outcome)),
        };
        answers.into_iter().map(renewed).collect()
    }

    async fn locate(&self, users: &[UserId]) -> Result<Vec<Session>> {
        let calls = users
            .iter()
            .map(|user| LOCATE.on(&[self.keys.sessions(*user)]))
            .collect();
        let answers: Vec<Vec<(String, String)>> = self.connection.all(calls).await?;
        let found = users.iter().zip(answers);
        found
            .flat_map(|(user, sessions)| sessions.into_iter().map(|entry| (*user, entry)))
            .map(|(user, (device, session))| decode(user, &device, &session))
            .collect()
    }
}

fn arguments(call: Call, session: &Session) -> Call {
    call.arg(session.device.as_str())
        .arg(session.epoch.login)
        .arg(session.epoch.attempt)
        .arg(session.server.as_str())
        .arg(session.connection.0)
}

/// Reads what `hold.lua` writes.
fn decode(user: UserId, device: &str, text: &str) -> Result<Session> {
    let malformed = || BackendError::damaged(format!("session of user {user}: {text:?}"));
    let fields: Vec<&str> = text.split(' ').collect();
    let [_deadline, login, attempt, server, connection] = fields[..] else {
        return Err(malformed());
    };
    Ok(Session {
        user,
        device: DeviceId::new(device).map_err(BackendError::damaged)?,
        server: ServerId::new(server).map_err(BackendError::damaged)?,
        connection: ConnectionId(connection.parse().map_err(|_| malformed())?),
        epoch: SessionEpoch {
            login: login.parse().map_err(|_| malformed())?,
            attempt: attempt.parse().map_err(|_| malformed())?,
        },
    })
}

fn unknown(outcome: &str) -> BackendError {
    BackendError::damaged(format!("unknown answer {outcome:?}"))
}
