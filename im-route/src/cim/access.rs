//! Who may ask at all. CIM itself has no such thing; an operator can require a network or a secret.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use im_common::network::Network;
use im_common::secret::Secret;
use subtle::ConstantTimeEq as _;

use super::CimConfig;

/// Lets requests through that come from where they may and bear what they must.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    networks: Arc<[Network]>,
    /// The value of the header.
    secret: Option<Secret<Arc<str>>>,
}

impl Gate {
    /// Reads the secret.
    pub(crate) fn new(config: &CimConfig) -> anyhow::Result<Self> {
        let secret = config.secret_file.as_ref().map(|path| {
            let text = fs::read_to_string(path);
            let text = text.with_context(|| format!("cannot read {}", path.display()))?;
            let secret = text.trim();
            ensure!(!secret.is_empty(), "{} is empty", path.display());
            Ok(Secret(format!("Bearer {secret}").into()))
        });
        Ok(Self {
            networks: config.allow.networks.clone().into(),
            secret: secret.transpose()?,
        })
    }

    fn check(
        &self,
        peer: Option<SocketAddr>,
        header: Option<&HeaderValue>,
    ) -> Result<(), StatusCode> {
        let is_near = match peer {
            Some(peer) => Network::admit(&self.networks, peer.ip()),
            None => self.networks.is_empty(),
        };
        if !is_near {
            return Err(StatusCode::FORBIDDEN);
        }
        let knows_secret = match (&self.secret, header) {
            (None, _) => true,
            (Some(Secret(secret)), Some(header)) => {
                bool::from(secret.as_bytes().ct_eq(header.as_bytes()))
            }
            (Some(_), None) => false,
        };
        knows_secret.then_some(()).ok_or(StatusCode::UNAUTHORIZED)
    }
}

pub(super) async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| *peer);
    match gate.check(peer, request.headers().get(AUTHORIZATION)) {
        Ok(()) => next.run(request).await,
        Err(status) => {
            tracing::debug!(?peer, %status, "request of CIM refused");
            status.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use im_common::cim::Allowed;

    fn check(gate: &Gate, peer: &str, header: Option<&str>) -> Result<(), u16> {
        let header = header.map(|header| HeaderValue::from_str(header).unwrap());
        let checked = gate.check(Some(peer.parse().unwrap()), header.as_ref());
        checked.map_err(|status| status.as_u16())
    }

    #[test]
    fn without_conditions_everybody_may() {
        let gate = Gate::new(&CimConfig::default()).unwrap();
        assert_eq!(check(&gate, "192.0.2.1:5", None), Ok(()));
        assert_eq!(gate.check(None, None), Ok(()));
    }

    #[test]
    fn who_is_not_near_or_does_not_know_the_secret_may_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "open sesame\n").unwrap();
        let gate = Gate::new(&CimConfig {
            allow: Allowed {
                networks: vec!["10.0.0.0/8".parse().unwrap()],
            },
            secret_file: Some(file.clone()),
            ..CimConfig::default()
        });
        let gate = gate.unwrap();
        let right = Some("Bearer open sesame");
        assert_eq!(check(&gate, "10.1.2.3:5", right), Ok(()));
        assert_eq!(check(&gate, "[::ffff:10.1.2.3]:5", right), Ok(()));
        assert_eq!(check(&gate, "11.1.2.3:5", right), Err(403));
        assert_eq!(check(&gate, "10.1.2.3:5", Some("Bearer shut")), Err(401));
        assert_eq!(check(&gate, "10.1.2.3:5", None), Err(401));
        assert_eq!(gate.check(None, None), Err(StatusCode::FORBIDDEN));
        assert!(!format!("{gate:?}").contains("sesame"));
        fs::write(&file, " \n").unwrap();
        let empty = CimConfig {
            secret_file: Some(file),
            ..CimConfig::default()
        };
        assert!(Gate::new(&empty).is_err());
    }
}
