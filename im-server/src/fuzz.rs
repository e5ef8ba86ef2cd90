//! What must hold for any bytes that reach a server. Runs under proptest and in `fuzz/`.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use im_common::secret::ClusterSecret;
use im_common::ticket::TicketKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::cim;
use crate::connections::Connections;
use crate::handshake::{Gate, Stranger};
use crate::http;

const PATHS: [&str; 3] = ["push", "kick", "online"];
const STREAM_BYTES: usize = 64 * 1024;

/// A server without sockets.
#[derive(Debug)]
pub struct Door {
    runtime: Runtime,
    secret: ClusterSecret,
}

impl Default for Door {
    fn default() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime of one thread");
        Self {
            runtime,
            secret: ClusterSecret::fresh(),
        }
    }
}

impl Door {
    /// A stranger who writes these bytes and waits for the end is not let in.
    pub fn handshake(&self, data: &[u8]) {
        let gate = Gate {
            key: TicketKey::new(&self.secret),
            within: Duration::from_millis(200),
            closing: CancellationToken::new(),
        };
        self.runtime.block_on(async {
            let (ours, mut theirs) = tokio::io::duplex(STREAM_BYTES);
            let stranger = async {
                let _ = theirs.write_all(data).await;
                let _ = theirs.shutdown().await;
                let _ = theirs.read_to_end(&mut Vec::new()).await;
            };
            let (greeted, ()) = tokio::join!(Stranger::new(ours).greet(&gate), stranger);
            assert!(greeted.is_none(), "nobody guesses a ticket");
        });
    }

    /// A client of CIM who writes these bytes and waits for the end finds it. The first byte chooses
    /// whether it is logged in.
    pub fn cim(&self, data: &[u8]) {
        self.runtime.block_on(cim::fuzz::frames(data));
    }

    /// What a node asks is answered, or refused as a bad request. The first byte chooses the path.
    pub fn node_api(&self, data: &[u8]) {
        let Some((path, body)) = data.split_first() else {
            return;
        };
        let path = PATHS[usize::from(*path) % PATHS.len()];
        let credential = self.secret.node_credential();
        let request = Request::post(format!("/internal/v1/{path}"))
            .header(header::AUTHORIZATION, credential.header())
            .body(Body::from(body.to_vec()))
            .expect("a request");
        let router = http::router(Connections::new(8), credential);
        let answer = self.runtime.block_on(router.oneshot(request));
        let status = answer.expect("a router always answers").status().as_u16();
        assert!([200, 400].contains(&status), "{path}: {status}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Frames of any command, of whoever it may be, and bytes that are none.
    fn frames_of_cim() -> impl Strategy<Value = Vec<u8>> {
        let user = prop_oneof![Just(1), any::<i64>()];
        let frame = (user, -1..5, "(alice|ping|.{0,8})")
            .prop_map(|(user, command, text)| cim::fuzz::frame(user, command, text).to_vec());
        let garbage = prop::collection::vec(any::<u8>(), 0..20);
        let parts = prop::collection::vec(prop_oneof![4 => frame, 1 => garbage], 0..8);
        (any::<u8>(), parts).prop_map(|(first, parts)| [vec![first], parts.concat()].concat())
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(data in prop::collection::vec(any::<u8>(), 0..300)) {
            let door = Door::default();
            door.handshake(&data);
            door.node_api(&data);
        }

        #[test]
        fn a_client_of_cim_may_say_anything(data in frames_of_cim()) {
            Door::default().cim(&data);
        }
    }
}
