//! What must hold for any bytes: the same functions run under proptest and in `fuzz/`.
//!
//! None of these panics, whatever it is given, unless a property does not hold.

use bytes::{Bytes, BytesMut};
use prost::Message;
use tokio_util::codec::Decoder as _;

use crate::frame::{self, FRAME_BYTES_MAX, FrameCodec};
use crate::message::{Head, Identity, Page, Position, Receipt, Session, StoredMessage, Submission};
use crate::wire;

/// A stream of frames, cut into pieces as the first byte says: the pieces make no difference, and
/// nothing larger than a frame is set aside.
pub fn frames(data: &[u8]) {
    let Some((step, stream)) = data.split_first() else {
        return;
    };
    let whole = cut(stream, stream.len().max(1));
    assert_eq!(cut(stream, usize::from(*step).max(1)), whole);
    for body in whole.0 {
        let mut again = BytesMut::from(&*frame::encode(&Raw(body.clone())));
        assert_eq!(FrameCodec.decode(&mut again).expect("a frame"), Some(body));
        assert!(again.is_empty());
    }
}

/// The frames in a stream, and whether it ended in an error.
fn cut(stream: &[u8], step: usize) -> (Vec<Bytes>, bool) {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for piece in stream.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            match FrameCodec.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
        assert!(buffer.capacity() <= 2 * (FRAME_BYTES_MAX + stream.len()));
    }
    (frames, false)
}

/// Bytes that are a message already.
#[derive(Debug, Clone, Default)]
struct Raw(Bytes);

impl Message for Raw {
    fn encode_raw(&self, buffer: &mut impl bytes::BufMut) {
        buffer.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        _: u32,
        _: prost::encoding::WireType,
        _: &mut impl bytes::Buf,
        _: prost::encoding::DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        Ok(())
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// Bytes as every message of the wire: what can be decoded is the same after encoding it.
pub fn wire(data: &[u8]) {
    survives::<wire::ClientFrame>(data);
    survives::<wire::ServerFrame>(data);
    survives::<wire::SubmitRequest>(data);
    survives::<wire::SubmitResponse>(data);
    survives::<wire::AttachRequest>(data);
    survives::<wire::AttachResponse>(data);
    survives::<wire::RenewRequest>(data);
    survives::<wire::AckRequest>(data);
    survives::<wire::PushRequest>(data);
    survives::<wire::OnlineResponse>(data);
    survives::<wire::LogEntry>(data);
    survives::<wire::LoginsRecord>(data);
}

fn survives<M: Message + Default + PartialEq>(data: &[u8]) {
    let Ok(message) = M::decode(data) else {
        return;
    };
    let bytes = message.encode_to_vec();
    assert!(M::decode(&*bytes) == Ok(message));
}

/// Bytes as every message with a meaning: what has one keeps it there and back.
pub fn meanings(data: &[u8]) {
    keeps::<wire::Position, Position>(data);
    keeps::<wire::Head, Head>(data);
    keeps::<wire::Message, StoredMessage>(data);
    keeps::<wire::Identity, Identity>(data);
    keeps::<wire::Accepted, Receipt>(data);
    keeps::<wire::Page, Page>(data);
    keeps::<wire::Session, Session>(data);
    if let Ok(Ok(submission)) = wire::Submit::decode(data).map(Submission::try_from) {
        let again = Submission::try_from(wire::Submit::new(submission.clone(), 1));
        assert!(again == Ok(submission));
    }
}

fn keeps<W, D>(data: &[u8])
where
    W: Message + Default + From<D>,
    D: TryFrom<W, Error = wire::Malformed> + Clone + PartialEq,
{
    if let Ok(Ok(meaning)) = W::decode(data).map(D::try_from) {
        assert!(D::try_from(W::from(meaning.clone())) == Ok(meaning));
    }
}

/// Bytes as a ticket, and laid over one that is genuine: nobody forges one.
#[cfg(feature = "backend")]
pub fn tickets(data: &[u8]) {
    use crate::id::{DeviceId, UserId};
    use crate::name::UserName;
    use crate::secret::ClusterSecret;
    use crate::ticket::{Ticket, TicketKey};
    use std::time::{Duration, UNIX_EPOCH};

    let secret = ClusterSecret::new(&"5".repeat(64)).expect("long enough");
    let key = TicketKey::new(&secret);
    let genuine = Ticket {
        identity: Identity {
            user: UserId::new(7).expect("a number"),
            name: UserName::new("alice").expect("a name"),
            device: DeviceId::new("phone").expect("a device"),
        },
        login_epoch: 3,
        expires_at: UNIX_EPOCH + Duration::from_secs(2_000_000_000),
    };
    let now = UNIX_EPOCH + Duration::from_secs(1_900_000_000);
    let bytes = key.issue(&genuine);
    assert!(key.verify(&bytes, now).is_ok());
    let mut other = bytes.to_vec();
    for (byte, change) in other.iter_mut().zip(data) {
        *byte ^= change;
    }
    assert_eq!(key.verify(&other, now).is_ok(), other == *bytes);
    if data != &*bytes {
        assert!(key.verify(data, now).is_err());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Garbage seldom begins with a field; half of what is tried is built of fields.
    fn likely() -> impl Strategy<Value = Vec<u8>> {
        let field = (
            0u8..12,
            prop::sample::select(vec![0u8, 2]),
            prop::collection::vec(any::<u8>(), 0..20),
        );
        let field = field.prop_map(|(number, kind, content)| {
            let tag = number << 3 | kind;
            match kind {
                0 => vec![tag, content.len().try_into().unwrap()],
                _ => [vec![tag, content.len().try_into().unwrap()], content].concat(),
            }
        });
        let fields = prop::collection::vec(field, 0..10).prop_map(|fields| fields.concat());
        prop_oneof![fields, prop::collection::vec(any::<u8>(), 0..300)]
    }

    proptest! {
        #[test]
        fn any_bytes_keep_the_properties(data in likely()) {
            frames(&data);
            wire(&data);
            meanings(&data);
            #[cfg(feature = "backend")]
            tickets(&data);
        }
    }
}
