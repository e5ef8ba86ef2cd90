//! Writes to a client for as long as it takes anything in time.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use im_common::code::Code;
use im_common::stream::FrameStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use crate::outbound::Outbound;

/// Why not everything was written. What is left stays in the queue, its first frame perhaps cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// The client has hung up, or the network has.
    Gone,
    /// The connection was ordered to close, or the client takes nothing.
    Close(Code),
}

/// Writes all frames, unless the connection is ordered to close or takes nothing `within` a time.
pub(crate) async fn write<S>(
    stream: &mut FrameStream<S>,
    frames: &mut VecDeque<Bytes>,
    outbound: &Outbound,
    within: Duration,
) -> Result<(), Unwritten>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while !frames.is_empty() {
        let before = bytes_in(frames);
        let outcome = tokio::select! {
            biased;
            code = outbound.closed() => return Err(Unwritten::Close(code)),
            outcome = timeout(within, stream.write_all(frames)) => outcome,
        };
        match outcome {
            Ok(written) => written.map_err(|_| Unwritten::Gone)?,
            Err(_) if bytes_in(frames) < before => {}
            Err(_) => return Err(Unwritten::Close(Code::SLOW_READER)),
        }
    }
    *frames = VecDeque::new();
    Ok(())
}

fn bytes_in(frames: &VecDeque<Bytes>) -> usize {
    frames.iter().map(Bytes::len).sum()
}
