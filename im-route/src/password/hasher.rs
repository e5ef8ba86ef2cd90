//! Argon2id with memory of its own: 19 MiB that are filled anew for each password, not asked of the
//! system and given back each time.

use argon2::password_hash::generate_salt;
use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;

/// Hashes one password at a time, with the crate's defaults, which are OWASP's minimum: 19 MiB, two
/// passes, one lane.
#[derive(Default)]
pub(super) struct Hasher {
    memory: Vec<Block>,
}

impl Hasher {
    /// Hashes a new password into PHC string format.
    pub(super) fn hash(&mut self, password: &[u8]) -> Option<String> {
        let (salt, params) = (generate_salt(), Params::default());
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        self.fill(password, &salt, &params, &mut output)?;
        let hash = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).ok()?,
            salt: Some(Salt::new(&salt).ok()?),
            hash: Some(Output::new(&output).ok()?),
        };
        Some(hash.to_string())
    }

    /// Whether a password belongs to a stored hash, which names its own parameters. Compares in
    /// constant time; a hash that is not ours belongs to nobody.
    pub(super) fn verify(&mut self, password: &[u8], stored: &str) -> bool {
        self.matches(password, stored).unwrap_or(false)
    }

    fn matches(&mut self, password: &[u8], stored: &str) -> Option<bool> {
        let stored = PasswordHash::new(stored).ok()?;
        let ours = (Algorithm::Argon2id.ident(), Some(Version::V0x13.into()));
        if (stored.algorithm, stored.version) != ours {
            return None;
        }
        let (salt, expected) = (stored.salt?, stored.hash?);
        let params = Params::try_from(&stored).ok()?;
        let mut output = vec![0; expected.as_bytes().len()];
        self.fill(password, salt.as_ref(), &params, &mut output)?;
        Some(output.ct_eq(expected.as_bytes()).into())
    }

    fn fill(
        &mut self,
        password: &[u8],
        salt: &[u8],
        params: &Params,
        out: &mut [u8],
    ) -> Option<()> {
        self.memory.resize(params.block_count(), Block::default());
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
            .hash_password_into_with_memory(password, salt, out, &mut self.memory)
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::password_hash::{PasswordHasher, PasswordVerifier};

    #[test]
    fn hashes_are_those_of_the_standard_format() {
        let mut hasher = Hasher::default();
        let ours = hasher.hash(b"correct horse").unwrap();
        let parsed = PasswordHash::new(&ours).unwrap();
        assert!(
            Argon2::default()
                .verify_password(b"correct horse", &parsed)
                .is_ok()
        );
        let theirs: PasswordHash = Argon2::default().hash_password(b"correct horse").unwrap();
        assert!(hasher.verify(b"correct horse", &theirs.to_string()));
        assert!(!hasher.verify(b"wrong horse", &theirs.to_string()));
        assert!(!hasher.verify(
            b"correct horse",
            "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"
        ));
        assert!(!hasher.verify(b"correct horse", "not a hash"));
        assert_ne!(
            ours,
            hasher.hash(b"correct horse").unwrap(),
            "every hash has a salt of its own"
        );
    }
}
