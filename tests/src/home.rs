//! The home folder of whoever uses `im`: what it keeps is there, and a password that only its user
//! may read.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::TempDir;

use crate::user::PASSWORD;

/// A home folder, which goes when this is dropped.
pub struct Home {
    folder: TempDir,
    path: String,
}

impl Home {
    /// A home with nothing in it but the password of every test user.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().display().to_string();
        let home = Self { folder, path };
        let password = home.password_file();
        fs::write(&password, format!("{PASSWORD}\n")).expect("written");
        let own = Permissions::from_mode(0o600);
        fs::set_permissions(password, own).expect("the file is ours");
        home
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// The path of the file with the password.
    pub fn password_file(&self) -> String {
        self.file("password")
    }

    /// What a program needs in its environment to keep everything here.
    pub fn variables(&self) -> [(&'static str, &str); 3] {
        ["HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"].map(|name| (name, self.path.as_str()))
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}
