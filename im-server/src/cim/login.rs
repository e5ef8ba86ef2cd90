//! From an unknown socket to an attached device, under a deadline.
//!
//! A CIM client says who it is and proves nothing. It is believed when the route knows of a login
//! that nobody has attached with yet.

use std::sync::Arc;

use im_common::cim;
use im_common::code::Code;
use im_common::id::{SessionEpoch, UserId};
use im_common::name::UserName;
use im_common::stream::FrameStream;
use im_common::transport::Heads;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::frame::{Frame, LOGIN};
use crate::connection::{Context, Leaving, agree};

/// Clients do not number their attempts: each login is good for one connection at a time.
const ATTEMPT: u32 = 1;

/// Whom a client claims to be.
struct Claim {
    user: UserId,
    name: UserName,
}

/// Waits for a login, and attaches the device if the route knows of it.
pub(super) async fn log_in<S>(
    stream: &mut FrameStream<S>,
    context: &Arc<Context>,
) -> Option<(Leaving, Heads)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let claim = tokio::select! {
        biased;
        () = context.gate.closing.cancelled() => return None,
        claim = timeout(context.gate.within, claim(stream)) => claim.ok().flatten()?,
    };
    let user = claim.user;
    match attach(claim, context).await {
        Ok(attached) => Some(attached),
        Err(code) => {
            tracing::debug!(user.id = user.number(), code = code.name(), "login refused");
            None
        }
    }
}

/// Reads up to the first login; nothing else means anything before it.
async fn claim<S>(stream: &mut FrameStream<S>) -> Option<Claim>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let bytes = stream.next().await.ok().flatten()?;
        let Ok(frame) = Frame::decode(bytes) else {
            continue;
        };
        if frame.command == LOGIN {
            return Some(Claim {
                user: UserId::new(u64::try_from(frame.user).ok()?).ok()?,
                name: UserName::new(&frame.text).ok()?,
            });
        }
    }
}

async fn attach(claim: Claim, context: &Arc<Context>) -> Result<(Leaving, Heads), Code> {
    let device = cim::device();
    let login = context.uplink.login(claim.user, &device).await;
    let login = login.map_err(|refusal| refusal.code)?;
    if login.identity.name != claim.name {
        return Err(Code::LOGGED_OUT);
    }
    let epoch = SessionEpoch {
        login: login.epoch,
        attempt: ATTEMPT,
    };
    let attachment = context.connections.attach_first(login.identity, epoch);
    let attachment = attachment.map_err(|_| Code::DISPLACED)?;
    let acked = context.acks.pending(claim.user, &device);
    agree(attachment, acked, context).await
}
