//! The cluster's shared secret and the keys derived from it.

use std::fmt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Shorter secrets can be guessed.
const SECRET_BYTES_MIN: usize = 32;

/// A value that must never be printed or logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(pub T);

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// What the nodes of one cluster share. Everything signed or authenticated derives from it.
#[derive(Clone, Debug)]
pub struct ClusterSecret(Secret<Vec<u8>>);

/// Why a cluster secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the cluster secret from {path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What went wrong.
        source: std::io::Error,
    },
    /// Neither a file nor the variable.
    #[error(
        "the nodes of a cluster share a secret: make one with `openssl rand -hex 32 > secret`, then give every node --secret-file secret"
    )]
    Missing,
    /// Too short to be safe.
    #[error(
        "the cluster secret has fewer than {SECRET_BYTES_MIN} bytes; make one with `openssl rand -hex 32`"
    )]
    TooShort,
}

impl ClusterSecret {
    /// Takes a secret as it stands, without surrounding white space.
    pub fn new(secret: &str) -> Result<Self, SecretError> {
        let secret = secret.trim().as_bytes();
        if secret.len() < SECRET_BYTES_MIN {
            return Err(SecretError::TooShort);
        }
        Ok(Self(Secret(secret.to_vec())))
    }

    /// Reads a secret from a file.
    pub fn from_file(path: &Path) -> Result<Self, SecretError> {
        let text = std::fs::read_to_string(path).map_err(|source| SecretError::Unreadable {
            path: path.display().to_string(),
            source,
        })?;
        Self::new(&text)
    }

    /// Draws a secret for nodes that live in one process.
    pub fn fresh() -> Self {
        let mut secret = vec![0; SECRET_BYTES_MIN];
        getrandom::fill(&mut secret).expect("the operating system provides randomness");
        Self(Secret(secret))
    }

    /// What a node sends in `authorization` to another node.
    pub fn node_credential(&self) -> NodeCredential {
        let key = self.derive("node to node");
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        NodeCredential(Secret(format!("Bearer {hex}")))
    }

    /// The key for one purpose; keys of different purposes tell nothing of each other.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0.0).expect("HMAC takes any key length");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// Where the cluster's secret comes from. Never the command line, which every user of the machine
/// can read.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Secret")]
pub struct SecretConfig {
    /// File with the secret that all nodes share; `openssl rand -hex 32` makes one. Without the
    /// file the variable IM_SECRET holds the secret itself.
    #[arg(long, env = "IM_SECRET_FILE", value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

impl SecretConfig {
    /// Reads the secret from the file, else from the variable.
    pub fn load(&self) -> Result<ClusterSecret, SecretError> {
        match (&self.secret_file, std::env::var("IM_SECRET")) {
            (Some(path), _) => ClusterSecret::from_file(path),
            (None, Ok(secret)) => ClusterSecret::new(&secret),
            (None, Err(_)) => Err(SecretError::Missing),
        }
    }
}

/// Proof that a request comes from a node of the same cluster: the value of its `authorization`
/// header.
#[derive(Clone, Debug)]
pub struct NodeCredential(Secret<String>);

impl NodeCredential {
    /// The header's value.
    pub fn header(&self) -> &str {
        &self.0.0
    }

    /// Compares in constant time.
    pub fn matches(&self, header: &str) -> bool {
        self.0.0.as_bytes().ct_eq(header.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_never_shown() {
        assert!(matches!(
            ClusterSecret::new("  short  "),
            Err(SecretError::TooShort)
        ));
        let secret = ClusterSecret::new(&"s".repeat(32)).unwrap();
        assert!(!format!("{secret:?}").contains("sss"));
        assert!(
            secret
                .node_credential()
                .matches(secret.node_credential().header())
        );
        assert!(
            !secret
                .node_credential()
                .matches(ClusterSecret::fresh().node_credential().header())
        );
    }
}
