//! Passwords: Argon2id, a few at a time, off the async threads.

mod hasher;
mod workers;

use std::num::NonZeroUsize;
use std::sync::Arc;

use im_common::code::Code;
use im_common::secret::Secret;
use im_common::transport::Refusal;

use self::hasher::Hasher;
use self::workers::{Overloaded, Workers};

/// Fewer characters are guessed too soon (NIST SP 800-63B, 5.1.1).
const PASSWORD_CHARS_MIN: usize = 8;
/// Bounds the work of hashing; a passphrase is shorter.
const PASSWORD_CHARS_MAX: usize = 128;

/// Hashes and checks passwords, at most a fixed number at the same time; the others wait their
/// turn.
#[derive(Clone)]
pub(crate) struct Passwords {
    workers: Workers,
    /// Checked against when there is no such user, so that the answer takes as long.
    nobody: Arc<str>,
}

impl Passwords {
    /// Allows this many at the same time.
    pub(crate) fn new(at_once: NonZeroUsize) -> std::io::Result<Self> {
        let nobody = Hasher::default().hash(b"nobody has this password");
        let nobody = nobody.expect("a constant can be hashed");
        Ok(Self {
            workers: Workers::start(at_once)?,
            nobody: nobody.into(),
        })
    }

    /// Hashes a new password into PHC string format, if it is a good one.
    pub(crate) async fn hash(&self, password: Secret<String>) -> Result<Secret<String>, Refusal> {
        let length = password.0.chars().count();
        if !(PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&length) {
            let reason =
                format!("a password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters");
            return Err(Refusal::new(Code::PASSWORD_INVALID, reason));
        }
        self.workers
            .run(move |hasher| hasher.hash(password.0.as_bytes()).map(Secret))
            .await?
            .ok_or_else(internal)
    }

    /// Whether the password belongs to the hash. Without a hash: no, after the same time.
    pub(crate) async fn verify(
        &self,
        password: Secret<String>,
        stored: Option<Secret<String>>,
    ) -> Result<bool, Refusal> {
        let known = stored.is_some();
        let stored = stored.map_or_else(|| Arc::clone(&self.nobody), |hash| hash.0.into());
        if password.0.chars().count() > PASSWORD_CHARS_MAX {
            return Ok(false);
        }
        let matches = self
            .workers
            .run(move |hasher| hasher.verify(password.0.as_bytes(), &stored))
            .await?;
        Ok(matches && known)
    }
}

impl From<Overloaded> for Refusal {
    fn from(Overloaded: Overloaded) -> Self {
        Self::new(
            Code::OVERLOADED,
            "too many logins at once; try again in a moment",
        )
    }
}

fn internal() -> Refusal {
    Code::INTERNAL.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_matches() {
        let passwords = Passwords::new(NonZeroUsize::new(1).unwrap()).unwrap();
        let stored = passwords.hash(secret("correct horse")).await.unwrap();
        assert!(stored.0.starts_with("$argon2id$"));
        let verify = |password, stored| passwords.verify(secret(password), stored);
        assert!(verify("correct horse", Some(stored.clone())).await.unwrap());
        assert!(!verify("wrong horse", Some(stored)).await.unwrap());
        assert!(!verify("nobody has this password", None).await.unwrap());
        assert!(!verify("x", Some(secret("not a hash"))).await.unwrap());
    }

    #[tokio::test]
    async fn too_short_and_too_long_passwords_are_refused() {
        let passwords = Passwords::new(NonZeroUsize::new(1).unwrap()).unwrap();
        for password in ["", "seven77", &"x".repeat(129)] {
            let refusal = passwords.hash(secret(password)).await.unwrap_err();
            assert_eq!(refusal.code, Code::PASSWORD_INVALID);
        }
    }
}
