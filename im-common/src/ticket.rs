//! Signed proof of login: issued by a route, verified by a server without asking anybody.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use prost::Message;
use sha2::Sha256;

use crate::code::Code;
use crate::id::{DeviceId, UserId};
use crate::message::Identity;
use crate::name::UserName;
use crate::secret::ClusterSecret;
use crate::wire;

const MAC_BYTES: usize = 32;
/// A name, a device and three numbers; anything longer is not a ticket.
const TICKET_BYTES_MAX: usize = 512;
/// How far the clocks of nodes may differ.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// What a ticket proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Whom it speaks for.
    pub identity: Identity,
    /// Which login of this device it belongs to.
    pub login_epoch: u64,
    /// When it ends.
    pub expires_at: SystemTime,
}

/// Why a ticket proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Not issued by this cluster, or altered.
    #[error("ticket is not genuine")]
    NotGenuine,
    /// Issued too long ago.
    #[error("ticket has expired")]
    Expired,
}

impl TicketError {
    /// What the client is told.
    pub const fn code(self) -> Code {
        match self {
            Self::NotGenuine => Code::TICKET_INVALID,
            Self::Expired => Code::TICKET_EXPIRED,
        }
    }
}

/// Issues and verifies tickets.
#[derive(Clone)]
pub struct TicketKey([u8; 32]);

impl std::fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TicketKey([redacted])")
    }
}

impl TicketKey {
    /// Derives the key that all nodes of a cluster share.
    pub fn new(secret: &ClusterSecret) -> Self {
        Self(secret.derive("ticket"))
    }

    /// Signs a ticket.
    pub fn issue(&self, ticket: &Ticket) -> Bytes {
        let expires_at_s = ticket
            .expires_at
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let claims = wire::Ticket {
            user_id: ticket.identity.user.number(),
            user_name: ticket.identity.name.to_string(),
            device: ticket.identity.device.to_string(),
            login_epoch: ticket.login_epoch,
            expires_at_s,
        };
        let mut bytes = claims.encode_to_vec();
        let mac = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);
        bytes.into()
    }

    /// Returns what a genuine ticket proves at the time `now`.
    pub fn verify(&self, bytes: &[u8], now: SystemTime) -> Result<Ticket, TicketError> {
        if bytes.len() > TICKET_BYTES_MAX {
            return Err(TicketError::NotGenuine);
        }
        let (claims, mac) = bytes
            .len()
            .checked_sub(MAC_BYTES)
            .map(|split| bytes.split_at(split))
            .ok_or(TicketError::NotGenuine)?;
        self.mac(claims)
            .verify_slice(mac)
            .map_err(|_| TicketError::NotGenuine)?;
        let ticket = parse(claims).ok_or(TicketError::NotGenuine)?;
        if now > ticket.expires_at + CLOCK_SKEW {
            return Err(TicketError::Expired);
        }
        Ok(ticket)
    }

    fn mac(&self, claims: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key length");
        mac.update(claims);
        mac
    }
}

fn parse(claims: &[u8]) -> Option<Ticket> {
    let claims = wire::Ticket::decode(claims).ok()?;
    Some(Ticket {
        identity: Identity {
            user: UserId::new(claims.user_id).ok()?,
            name: UserName::new(&claims.user_name).ok()?,
            device: DeviceId::new(&claims.device).ok()?,
        },
        login_epoch: claims.login_epoch,
        expires_at: UNIX_EPOCH.checked_add(Duration::from_secs(claims.expires_at_s))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket {
            identity: Identity {
                user: UserId::new(42).unwrap(),
                name: UserName::new("alice").unwrap(),
                device: DeviceId::new("laptop").unwrap(),
            },
            login_epoch: 7,
            expires_at: UNIX_EPOCH + Duration::from_secs(1_000_000),
        }
    }

    #[test]
    fn a_genuine_ticket_proves_what_was_issued() {
        let key = TicketKey::new(&ClusterSecret::fresh());
        let bytes = key.issue(&ticket());
        assert_eq!(key.verify(&bytes, ticket().expires_at), Ok(ticket()));
    }

    #[test]
    fn every_altered_byte_is_noticed() {
        let key = TicketKey::new(&ClusterSecret::fresh());
        let genuine = key.issue(&ticket());
        for index in 0..genuine.len() {
            let mut altered = genuine.to_vec();
            altered[index] ^= 1;
            assert_eq!(
                key.verify(&altered, UNIX_EPOCH),
                Err(TicketError::NotGenuine),
                "byte {index}"
            );
        }
        for length in 0..genuine.len() {
            assert_eq!(
                key.verify(&genuine[..length], UNIX_EPOCH),
                Err(TicketError::NotGenuine)
            );
        }
    }

    #[test]
    fn tickets_of_another_cluster_and_old_ones_are_refused() {
        let key = TicketKey::new(&ClusterSecret::fresh());
        let foreign = TicketKey::new(&ClusterSecret::fresh()).issue(&ticket());
        assert_eq!(
            key.verify(&foreign, UNIX_EPOCH),
            Err(TicketError::NotGenuine)
        );
        let bytes = key.issue(&ticket());
        let in_skew = ticket().expires_at + CLOCK_SKEW;
        assert!(key.verify(&bytes, in_skew).is_ok());
        assert_eq!(
            key.verify(&bytes, in_skew + Duration::from_secs(1)),
            Err(TicketError::Expired)
        );
    }
}
