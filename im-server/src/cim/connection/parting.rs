//! How a connection ends, and what the client had read by then.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use im_common::frame::FrameError;
use im_common::stream::FrameStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::super::frame;
use super::Connection;
use crate::closing::CLOSE_WITHIN;
use crate::connection::{Ending, Leaving};

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Connection<S> {
    /// Leaves, and tells a route if everything that was written has arrived.
    pub(super) async fn end(mut self, ending: Ending) {
        self.leaving.log(ending.name());
        let has_arrived = match ending {
            Ending::Gone => false,
            Ending::Left => takes_more(&mut self.stream).await,
            Ending::Close(_) => return self.hang_up().await,
        };
        if has_arrived {
            let arrived = self.unconfirmed.ended();
            self.confirm(arrived);
        }
        // Before the session ends: the client's next connection is to find it.
        let Leaving {
            attachment,
            context,
        } = &self.leaving;
        context.hand_over_acks(&attachment.session).await;
    }

    /// Nobody is to find the client here any more while it makes up its mind to hang up too.
    async fn hang_up(mut self) {
        let session = self.leaving.attachment.session.clone();
        let context = Arc::clone(&self.leaving.context);
        // What was being written when the order came goes out all the same.
        self.expect_sign();
        drop(self.leaving);
        if hangs_up(&mut self.stream, &mut self.writing).await {
            let arrived = self.unconfirmed.ended();
            context.acks.note(session.user, &session.device, arrived);
        }
        context.hand_over_acks(&session).await;
    }
}

/// Whether a client that has hung up had read everything: otherwise its kernel has reset the
/// connection by now, and another write fails.
async fn takes_more<S>(stream: &mut FrameStream<S>) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let probe = &mut VecDeque::from([frame::pong()]);
    let written = timeout(CLOSE_WITHIN, stream.write_all(probe)).await;
    matches!(written, Ok(Ok(())))
}

/// Hangs up; returns whether the client has hung up too in time, for which it must have come to the
/// end of what was written.
async fn hangs_up<S>(stream: &mut FrameStream<S>, writing: &mut VecDeque<Bytes>) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let goodbye = async {
        stream.write_all(writing).await?;
        stream.shutdown().await?;
        while stream.next().await?.is_some() {}
        Ok::<_, FrameError>(())
    };
    matches!(timeout(CLOSE_WITHIN, goodbye).await, Ok(Ok(())))
}
