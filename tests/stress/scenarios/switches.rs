//! Messages whose fate is unknown to their sender: each is in the log once (F-38).

use std::time::Duration;

use bytes::Bytes;
use im_common::code::Code;
use im_common::id::MessageId;
use im_common::message::Recipient;
use im_common::wire::{self, server_frame::Frame};
use im_tests::injected::Mood;
use im_tests::raw::{Pass, Raw};

use crate::scenario::{PAIR, RELAYED, Scenario, TRIO, scenario};
use crate::world::World;

/// Long enough for a push to be handled and a link to be cut before the answer.
const LATE: Duration = Duration::from_millis(300);

pub(crate) const ALL: &[Scenario] = &[
    scenario!(
        RELAYED,
        switch_between_commit_and_answer,
        "stored, not answered, cut: a hundred times over"
    ),
    scenario!(
        RELAYED,
        switch_with_a_full_window,
        "a window full of submits is offered to another server"
    ),
    scenario!(
        TRIO,
        crash_between_commit_and_answer,
        "the server dies between commit and answer"
    ),
    scenario!(
        PAIR,
        same_message_on_two_connections,
        "the same id offered to two servers at once"
    ),
    scenario!(
        PAIR,
        same_id_with_another_text,
        "the same id means the same message, or a conflict"
    ),
    scenario!(
        PAIR,
        accepted_is_accepted_again,
        "what was accepted is sent again much later"
    ),
];

async fn switch_between_commit_and_answer(world: &mut World) {
    let all = world.crowd(40).await;
    world.injected.submits.set(Mood::LateAnswers(LATE));
    for _ in 0..5 {
        // What a handler sees is stored, and its sender has not been told.
        let seen = world.history.handled();
        for pair in all.chunks(2) {
            world[pair[0]].send(world.to(pair[1]));
        }
        let all_seen = seen + all.len() as u64 / 2;
        world
            .until("all is stored", || world.history.handled() >= all_seen)
            .await;
        world.fault("the links are cut");
        world.cut_relays();
        world
            .until("all sends have ended", || world.history.pending() == 0)
            .await;
    }
}

async fn switch_with_a_full_window(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    for _ in 0..5 {
        world.injected.submits.set(Mood::LosesAnswers);
        for _ in 0..80 {
            world[alice].send(world.to(bob));
        }
        let seen = world.history.handled();
        world
            .until("some are stored", || world.history.handled() > seen)
            .await;
        world.fault("the links are cut");
        world.cut_relays();
        world.injected.heal();
        world.settle().await;
    }
}

async fn crash_between_commit_and_answer(world: &mut World) {
    let all = world.crowd(6).await;
    for _ in 0..3 {
        world.injected.submits.set(Mood::LosesAnswers);
        world.chatter(&all, 4);
        let seen = world.history.handled();
        world
            .until("some are stored", || world.history.handled() > seen)
            .await;
        world.crash_server(0);
        world.injected.heal();
        world.end_leases().await;
        world.add_server().await;
        world.settle().await;
    }
}

async fn mallory(world: &mut World) -> Pass {
    let users = world.join(["alice", "bob"]).await;
    world.chatter(&users, 5);
    let mallory = world.register("mallory").await;
    world.retire(&[mallory]);
    Pass::of(&world.cluster.urls(0)[0], "mallory", "raw").await
}

fn note(id: MessageId, text: &str) -> wire::Submit {
    wire::Submit {
        id: Bytes::copy_from_slice(id.as_bytes()),
        to: Some(wire::submit::To::UserName("mallory".into())),
        text: text.into(),
        round: 0,
    }
}

async fn sequence(raw: &mut Raw) -> Result<u64, Code> {
    loop {
        match raw.next().await {
            Some(Frame::Accepted(accepted)) => return Ok(accepted.sequence),
            Some(Frame::Refused(refused)) => return Err(refused.code.into()),
            Some(_) => {}
            None => return Err(Code::CLOSED),
        }
    }
}

async fn same_message_on_two_connections(world: &mut World) {
    let pass = mallory(world).await;
    let address =
        |world: &World, index: usize| world.cluster.servers()[index].info.client_address.clone();
    let other = Pass::of(&world.cluster.urls(1)[0], "mallory", "other").await;
    let mut one = Raw::attach(&address(world, 0), &pass, 1).await;
    let mut two = Raw::attach(&address(world, 1), &other, 1).await;
    for expected in 1..=50 {
        let id = MessageId::fresh();
        one.say(note(id, "hi")).await;
        two.say(note(id, "hi")).await;
        let (one, two) = tokio::join!(sequence(&mut one), sequence(&mut two));
        assert_eq!((one, two), (Ok(expected), Ok(expected)));
    }
}

async fn same_id_with_another_text(world: &mut World) {
    let pass = mallory(world).await;
    let address = world.cluster.servers()[0].info.client_address.clone();
    let mut raw = Raw::attach(&address, &pass, 1).await;
    let id = MessageId::fresh();
    for (text, answer) in [
        ("first", Ok(1)),
        ("first", Ok(1)),
        ("second", Err(Code::ID_CONFLICT)),
        ("First", Err(Code::ID_CONFLICT)),
        ("first", Ok(1)),
    ] {
        raw.say(note(id, text)).await;
        assert_eq!(sequence(&mut raw).await, answer, "{text}");
    }
}

async fn accepted_is_accepted_again(world: &mut World) {
    let [alice, bob] = world.join(["alice", "bob"]).await;
    for to in [world.to(bob), Recipient::Lobby] {
        let first = world[alice]
            .send_and_wait(to, "once")
            .await
            .expect("accepted");
        world.chatter(&[bob], 20);
        world.settle().await;
        for _ in 0..5 {
            let again = world[alice].send_again().await.expect("accepted");
            assert_eq!(again.position, first.position);
        }
        world.attach_anew(&[alice]).await;
        let again = world[alice].send_again().await.expect("accepted");
        assert_eq!(again.position, first.position);
    }
}
