//! What must hold for any bytes that reach the entrance for clients of CIM. See [`crate::fuzz`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use im_common::code::Code;
use im_common::frame::encode;
use im_common::id::{DeviceId, LogEpoch, Sequence, UserId};
use im_common::message::{Identity, Page, Position, Receipt, Session, Submission};
use im_common::name::UserName;
use im_common::secret::ClusterSecret;
use im_common::stream::FrameStream;
use im_common::ticket::TicketKey;
use im_common::transport::{DeviceAck, Heads, OpenLogin, Refusal, Renewal, SyncRequest, Uplink};
use prost::Message as _;
use tokio_util::sync::CancellationToken;

use super::connection::serve;
use super::frame::{Frame, LOGIN, PING};
use crate::acks::Acks;
use crate::connection::Context;
use crate::connections::Connections;
use crate::detaches::Detaches;
use crate::handshake::Gate;

const STREAM_BYTES: usize = 64 * 1024;
/// Longer than anything here takes, so that nothing waits for it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Who is logged in.
const USER: i64 = 1;
const NAME: &str = "alice";

/// A client writes these bytes and waits for the end: the connection ends, nothing of it stays, and
/// what it is told are pongs, for there is nothing to read. The first byte chooses whether it says
/// who it is before.
pub(crate) async fn frames(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let context = context();
    let (ours, theirs) = tokio::io::duplex(STREAM_BYTES);
    let client = async {
        let mut stream = FrameStream::new(theirs);
        let login = (first % 2 == 1).then(|| frame(USER, LOGIN, NAME.to_owned()));
        let mut said: VecDeque<Bytes> = login.into_iter().collect();
        said.push_back(Bytes::copy_from_slice(bytes));
        // The server may have hung up by now.
        stream.write_all(&mut said).await.ok();
        stream.shutdown().await.ok();
        while let Some(told) = stream.next().await.expect("frames, and no half of one") {
            let told = Frame::decode(told).expect("a frame of CIM");
            assert_eq!((told.command, told.text.as_str()), (PING, "pong"));
        }
    };
    tokio::join!(serve(ours, Arc::clone(&context), PATIENCE), client);
    assert_eq!(context.connections.count(), 0, "it has ended");
}

/// What a client says.
pub(crate) fn frame(user: i64, command: i32, text: String) -> Bytes {
    encode(&Frame {
        text,
        user,
        command,
        ..Frame::default()
    })
}

fn context() -> Arc<Context> {
    // What has left is told to nobody.
    let (detaches, _) = Detaches::new();
    Arc::new(Context {
        connections: Connections::new(8),
        uplink: Arc::new(OneLogin),
        acks: Acks::default(),
        detaches,
        gate: Gate {
            key: TicketKey::new(&ClusterSecret::fresh()),
            within: PATIENCE,
            closing: CancellationToken::new(),
        },
        ping_after: PATIENCE,
        pong_within: PATIENCE,
        write_within: PATIENCE,
    })
}

/// A route that knows of one login, and of no message.
struct OneLogin;

#[async_trait]
impl Uplink for OneLogin {
    async fn submit(&self, offers: Vec<(Identity, Submission)>) -> Vec<Result<Receipt, Refusal>> {
        offers
            .iter()
            .map(|_| Err(Code::UNAVAILABLE.into()))
            .collect()
    }

    async fn login(&self, user: UserId, device: &DeviceId) -> Result<OpenLogin, Refusal> {
        if i64::try_from(user.number()) != Ok(USER) {
            return Err(Code::LOGGED_OUT.into());
        }
        Ok(OpenLogin {
            identity: Identity {
                user,
                name: UserName::new(NAME).expect("a valid name"),
                device: device.clone(),
            },
            epoch: 1,
        })
    }

    async fn attach(&self, _: &Session, _: Vec<Position>) -> Result<Heads, Refusal> {
        Ok(Heads {
            heads: Vec::new(),
            is_whole: true,
        })
    }

    async fn detach(&self, _: &Session) -> Result<(), Refusal> {
        Ok(())
    }

    async fn renew(&self, _: Vec<Session>) -> Result<Renewal, Refusal> {
        Ok(Renewal::default())
    }

    async fn heads(&self, _: UserId, _: &DeviceId, _: Vec<Position>) -> Result<Heads, Refusal> {
        Ok(Heads::default())
    }

    async fn ack(&self, _: Vec<DeviceAck>) -> Result<(), Refusal> {
        Ok(())
    }

    async fn sync(&self, _: UserId, request: SyncRequest) -> Result<Page, Refusal> {
        Ok(Page {
            conversation: request.conversation,
            epoch: LogEpoch(1),
            messages: Vec::new(),
            head: Sequence(0),
            fork: None,
        })
    }
}
