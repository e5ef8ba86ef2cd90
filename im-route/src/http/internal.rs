//! The internal API: [`Uplink`] for servers in other processes. Protobuf bodies; see
//! `proto/im/v1/node.proto`.

use axum::body::Bytes;
use axum::extract::State;
use im_common::code::Code;
use im_common::id::{ConversationId, DeviceId, LogEpoch, Sequence, UserId};
use im_common::message::{Identity, Receipt, Submission};
use im_common::transport::{DeviceAck, Heads, Refusal, SyncRequest, Uplink};
use im_common::wire::{self, Malformed, attach_response, login_response, outcome};
use prost::Message;

use super::App;
use super::error::ApiError;

type Answer = Result<Vec<u8>, ApiError>;

fn decode<M: Message + Default>(body: Bytes) -> Result<M, ApiError> {
    M::decode(body).map_err(|error| ApiError::new(Code::MALFORMED, error.to_string()))
}

fn required<T>(field: Option<T>, name: &'static str) -> Result<T, Malformed> {
    field.ok_or(Malformed::Missing(name))
}

pub(super) async fn submit(State(app): State<App>, body: Bytes) -> Answer {
    let request: wire::SubmitRequest = decode(body)?;
    let offers = request
        .offers
        .into_iter()
        .map(offer)
        .collect::<Result<Vec<_>, Malformed>>()?;
    let ids: Vec<_> = offers.iter().map(|(_, submission)| submission.id).collect();
    let outcomes = app.uplink.submit(offers).await;
    let outcomes = ids
        .into_iter()
        .zip(outcomes)
        .map(|(id, result)| wire::Outcome {
            outcome: Some(outcome(id.as_bytes(), result)),
        });
    Ok(wire::SubmitResponse {
        outcomes: outcomes.collect(),
    }
    .encode_to_vec())
}

fn offer(offer: wire::Offer) -> Result<(Identity, Submission), Malformed> {
    let sender = required(offer.sender, "sender")?.try_into()?;
    let submission = required(offer.submit, "submit")?.try_into()?;
    Ok((sender, submission))
}

fn outcome(id: &[u8], result: Result<Receipt, Refusal>) -> outcome::Outcome {
    match result {
        Ok(receipt) => outcome::Outcome::Accepted(receipt.into()),
        Err(refusal) => outcome::Outcome::Refused(wire::Refused {
            id: Bytes::copy_from_slice(id),
            code: refusal.code.0.into(),
            reason: refusal.reason,
            ..wire::Refused::default()
        }),
    }
}

pub(super) async fn login(State(app): State<App>, body: Bytes) -> Answer {
    let request: wire::LoginRequest = decode(body)?;
    let (user, device) = (
        UserId::new(request.user_id)?,
        DeviceId::new(&request.device)?,
    );
    let outcome = match app.uplink.login(user, &device).await {
        Ok(login) => login_response::Outcome::Login(wire::OpenLogin {
            identity: Some(login.identity.into()),
            epoch: login.epoch,
        }),
        Err(refusal) => login_response::Outcome::Refused(refusal.code.0.into()),
    };
    Ok(wire::LoginResponse {
        outcome: Some(outcome),
    }
    .encode_to_vec())
}

pub(super) async fn attach(State(app): State<App>, body: Bytes) -> Answer {
    let request: wire::AttachRequest = decode(body)?;
    let session = required(request.session, "session").map(TryInto::try_into)??;
    let positions = wire::Position::list(request.positions)?;
    let outcome = match app.uplink.attach(&session, positions).await {
        Ok(heads) => attach_response::Outcome::Attached(to_wire(heads)),
        Err(refusal) => attach_response::Outcome::Refused(refusal.code.0.into()),
    };
    Ok(wire::AttachResponse {
        outcome: Some(outcome),
    }
    .encode_to_vec())
}

fn to_wire(Heads { heads, is_whole }: Heads) -> wire::Heads {
    wire::Heads {
        more: !is_whole,
        ..heads.into()
    }
}

pub(super) async fn detach(State(app): State<App>, body: Bytes) -> Answer {
    let request: wire::DetachRequest = decode(body)?;
    let session = required(request.session, "session").map(TryInto::try_into)??;
    app.uplink.detach(&session).await?;
    Ok(wire::DetachResponse {}.encode_to_vec())
}

pub(super) async fn renew(State(app): State<App>, body: Bytes) -> Answer {
    let request: wire::RenewRequest = decode(body)?;
    let sessions = request
        .sessions
        .into_iter()
        .map(TryInto::try_into)
        .collect::<Result<_, Malformed>>()?;
    let renewal = app.uplink.renew(sessions).await?;
    let response = wire::RenewResponse {
        restored: renewal
            .restored
            .into_iter()
            .map(|connection| connection.0)
            .collect(),
        superseded: renewal
            .superseded
            .into_iter()
            .map(|connection| connection.0)
            .collect(),
    };
    Ok(response.encode_to_vec())
}

pub(super) async fn heads(State(app): State<App>, body: Bytes) -> Answer {
    let request: wire::HeadsRequest = decode(body)?;
    let (user, device) = (
        UserId::new(request.user_id)?,
        DeviceId::new(&request.device)?,
    );
    let positions = wire::Position::list(request.positions)?;
    let heads = app.uplink.heads(user, &device, positions).await?;
    Ok(wire::HeadsResponse {
        heads: Some(to_wire(heads)),
    }
    .encode_to_vec())
}

pub(super) async fn ack(State(app): State<App>, body: Bytes) -> Answer {
    let request: wire::AckRequest = decode(body)?;
    let acks = request
        .acks
        .into_iter()
        .map(device_ack)
        .collect::<Result<_, Malformed>>()?;
    app.uplink.ack(acks).await?;
    Ok(wire::AckResponse {}.encode_to_vec())
}

fn device_ack(ack: wire::DeviceAck) -> Result<DeviceAck, Malformed> {
    Ok(DeviceAck {
        user: UserId::new(ack.user_id)?,
        device: DeviceId::new(&ack.device)?,
        positions: wire::Position::list(ack.positions)?,
    })
}

pub(super) async fn sync(State(app): State<App>, body: Bytes) -> Answer {
    let request: wire::SyncRequest = decode(body)?;
    let user = UserId::new(request.user_id)?;
    let wire::Sync {
        conversation,
        epoch,
        after,
    } = required(request.sync, "sync")?;
    let request = SyncRequest {
        conversation: conversation.parse::<ConversationId>()?,
        epoch: LogEpoch(epoch),
        after: Sequence(after),
    };
    let page = match app.uplink.sync(user, request).await {
        Ok(page) => page.into(),
        Err(refusal) => wire::Page::refused(conversation, refusal.code),
    };
    Ok(wire::SyncResponse { page: Some(page) }.encode_to_vec())
}
