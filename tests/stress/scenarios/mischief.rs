//! Somebody who does not keep to the protocol, beside users who do.

use im_common::code::Code;
use im_common::wire::{self, server_frame::Frame};
use im_tests::raw::{Pass, Raw};

use crate::world::{Who, World};

/// A cluster at work, and somebody who means no good.
pub(super) struct Mischief {
    pub(super) users: Vec<Who>,
    pub(super) pass: Pass,
    address: String,
    pub(super) attempt: u32,
}

/// Two users who talk, and mallory, of whom the history knows nothing.
pub(super) async fn mischief(world: &mut World) -> Mischief {
    let users = world.join(["alice", "bob"]).await.to_vec();
    let mallory = world.register("mallory").await;
    world.retire(&[mallory]);
    world.chatter(&users, 10);
    let pass = Pass::of(&world.cluster.urls(0)[0], "mallory", "raw").await;
    let address = world.cluster.servers()[0].info.client_address.clone();
    Mischief {
        users,
        pass,
        address,
        attempt: 0,
    }
}

impl Mischief {
    /// A connection of nobody yet.
    pub(super) async fn stranger(&self) -> Raw {
        Raw::connect(&self.address).await
    }

    /// A connection of mallory, newer than all before.
    pub(super) async fn attached(&mut self) -> Raw {
        self.attempt += 1;
        Raw::attach(&self.address, &self.pass, self.attempt).await
    }

    /// These bytes end a connection with this code, before the hello and after it.
    pub(super) async fn ends_with(&mut self, world: &mut World, bytes: &[u8], codes: [Code; 2]) {
        let mut stranger = self.stranger().await;
        stranger.write(bytes.to_vec()).await;
        assert_eq!(
            stranger.closed_with().await,
            Some(codes[0]),
            "as a stranger"
        );
        let mut known = self.attached().await;
        known.write(bytes.to_vec()).await;
        assert_eq!(known.closed_with().await, Some(codes[1]), "when attached");
        self.still_works(world).await;
    }

    /// Another connection is taken, and answers.
    pub(super) async fn still_works(&mut self, world: &mut World) {
        let raw = self.attached().await;
        self.answers(raw).await;
        world.chatter(&self.users, 5);
    }

    /// The connection is served: a ping comes back.
    pub(super) async fn answers(&self, mut raw: Raw) {
        raw.say(wire::Ping { nonce: 77 }).await;
        loop {
            match raw.next().await {
                Some(Frame::Pong(pong)) => return assert_eq!(pong.nonce, 77),
                Some(Frame::Close(close)) => panic!("closed with {}", close.code),
                Some(_) => {}
                None => panic!("gone"),
            }
        }
    }
}
