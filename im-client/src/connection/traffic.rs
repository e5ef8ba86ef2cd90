//! What a session lends to its connections, and what the frames of a server do to it.

use std::sync::Arc;
use std::time::Duration;

use im_common::backoff::random_fraction;
use im_common::id::MessageId;
use im_common::message::Receipt;
use im_common::wire::{self, Malformed, server_frame};
use tokio_util::sync::CancellationToken;

use super::End;
use crate::error::{Error, ErrorKind};
use crate::handler::Event;
use crate::inbox::Inbox;
use crate::outbox::{self, Refused, SharedOutbox};
use crate::state::Reporter;

/// What outlives a connection: lent to it by the session while it is served.
pub(crate) struct Traffic {
    pub(crate) outbox: Arc<SharedOutbox>,
    /// `None` without a handler: then messages stay in the cluster.
    pub(crate) inbox: Option<Inbox>,
    pub(crate) reporter: Reporter,
    pub(crate) closing: CancellationToken,
}

impl Traffic {
    /// A new connection begins: what the last one left open is done again.
    pub(crate) fn attach(&mut self) {
        self.outbox.rewind();
        if let Some(inbox) = &mut self.inbox {
            inbox.attach();
        }
    }

    /// The end of a connection whose other side does not speak this protocol.
    pub(super) fn misunderstood(&self, what: String) -> End {
        let error = Error::new(ErrorKind::Protocol, what.as_str());
        self.reporter.report(Event::Error(error));
        End::Lost(what)
    }

    /// Does what a frame says.
    pub(super) fn take(&mut self, frame: server_frame::Frame) -> Result<(), Malformed> {
        use server_frame::Frame;
        match (frame, &mut self.inbox) {
            (Frame::Accepted(accepted), inbox) => {
                let receipt = Receipt::try_from(accepted)?;
                match inbox {
                    Some(inbox) => inbox.accepted(receipt.position.clone()),
                    None => self.outbox.forked_unseen(&receipt.position),
                }
                self.outbox.accepted(receipt);
            }
            (Frame::Refused(refused), _) => {
                self.outbox.refused(refused.try_into()?, random_fraction());
            }
            (Frame::Deliver(deliver), Some(inbox)) => inbox.deliver(deliver)?,
            (Frame::Heads(heads), Some(inbox)) => inbox.heads(heads)?,
            (Frame::Page(page), Some(inbox)) => {
                if let Some(forked) = inbox.page(page)? {
                    self.outbox.forked(&forked);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl TryFrom<wire::Refused> for Refused {
    type Error = Malformed;

    fn try_from(refused: wire::Refused) -> Result<Self, Malformed> {
        Ok(Self {
            id: MessageId::from_bytes(&refused.id)?,
            refusal: outbox::refusal(refused.code.into(), refused.reason),
            retry_after: Duration::from_millis(refused.retry_after_ms.into()),
            round: refused.round,
        })
    }
}
