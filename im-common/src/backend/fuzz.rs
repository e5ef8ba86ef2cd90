//! What must hold for any bytes in a store. See [`crate::fuzz`].

use super::embedded::{first_batch_bytes, keys, values};
use crate::id::{ConversationId, LogEpoch, Sequence};
use crate::message::Position;
use crate::wire;

/// Bytes as everything that the stores hold: an error or a value, and what is a key is the same
/// after making it again.
pub fn stored(data: &[u8]) {
    let at = Position {
        conversation: ConversationId::Lobby,
        epoch: LogEpoch(1),
        sequence: Sequence(1),
    };
    let _ = values::message(at, data);
    let _ = values::record::<wire::AccountRecord>(data);
    let _ = values::record::<wire::LoginsRecord>(data);
    if let Ok(sequence) = values::sequence(data) {
        assert_eq!(values::number(sequence.0), data);
    }
    if let Ok(user) = values::user(data) {
        assert_eq!(values::number(user.number()), data);
    }
    if let Ok(position) = values::parse_position(ConversationId::Lobby, data) {
        assert_eq!(values::position(&position), data);
    }
    if let Ok((conversation, sequence)) = keys::parse_mark(data) {
        assert_eq!(keys::mark(&conversation, sequence).bytes, data);
    }
    if let Some(bytes) = first_batch_bytes(data) {
        assert!(0 < bytes && bytes <= data.len());
    }
    #[cfg(feature = "cluster")]
    entries(data);
}

/// Bytes as an entry in etcd.
#[cfg(feature = "cluster")]
fn entries(data: &[u8]) {
    use super::registry::{RouteInfo, ServerInfo};
    if let Ok(server) = serde_json::from_slice::<ServerInfo>(data) {
        let json = serde_json::to_vec(&server).expect("plain data");
        assert!(serde_json::from_slice::<ServerInfo>(&json).is_ok_and(|again| again == server));
    }
    let _ = serde_json::from_slice::<RouteInfo>(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_keep_the_properties(data in prop::collection::vec(any::<u8>(), 0..100),
                length in 0usize..26) {
            stored(&data);
            stored(&data[..length.min(data.len())]);
        }
    }
}
