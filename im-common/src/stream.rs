//! A byte stream that carries frames: reads whole frames, writes many frames in one call.
//!
//! Used by both ends of a connection. Holds a buffer only while part of a frame is in it, so that
//! an idle connection costs no memory here.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_util::codec::Decoder;

use crate::frame::{FrameCodec, FrameError};

/// Read by one system call at most; shared by all connections of a thread.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Linux takes at most 1024 slices in one call; beyond 64 there is nothing to gain.
const SLICES_MAX: usize = 64;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// A stream of frames in both directions.
#[derive(Debug)]
pub struct FrameStream<S> {
    stream: S,
    unread: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> FrameStream<S> {
    /// Wraps a stream; allocates nothing.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            unread: BytesMut::new(),
        }
    }

    /// Returns the next frame, `None` when the stream ended between frames.
    ///
    /// Cancel-safe: what has been read stays here.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame));
            }
            if poll_fn(|context| self.poll_fill(context)).await? == 0 {
                return FrameCodec.decode_eof(&mut self.unread);
            }
        }
    }

    /// Returns the next frame if it has been read already.
    pub fn buffered(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.unread.is_empty() {
            return Ok(None);
        }
        let frame = FrameCodec.decode(&mut self.unread)?;
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
        Ok(frame)
    }

    /// Writes frames in as few calls as the stream allows and leaves the queue empty.
    ///
    /// After a cancelled call the stream may be in the middle of a frame: what is left in the
    /// queue must be written before anything else.
    pub async fn write_all(&mut self, frames: &mut VecDeque<Bytes>) -> io::Result<()> {
        while !frames.is_empty() {
            let written = poll_fn(|context| self.poll_write(context, frames)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            consume(frames, written);
        }
        self.stream.flush().await
    }

    /// Tells the other side that nothing more will be written.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Returns the bare stream; what has been read and not taken is dropped.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Writes once. The slices live on the stack, so that they cost a waiting task nothing.
    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        frames: &VecDeque<Bytes>,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = frames.len().min(SLICES_MAX);
        for (slice, frame) in slices.iter_mut().zip(frames) {
            *slice = IoSlice::new(frame);
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, &slices[..count])
    }

    /// Reads once through the thread's scratch buffer; keeps only the bytes that came.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            self.unread.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
    }
}

fn consume(frames: &mut VecDeque<Bytes>, mut written: usize) {
    while let Some(first) = frames.front_mut() {
        if written < first.len() {
            first.advance(written);
            return;
        }
        written -= first.len();
        frames.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::encode;
    use crate::wire::{Ping, server_frame};

    fn ping(nonce: u64) -> Bytes {
        encode(&crate::wire::ServerFrame {
            frame: Some(server_frame::Frame::Ping(Ping { nonce })),
        })
    }

    #[tokio::test]
    async fn many_frames_through_a_narrow_pipe_arrive_whole_and_in_order() {
        let (near, far) = tokio::io::duplex(7);
        let (mut near, mut far) = (FrameStream::new(near), FrameStream::new(far));
        let mut frames: VecDeque<_> = (0..200).map(ping).collect();
        let write = async {
            near.write_all(&mut frames).await.unwrap();
            near.shutdown().await.unwrap();
        };
        let read = async {
            let mut count = 0;
            while let Some(frame) = far.next().await.unwrap() {
                assert_eq!(frame, ping(count).slice(1..));
                count += 1;
            }
            count
        };
        assert_eq!(tokio::join!(write, read).1, 200);
        assert_eq!(
            far.unread.capacity(),
            0,
            "an idle connection holds no buffer"
        );
    }

    #[tokio::test]
    async fn a_cancelled_read_loses_nothing() {
        let (mut near, far) = tokio::io::duplex(64);
        let mut far = FrameStream::new(far);
        let bytes = ping(300);
        near.write_all(&bytes[..2]).await.unwrap();
        let interrupted = tokio::time::timeout(std::time::Duration::from_millis(1), far.next());
        assert!(interrupted.await.is_err());
        near.write_all(&bytes[2..]).await.unwrap();
        assert_eq!(far.next().await.unwrap().unwrap(), bytes.slice(1..));
    }
}
