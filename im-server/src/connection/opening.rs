//! From a proven identity to an attached connection.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use im_common::code::Code;
use im_common::frame::{PROTOCOL_VERSION, encode};
use im_common::message::Position;
use im_common::transport::Heads;
use im_common::wire;
use tokio::io::{AsyncRead, AsyncWrite};

use super::calls::LOOK_AGAIN;
use super::submits::{SUBMITS_IN_FLIGHT_MAX, Submits};
use super::{Calls, Connection, Context, Leaving};
use crate::closing::close;
use crate::connections::Attachment;
use crate::handshake::{Greeted, Hello};
use crate::heartbeat::Heartbeat;

/// As many heads of the largest size as fit one frame. Only a user of more conversations needs a
/// second one.
const HEADS_PER_FRAME: usize = 3400;

/// Attaches a device: first in the table, so that pushes that follow the route's answer find it
/// and wait in its queue, then at a route. Otherwise says why not, closes, and returns nothing.
pub(super) async fn open<S>(greeted: Greeted<S>, context: Arc<Context>) -> Option<Connection<S>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
{
    let Greeted { stream, hello } = greeted;
    match attach(hello, &context).await {
        Ok((leaving, heads)) => {
            let mut connection = Connection {
                stream,
                heartbeat: Heartbeat::new(context.ping_after, context.pong_within),
                leaving,
                submits: Submits::default(),
                syncs_waiting: VecDeque::new(),
                syncs_in_flight: 0,
                looking: false,
                look_again: LOOK_AGAIN,
                calls: Calls::default(),
                writing: VecDeque::new(),
            };
            let welcome = welcome(&connection.leaving);
            connection.writing.push_back(welcome);
            connection.tell(heads);
            Some(connection)
        }
        Err(code) => {
            tracing::debug!(code = code.name(), "attach refused");
            close(stream, VecDeque::new(), code).await;
            None
        }
    }
}

async fn attach(hello: Hello, context: &Arc<Context>) -> Result<(Leaving, Heads), Code> {
    let Hello {
        identity,
        epoch,
        positions,
    } = hello;
    let attachment = context.connections.attach(identity, epoch);
    let attachment = attachment.map_err(|_| Code::DISPLACED)?;
    agree(attachment, positions, context).await
}

/// Has a route agree to a device that is in the table, and makes it visible.
pub(crate) async fn agree(
    attachment: Attachment,
    positions: Vec<Position>,
    context: &Arc<Context>,
) -> Result<(Leaving, Heads), Code> {
    // Asked behind the entry in the table: whoever drains sees the entry or is seen here.
    if context.connections.is_draining() {
        return Err(Code::GOING_AWAY);
    }
    let leaving = Leaving {
        attachment,
        context: Arc::clone(context),
    };
    let session = &leaving.attachment.session;
    let heads = tokio::select! {
        biased;
        code = leaving.attachment.outbound.closed() => return Err(code),
        heads = context.uplink.attach(session, positions) => heads.map_err(|refusal| refusal.code)?,
    };
    leaving.attachment.confirm();
    Ok((leaving, heads))
}

fn welcome(leaving: &Leaving) -> Bytes {
    let Leaving {
        attachment,
        context,
    } = leaving;
    let welcome = wire::Welcome {
        version: PROTOCOL_VERSION,
        user_id: attachment.session.user.number(),
        user_name: attachment.name.to_string(),
        server_id: attachment.session.server.to_string(),
        connection_id: attachment.session.connection.0,
        ping_after_ms: client_pings_after_ms(context.ping_after),
        submits_in_flight_max: SUBMITS_IN_FLIGHT_MAX as u32,
    };
    encode(&wire::ServerFrame::from(welcome))
}

/// Clients ping a little sooner than the server would, so that one ping serves both.
fn client_pings_after_ms(server_pings_after: Duration) -> u32 {
    u32::try_from(server_pings_after.as_millis() * 4 / 5).unwrap_or(u32::MAX)
}

/// Renders heads in frames that fit. Without heads it is one empty frame: the client waits for it,
/// to know that there is nothing to look at. More is to follow as long as they are not whole.
pub(super) fn heads_frames(Heads { heads, is_whole }: Heads) -> Vec<Bytes> {
    let heads: Vec<_> = heads.into_iter().map(wire::Head::from).collect();
    let count = heads.len().div_ceil(HEADS_PER_FRAME);
    let frame = |(index, heads): (usize, &[wire::Head])| {
        let more = index + 1 < count || !is_whole;
        let heads = heads.to_vec();
        encode(&wire::ServerFrame::from(wire::Heads { heads, more }))
    };
    if heads.is_empty() {
        return vec![frame((0, &[]))];
    }
    let chunks = heads.chunks(HEADS_PER_FRAME);
    chunks.enumerate().map(frame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use im_common::frame::FRAME_BYTES_MAX;
    use im_common::id::{ConversationId, LogEpoch, Sequence, UserId};
    use im_common::message::{Head, Position};

    #[test]
    fn even_the_largest_heads_fit_their_frame() {
        let user = |below: u64| UserId::new((1 << 53) - below).unwrap();
        let head = Head {
            newest: Position {
                conversation: ConversationId::private(user(1), user(2)),
                epoch: LogEpoch((1 << 53) - 1),
                sequence: Sequence(u64::MAX),
            },
            handled: Sequence(u64::MAX),
        };
        let whole = |heads| Heads {
            heads,
            is_whole: true,
        };
        let frames = heads_frames(whole(vec![head; HEADS_PER_FRAME + 1]));
        assert_eq!(frames.len(), 2);
        assert!(frames[0].len() <= FRAME_BYTES_MAX);
        assert_eq!(heads_frames(whole(Vec::new())).len(), 1);
    }
}
