//! Kept logins: the tokens that `im login` got, so that nothing asks for the password.
//!
//! All of them are in one file that only its user can read. A cluster has no name, so a login
//! counts for every list of routes that has a route in common with its own.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use im_common::id::DeviceId;
use im_common::name::{UserName, fold};
use rust_i18n::t;
use serde::{Deserialize, Serialize};

use super::state;
use crate::Token;

/// The file in the folder for state.
const FILE: &str = "logins.json";
/// Some thousand logins; a person has a few.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// One login of one device.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    routes: Vec<String>,
    user: String,
    device: String,
    token: String,
}

impl Kept {
    /// What is to be kept.
    pub(super) fn new(
        routes: &[String],
        user: &UserName,
        device: &DeviceId,
        token: &Token,
    ) -> Self {
        Self {
            routes: routes.to_vec(),
            user: user.to_string(),
            device: device.to_string(),
            token: token.as_str().to_owned(),
        }
    }

    /// The token of the login.
    pub(super) fn token(&self) -> Token {
        Token::new(self.token.as_str())
    }

    /// Whether it is of this user of this cluster.
    pub(super) fn is_of(&self, routes: &[String], user: &UserName) -> bool {
        let bare = |route: &str| route.trim_end_matches('/').to_lowercase();
        let is_known = |route: &String| self.routes.iter().any(|known| bare(known) == bare(route));
        fold(&self.user) == user.folded() && routes.iter().any(is_known)
    }

    /// Whether it is of this device.
    pub(super) fn is_on(&self, device: &DeviceId) -> bool {
        self.device == device.as_str()
    }

    fn is_same_login(&self, other: &Self) -> bool {
        self.token == other.token
    }
}

/// Where the logins are.
pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// All logins that are kept.
pub(super) fn all(folder: &Path) -> io::Result<Vec<Kept>> {
    let path = path(folder);
    let mut text = String::new();
    match File::open(&path) {
        Ok(file) => file.take(FILE_BYTES_MAX).read_to_string(&mut text)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    serde_json::from_str(&text).map_err(|_| {
        let damaged = t!("login.damaged", file = path.display());
        io::Error::new(io::ErrorKind::InvalidData, damaged)
    })
}

/// Keeps further logins, in place of earlier ones of the same devices.
pub(super) fn keep(folder: &Path, new: &[Kept]) -> io::Result<()> {
    change(folder, |kept| {
        let is_replaced = |old: &Kept| {
            new.iter().any(|new| {
                old.user == new.user && old.device == new.device && old.routes == new.routes
            })
        };
        kept.retain(|old| !is_replaced(old));
        // The newest first: it is the one that is found.
        kept.splice(0..0, new.iter().cloned());
    })
}

/// Forgets logins that are over.
pub(super) fn forget(folder: &Path, over: &[Kept]) -> io::Result<()> {
    change(folder, |kept| {
        kept.retain(|old| !over.iter().any(|over| over.is_same_login(old)));
    })
}

fn change(folder: &Path, change: impl FnOnce(&mut Vec<Kept>)) -> io::Result<()> {
    let _turn = state::lock(folder, "logins")?;
    let mut kept = all(folder)?;
    change(&mut kept);
    // Written aside and moved into place, so that nobody ever reads half of it.
    let aside = folder.join(format!("{FILE}.{}", std::process::id()));
    // What a killed process of the same number left would be read along.
    let _ = fs::remove_file(&aside);
    let mut file = state::create(&aside)?;
    file.write_all(&serde_json::to_vec_pretty(&kept)?)?;
    file.sync_all()?;
    fs::rename(&aside, path(folder))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn kept(routes: &[&str], user: &str, device: &str, token: &str) -> Kept {
        let routes: Vec<String> = routes.iter().copied().map(str::to_owned).collect();
        let user = UserName::new(user).unwrap();
        let device = DeviceId::new(device).unwrap();
        Kept::new(&routes, &user, &device, &Token::new(token))
    }

    fn tokens(folder: &Path) -> Vec<String> {
        let all = all(folder).unwrap().into_iter();
        all.map(|kept| kept.token).collect()
    }

    #[test]
    fn a_login_is_kept_for_its_user_only_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(all(folder).unwrap().is_empty());
        let first = kept(&["http://a"], "alice", "d", "1");
        let other = kept(&["http://a"], "bob", "d", "2");
        keep(folder, &[first, other]).unwrap();
        let mode = fs::metadata(path(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let newer = kept(&["http://a"], "alice", "d", "3");
        keep(folder, std::slice::from_ref(&newer)).unwrap();
        assert_eq!(tokens(folder), ["3", "2"]);
        forget(folder, &[newer]).unwrap();
        assert_eq!(tokens(folder), ["2"]);
    }

    #[test]
    fn a_login_counts_where_a_route_is_the_same() {
        let login = kept(&["http://a:1/", "http://b:1"], "alice", "d", "1");
        let alice = UserName::new("Alice").unwrap();
        for (route, is_same) in [
            ("http://A:1", true),
            ("http://b:1/", true),
            ("http://b:2", false),
        ] {
            assert_eq!(login.is_of(&[route.to_owned()], &alice), is_same, "{route}");
        }
        let bob = UserName::new("bob").unwrap();
        assert!(!login.is_of(&["http://a:1".to_owned()], &bob));
    }

    #[test]
    fn what_is_no_list_of_logins_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(path(folder.path()), "{").unwrap();
        assert!(keep(folder.path(), &[]).is_err());
        assert_eq!(fs::read(path(folder.path())).unwrap(), b"{");
    }
}
