//! Messages of CIM: to everybody, or to one user.

use axum::extract::State;
use im_common::cim::device;
use im_common::id::{MessageId, UserId};
use im_common::message::{Identity, Recipient, Submission, TEXT_BYTES_MAX};

use super::envelope::{Answer, Failure, Success};
use super::request::{Asked, Body};
use crate::http::App;

/// Texts in one request. More would keep others waiting for the store.
const BATCH_TEXTS_MAX: usize = 1000;

/// Says something in the lobby.
pub(super) async fn to_group(State(app): State<App>, Body(asked): Body<Asked>) -> Answer {
    let sender = asked.user()?;
    let texts = vec![asked.text()?];
    submit(&app, sender, &Recipient::Lobby, texts).await?;
    Ok(Success(None))
}

/// Says something to one user. It is stored in any case, before the sender is told whether the
/// receiver is there.
pub(super) async fn to_user(State(app): State<App>, Body(asked): Body<Asked>) -> Answer {
    let (sender, receiver) = (asked.user()?, asked.receiver()?);
    submit(&app, sender, &receiver.into(), asked.texts()?).await?;
    // What is stored must not look as if it were not, when the sessions cannot be looked at.
    let slots = &app.uplink.attachments.slots;
    if slots.is_attached(receiver).await.unwrap_or(false) {
        Ok(Success(None))
    } else {
        Err(Failure::Offline)
    }
}

/// What waits for a user is on its way since the user connected, so there is nothing to do.
pub(super) async fn fetch_missed(Body(_): Body<Asked>) -> Answer {
    Ok(Success(None))
}

/// Stores all texts in their order, or none: what cannot be stored is found before.
async fn submit(
    app: &App,
    sender: UserId,
    to: &Recipient,
    texts: Vec<String>,
) -> Result<(), Failure> {
    check(&texts)?;
    let account = app.accounts.open_account(sender).await?;
    let identity = Identity {
        user: sender,
        name: account.name,
        device: device(),
    };
    let offer = |text| {
        let (id, to) = (MessageId::fresh(), to.clone());
        (identity.clone(), Submission { id, to, text })
    };
    let offers = texts.into_iter().map(offer).collect();
    let outcomes = app.uplink.delivery.submit(offers).await;
    for outcome in outcomes {
        outcome?;
    }
    Ok(())
}

fn check(texts: &[String]) -> Result<(), Failure> {
    if texts.len() > BATCH_TEXTS_MAX {
        return Err(Failure::Invalid("batchMsg has more than 1000 elements"));
    }
    if texts.iter().any(String::is_empty) {
        return Err(Failure::Invalid("a message needs a text"));
    }
    if texts.iter().any(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(Failure::Invalid("a text is longer than 64 KiB"));
    }
    Ok(())
}
