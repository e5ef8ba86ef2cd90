//! What is kept on this machine of what was said.

use rust_i18n::t;

use super::{Finding, Verdict};
use crate::cli::archive::{Archive, Condition, look_at};
use crate::cli::args::Account;
use crate::cli::failure::Failure;
use crate::cli::{detached, redact};

const MIB: f64 = 1024.0 * 1024.0;

/// Looks at the archive of this account.
pub(in crate::cli) async fn check(account: &Account) -> Finding {
    let (verdict, detail) = match look(account).await {
        Ok(found) => found,
        Err(failure) => (Verdict::Fault, failure.to_string()),
    };
    Finding::new("history", verdict, redact::home(&detail))
}

async fn look(account: &Account) -> Result<(Verdict, String), Failure> {
    let user = account.user()?;
    let path = Archive::file_of(&user, &account.routes)?;
    let file = path.display().to_string();
    let condition = detached::run("history", move || Ok(look_at(&path))).await?;
    let (verdict, detail) = match condition {
        Condition::Missing => (Verdict::Well, t!("doctor.no_history", user = user)),
        Condition::Sound { messages, bytes } => {
            // Rounded up: the smallest is not nothing.
            let size = format!("{:.1}", (bytes as f64 / MIB * 10.0).ceil() / 10.0);
            let detail = t!("doctor.history", file = file, count = messages, size = size);
            (Verdict::Well, detail)
        }
        Condition::Damaged(why) => {
            let detail = t!("doctor.history_damaged", file = file, why = why);
            (Verdict::Fault, detail)
        }
        Condition::Newer => (Verdict::Fault, t!("doctor.history_newer", file = file)),
        Condition::Unusable(why) => {
            let detail = t!("doctor.history_unusable", file = file, why = why);
            (Verdict::Fault, detail)
        }
    };
    Ok((verdict, detail.into_owned()))
}
