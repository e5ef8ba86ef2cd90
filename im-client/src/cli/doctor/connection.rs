//! The whole way to the cluster: log in, attach to a server, leave.

use rust_i18n::t;
use tokio::time::Instant;

use super::{Finding, Verdict};
use crate::cli::action::close;
use crate::cli::args::Account;
use crate::cli::failure::Failure;
use crate::cli::login::Login;

/// Connects as a device of its own, so that no other connection ends. Asks nobody for a password.
pub(in crate::cli) async fn check(account: &Account) -> Finding {
    match connect(account).await {
        Ok(Some(detail)) => Finding::new("connection", Verdict::Well, detail),
        Ok(None) => Finding::new("connection", Verdict::Note, t!("doctor.not_logged_in")),
        Err(failure) => Finding::new("connection", Verdict::Fault, failure.to_string()),
    }
}

async fn connect(account: &Account) -> Result<Option<String>, Failure> {
    let Some(login) = Login::without_asking(account, "doctor").await? else {
        return Ok(None);
    };
    let _turn = login.turn().await?;
    let begun = Instant::now();
    let connecting = login.builder().connect().await;
    let client = connecting.map_err(|error| login.explain(error))?;
    let took = begun.elapsed().as_millis();
    close(&client).await;
    let identity = client.identity();
    let detail = t!(
        "doctor.connection",
        user = identity.name,
        id = identity.user,
        took = took
    );
    Ok(Some(detail.into_owned()))
}
