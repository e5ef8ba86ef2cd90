//! What every measure happens on: a standalone, a home, and `im` at a terminal.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use im_client::{Client, ClientBuilder};
use im_tests::deployment::Daemon;
use im_tests::ports;
use im_tests::tty::Tty;
use im_tests::user::PASSWORD;
use tempfile::TempDir;

/// The user before the terminal.
pub(crate) const USER: &str = "alice";

/// One run; everything ends with it.
pub(crate) struct Stage {
    _standalone: Daemon,
    route: String,
    binaries: PathBuf,
    folder: TempDir,
    shared: PathBuf,
}

impl Stage {
    /// Starts a cluster and registers the user. The folder `shared` is that of all runs of a measure.
    pub(crate) async fn set(binaries: &Path, shared: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let route = format!("127.0.0.1:{}", ports::free());
        let arguments = vec![
            "--headless".to_owned(),
            "--ephemeral".to_owned(),
            format!("--route-listen={route}"),
            "--server-listen=127.0.0.1:0".to_owned(),
        ];
        let binary = binaries.join("im-standalone");
        let name = "standalone".to_owned();
        let mut standalone = Daemon::new(binary, name, folder.path(), arguments);
        standalone.start().await?;
        let stage = Self {
            _standalone: standalone,
            route: format!("http://{route}"),
            binaries: binaries.to_owned(),
            folder,
            shared: shared.to_owned(),
        };
        im_client::register(&[&stage.route], USER, PASSWORD).await?;
        let password = stage.password_file();
        fs::write(&password, PASSWORD)?;
        fs::set_permissions(password, Permissions::from_mode(0o600))?;
        Ok(stage)
    }

    /// `im` at a terminal, as the user.
    pub(crate) fn im(&self) -> Tty {
        self.im_of(&self.route)
    }

    /// `im` at a terminal, on another cluster.
    pub(crate) fn im_of(&self, route: &str) -> Tty {
        Tty::start(
            Command::new(self.binaries.join("im"))
                .args(["--route", route, "--user", USER, "--password-file"])
                .arg(self.password_file())
                .env("HOME", self.folder.path())
                .env("XDG_STATE_HOME", self.folder.path().join("state"))
                .env("XDG_CONFIG_HOME", self.folder.path().join("config"))
                .env("LC_ALL", "C.UTF-8")
                .env_remove("IM_LOG"),
        )
    }

    /// Somebody else, ready to connect.
    pub(crate) async fn somebody(&self, name: &str) -> anyhow::Result<ClientBuilder> {
        im_client::register(&[&self.route], name, PASSWORD).await?;
        let builder = Client::builder().route(&self.route);
        Ok(builder.user(name).password(PASSWORD))
    }

    /// The path of a file that is gone with the run.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The path of a file that further runs find again: what takes long to make and is only read.
    pub(crate) fn shared_file(&self, name: &str) -> PathBuf {
        self.shared.join(name)
    }

    fn password_file(&self) -> PathBuf {
        self.file("password")
    }
}

/// Waits until `im` is connected and asks for a line.
pub(crate) async fn ready(im: &Tty) {
    im.shows("connected").await;
    im.until("a prompt", |screen| {
        screen.contents().trim_end().ends_with('>')
    })
    .await;
}
