//! Accounts and logins of CIM.

use axum::extract::State;
use im_common::backend::registry::ServerInfo;
use im_common::cim::{PROTOCOL, device};
use im_common::code::Code;
use im_common::transport::Refusal;
use serde::Serialize;

use super::envelope::{Answer, Success};
use super::request::{Asked, Body};
use crate::http::App;

/// A user, as CIM shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub(super) user_id: u64,
    pub(super) user_name: String,
}

/// Where to connect.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Address {
    ip: String,
    cim_server_port: u16,
    http_port: u16,
}

/// Registers a name; the same name again gets the same id.
pub(super) async fn register(State(app): State<App>, Body(asked): Body<Asked>) -> Answer<User> {
    let name = asked.name()?;
    let user = app.accounts.register_open(&name).await?;
    Ok(Success(Some(User {
        user_id: user.number(),
        user_name: name.to_string(),
    })))
}

/// Lets a user connect, unless it is connected.
pub(super) async fn log_in(State(app): State<App>, Body(asked): Body<Asked>) -> Answer<Address> {
    let user = asked.user()?;
    // A name that nobody can have is not this user's.
    let name = asked.name().map_err(|_| unknown())?;
    let accounts = &app.accounts;
    let server = accounts
        .log_in_open(user, &name, &device(), PROTOCOL)
        .await?;
    let address = address(&server).ok_or_else(|| {
        tracing::error!(server.id = %server.id, "the entrance of a server is no address");
        Refusal::from(Code::NO_SERVER)
    })?;
    Ok(Success(Some(address)))
}

/// Lets a user log in again at once. Nobody is told that there is no such user.
pub(super) async fn log_out(State(app): State<App>, Body(asked): Body<Asked>) -> Answer {
    let Ok(user) = asked.user() else {
        return Ok(Success(None));
    };
    match app.accounts.log_out_open(user, device()).await {
        Ok(()) => Ok(Success(None)),
        Err(refusal) if refusal.code == Code::USER_UNKNOWN => Ok(Success(None)),
        Err(refusal) => Err(refusal.into()),
    }
}

fn unknown() -> Refusal {
    Code::USER_UNKNOWN.into()
}

/// Without the brackets that an IPv6 address has before a port. A server that routes reach without
/// HTTP has no port for it.
fn address(server: &ServerInfo) -> Option<Address> {
    let (host, port) = server.entrances.get(PROTOCOL)?.rsplit_once(':')?;
    let ip = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let http_port = server.http_address.rsplit_once(':');
    Some(Address {
        ip: ip.unwrap_or(host).to_owned(),
        cim_server_port: port.parse().ok()?,
        http_port: http_port
            .and_then(|(_, port)| port.parse().ok())
            .unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::server_info;

    #[test]
    fn addresses_are_told_in_parts_ipv6_too() {
        let parts = |entrance: &str, http: &str| {
            let info = ServerInfo {
                http_address: http.to_owned(),
                entrances: [(PROTOCOL.to_owned(), entrance.to_owned())].into(),
                ..server_info("s1")
            };
            let Address {
                ip,
                cim_server_port,
                http_port,
            } = address(&info).unwrap();
            (ip, cim_server_port, http_port)
        };
        let own = |ip: &str, tcp, http| (ip.to_owned(), tcp, http);
        assert_eq!(
            parts("192.0.2.1:11211", "10.0.0.1:8081"),
            own("192.0.2.1", 11211, 8081)
        );
        assert_eq!(parts("[::1]:11211", ""), own("::1", 11211, 0));
        assert_eq!(
            parts("chat.example.org:1", "[::1]:8081"),
            own("chat.example.org", 1, 8081)
        );
    }
}
