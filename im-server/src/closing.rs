//! The last words on a connection, so that the client learns why it ends.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use im_common::code::Code;
use im_common::frame::encode;
use im_common::stream::FrameStream;
use im_common::wire;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// Enough for the close to cross any network; after that the client is not waiting for it.
pub(crate) const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Writes what is left of the frames and a close, then waits for the client to hang up.
///
/// Waiting matters: closing a socket with unread bytes in it makes the kernel reset the
/// connection, which destroys a close that the client has not read yet.
pub(crate) async fn close<S>(mut stream: FrameStream<S>, mut frames: VecDeque<Bytes>, code: Code)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let close = wire::Close::new(code, retry_after_ms(code));
    frames.push_back(encode(&wire::ServerFrame::from(close)));
    let goodbye = async {
        stream.write_all(&mut frames).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.into_inner(), &mut tokio::io::sink()).await
    };
    // Neither outcome changes anything: the connection is over.
    let _ = timeout(CLOSE_WITHIN, goodbye).await;
}

/// How long a client waits before it tries again, so that a crowd does not return at once.
pub(crate) const fn retry_after_ms(code: Code) -> u32 {
    match code {
        Code::UNAVAILABLE => 500,
        Code::FULL | Code::OVERLOADED | Code::SLOW_READER => 1000,
        _ => 0,
    }
}
