//! The configuration file, the folder for state and what is in it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rust_i18n::t;

use super::{Finding, Verdict};
use crate::cli::args::Account;
use crate::cli::failure::Failure;
use crate::cli::{kept, redact, settings, state};

/// Looks at the configuration file; `broken` says why it cannot be used.
pub(in crate::cli) fn configuration(account: &Account, broken: Option<&Failure>) -> Finding {
    let finding =
        |verdict, detail: &str| Finding::new("configuration", verdict, redact::home(detail));
    if let Some(failure) = broken {
        return finding(Verdict::Fault, &failure.to_string());
    }
    let path = settings::path().filter(|path| path.exists());
    let Some(path) = path else {
        return finding(Verdict::Well, &t!("doctor.no_configuration"));
    };
    let file = path.display();
    let detail = match &account.profile {
        Some(name) => t!("doctor.profile", file = file, name = name),
        None => t!("doctor.file", file = file),
    };
    // Whoever writes to it can have commands run.
    match is_open(&path, 0o022) {
        true => finding(Verdict::Fault, &t!("doctor.writable", file = file)),
        false => finding(Verdict::Well, &detail),
    }
}

/// Looks at the folder for state and at the kept logins.
pub(in crate::cli) fn state() -> Vec<Finding> {
    let folder = match state::state_dir() {
        Ok(folder) => folder,
        Err(error) => {
            let detail = t!("doctor.no_state", why = error);
            return vec![Finding::new("state", Verdict::Fault, redact::home(&detail))];
        }
    };
    vec![place(&folder), logins(&folder)]
}

fn place(folder: &Path) -> Finding {
    let finding = |verdict, detail: &str| Finding::new("state", verdict, redact::home(detail));
    let shown = folder.display();
    // A file that is needed anyway: nothing is left behind.
    if let Err(error) = state::lock(folder, "doctor") {
        return finding(
            Verdict::Fault,
            &t!("doctor.not_writable", file = shown, why = error),
        );
    }
    match is_open(folder, 0o077) {
        true => finding(Verdict::Note, &t!("doctor.open_folder", file = shown)),
        false => finding(Verdict::Well, &shown.to_string()),
    }
}

fn logins(folder: &Path) -> Finding {
    let finding = |verdict, detail: &str| Finding::new("logins", verdict, redact::home(detail));
    let path = kept::path(folder);
    match kept::all(folder) {
        Err(error) => finding(Verdict::Fault, &error.to_string()),
        Ok(logins) if logins.is_empty() => finding(Verdict::Well, &t!("doctor.no_logins")),
        Ok(_) if is_open(&path, 0o077) => {
            let file = path.display();
            finding(Verdict::Fault, &t!("doctor.open_file", file = file))
        }
        Ok(logins) => finding(Verdict::Well, &t!("doctor.logins", count = logins.len())),
    }
}

/// Whether others have one of these permissions.
fn is_open(path: &Path, permissions: u32) -> bool {
    let mode = |metadata: fs::Metadata| metadata.permissions().mode();
    let mode: io::Result<u32> = fs::metadata(path).map(mode);
    mode.is_ok_and(|mode| mode & permissions != 0)
}
