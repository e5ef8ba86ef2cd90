//! `SessionStore` in Redis: a hash for each user, leases by the clock of Redis.

use std::sync::LazyLock;

use async_trait::async_trait;

use super::{Attached, Renewed, SESSION_LEASE, SecondLogin, SessionStore, SessionsPer, SlotPolicy};
use crate::backend::redis::{Call, Connection, Keys, Script};
use crate::backend::{BackendError, Result};
use crate::id::{ConnectionId, DeviceId, ServerId, SessionEpoch, UserId};
use crate::message::Session;

static HOLD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/hold.lua")));
static DETACH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/detach.lua")));
static LOCATE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("redis/locate.lua")));

/// What `hold.lua` returns: an outcome, and other sessions by device.
type Held = (String, Vec<(String, String)>);

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

    fn hold(&self, session: &Session, policy: SlotPolicy) -> Call {
        arguments(HOLD.on(&[self.keys.sessions(session.user)]), session)
            .arg(u64::try_from(SESSION_LEASE.as_millis()).unwrap_or(u64::MAX))
            .arg(match policy.sessions_per {
                SessionsPer::Device => "device",
                SessionsPer::User => "user",
            })
            .arg(match policy.second_login {
                SecondLogin::Displace => "displace",
                SecondLogin::Refuse => "refuse",
            })
    }
}

#[async_trait]
impl SessionStore for RedisSessions {
    async fn attach(&self, session: &Session, policy: SlotPolicy) -> Result<Attached> {
        let call = self.hold(session, policy);
        let (outcome, others): Held = self.connection.call(&call).await?;
        let others = others.into_iter();
        let mut others = others.map(|(device, text)| decode(session.user, &device, &text));
        let mut stays = || others.next().unwrap_or_else(|| Err(unknown(&outcome)));
        match outcome.as_str() {
            "superseded" => Ok(Attached::Superseded(stays()?)),
            "occupied" => Ok(Attached::Occupied(stays()?)),
            "extended" | "begun" => Ok(Attached::Holds(others.collect::<Result<_>>()?)),
            _ => Err(unknown(&outcome)),
        }
    }

    async fn detach(&self, session: &Session) -> Result<()> {
        let script = DETACH.on(&[self.keys.sessions(session.user)]);
        self.connection.call(&arguments(script, session)).await
    }

    async fn renew(&self, sessions: &[Session], policy: SlotPolicy) -> Result<Vec<Renewed>> {
        let hold = |session| self.hold(session, policy.for_renewals());
        let answers: Vec<Held> = self
            .connection
            .all(sessions.iter().map(hold).collect())
            .await?;
        let renewed = |(outcome, _): Held| match outcome.as_str() {
            "extended" => Ok(Renewed::Extended),
            "begun" => Ok(Renewed::Restored),
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
    let [_deadline, login, attempt, server, connection, _life] = fields[..] else {
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
