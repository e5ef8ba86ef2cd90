//! Frames on a byte stream: a varint length, then that many bytes.
//!
//! The length prefix is that of protobuf's delimited messages: base 128, least significant group
//! first, at most 5 bytes. It is checked before anything is allocated.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};
use tokio_util::codec::Decoder;

/// Largest frame without its length prefix: four times the largest text.
pub const FRAME_BYTES_MAX: usize = 256 * 1024;

/// Version of the protocol that this code speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// A 32-bit varint has at most this many bytes.
const PREFIX_BYTES_MAX: usize = 5;

/// Why bytes are not a frame. After any of these the stream cannot be read further.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The length is over [`FRAME_BYTES_MAX`].
    #[error("frame is larger than {FRAME_BYTES_MAX} bytes")]
    TooLarge,
    /// The length is not a 32-bit varint, or the stream ends inside a frame.
    #[error("frame is malformed: {0}")]
    Malformed(&'static str),
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Cuts a byte stream into frames.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameCodec;

impl Decoder for FrameCodec {
    type Item = Bytes;
    type Error = FrameError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        let Some((prefix, length)) = length_prefix(buffer)? else {
            return Ok(None);
        };
        if length > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge);
        }
        let whole = prefix + length;
        if buffer.len() < whole {
            buffer.reserve(whole - buffer.len());
            return Ok(None);
        }
        buffer.advance(prefix);
        Ok(Some(buffer.split_to(length).freeze()))
    }

    fn decode_eof(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        match self.decode(buffer)? {
            None if !buffer.is_empty() => Err(FrameError::Malformed("stream ends inside a frame")),
            frame => Ok(frame),
        }
    }
}

/// Encodes a message with its length prefix, once, for any number of receivers.
pub fn encode<M: Message>(message: &M) -> Bytes {
    let length = message.encoded_len();
    let mut buffer = BytesMut::with_capacity(encoded_len_varint(length as u64) + length);
    encode_varint(length as u64, &mut buffer);
    message
        .encode(&mut buffer)
        .expect("BytesMut grows to any length");
    buffer.freeze()
}

/// Reads the prefix if it is all there: its own length, and the length it announces.
fn length_prefix(buffer: &[u8]) -> Result<Option<(usize, usize)>, FrameError> {
    let mut length = 0u64;
    for (index, byte) in buffer.iter().take(PREFIX_BYTES_MAX).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((
                index + 1,
                usize::try_from(length).unwrap_or(usize::MAX),
            )));
        }
    }
    if buffer.len() >= PREFIX_BYTES_MAX {
        return Err(FrameError::Malformed(
            "length prefix is longer than 5 bytes",
        ));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefixed(body: &[u8]) -> BytesMut {
        let mut buffer = BytesMut::new();
        encode_varint(body.len() as u64, &mut buffer);
        buffer.extend_from_slice(body);
        buffer
    }

    #[test]
    fn lengths_are_checked_before_anything_is_allocated() {
        for length in [FRAME_BYTES_MAX as u64 + 1, 1 << 31, u64::from(u32::MAX)] {
            let mut buffer = BytesMut::new();
            encode_varint(length, &mut buffer);
            let capacity = buffer.capacity();
            assert!(matches!(
                FrameCodec.decode(&mut buffer),
                Err(FrameError::TooLarge)
            ));
            assert_eq!(buffer.capacity(), capacity);
        }
        let mut endless = BytesMut::from(&[0x80; 11][..]);
        assert!(matches!(
            FrameCodec.decode(&mut endless),
            Err(FrameError::Malformed(_))
        ));
    }

    #[test]
    fn a_frame_of_exactly_the_limit_passes() {
        let mut buffer = prefixed(&vec![7; FRAME_BYTES_MAX]);
        assert_eq!(
            FrameCodec.decode(&mut buffer).unwrap().unwrap().len(),
            FRAME_BYTES_MAX
        );
    }

    #[test]
    fn a_stream_that_ends_inside_a_frame_is_an_error() {
        let mut buffer = prefixed(b"hello");
        buffer.truncate(4);
        assert!(matches!(
            FrameCodec.decode_eof(&mut buffer),
            Err(FrameError::Malformed(_))
        ));
    }

    proptest! {
        #[test]
        fn frames_survive_any_slicing(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8), step in 1usize..64) {
            let bytes: Vec<u8> = bodies.iter().flat_map(|body| prefixed(body)).collect();
            let mut buffer = BytesMut::new();
            let mut seen = Vec::new();
            for chunk in bytes.chunks(step) {
                buffer.extend_from_slice(chunk);
                while let Some(frame) = FrameCodec.decode(&mut buffer).unwrap() {
                    seen.push(frame.to_vec());
                }
            }
            prop_assert_eq!(seen, bodies);
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn arbitrary_bytes_never_panic_nor_allocate_past_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = FrameCodec.decode(&mut buffer) {}
            prop_assert!(buffer.capacity() <= FRAME_BYTES_MAX + bytes.len() + PREFIX_BYTES_MAX);
        }
    }
}
