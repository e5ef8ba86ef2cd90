//! From a fresh socket to an attached connection, under a deadline.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use im_common::frame::{PROTOCOL_VERSION, encode};
use im_common::id::ServerId;
use im_common::stream::FrameStream;
use im_common::wire::{ClientFrame, Hello, ServerFrame, Welcome, server_frame};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};

use super::{Closure, Connection};
use crate::heartbeat::Heartbeat;

/// Attaching takes a server one call to a route, or two when the first route has just died.
const WELCOME_WITHIN: Duration = Duration::from_secs(5);
/// Used when the server does not say how many submits may wait for their answer.
const IN_FLIGHT_MAX: usize = 16;

/// Why a server did not welcome this client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// The server says why.
    Closed(Closure),
    /// It could not be reached, or did not answer like a server.
    Lost(String),
}

/// Introduces this client to the server behind a fresh stream.
pub(crate) async fn open<S>(stream: S, hello: Hello) -> Result<Connection<S>, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = FrameStream::new(stream);
    let welcome = match timeout(WELCOME_WITHIN, greet(&mut stream, hello)).await {
        Ok(welcome) => welcome?,
        Err(_) => return Err(OpenError::Lost("no welcome in time".to_owned())),
    };
    let server = ServerId::new(&welcome.server_id).map_err(lost)?;
    Ok(Connection {
        stream,
        server,
        out: VecDeque::new(),
        heartbeat: Heartbeat::new(welcome.ping_after_ms),
        in_flight_max: match welcome.submits_in_flight_max {
            0 => IN_FLIGHT_MAX,
            count => usize::try_from(count).unwrap_or(usize::MAX),
        },
        next_ack_at: Instant::now(),
        nonce: 0,
    })
}

async fn greet<S>(stream: &mut FrameStream<S>, hello: Hello) -> Result<Welcome, OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let hello: Bytes = encode(&ClientFrame::from(hello));
    stream.write_all(&mut [hello].into()).await.map_err(lost)?;
    let Some(bytes) = stream.next().await.map_err(lost)? else {
        return Err(lost("the server closed the stream"));
    };
    match ServerFrame::decode(bytes).map_err(lost)?.frame {
        Some(server_frame::Frame::Welcome(welcome)) if welcome.version == PROTOCOL_VERSION => {
            Ok(welcome)
        }
        Some(server_frame::Frame::Close(close)) => Err(OpenError::Closed(close.into())),
        _ => Err(lost("the answer to the hello is no welcome")),
    }
}

fn lost(reason: impl Into<Box<dyn Error>>) -> OpenError {
    OpenError::Lost(reason.into().to_string())
}
