//! Strangers who frame well and ask for what they may not have: each costs its own connection and
//! nothing else.

use bytes::Bytes;
use im_common::code::Code;
use im_common::frame::{FRAME_BYTES_MAX, encode};
use im_common::id::MessageId;
use im_common::message::TEXT_BYTES_MAX;
use im_common::wire::{self, server_frame::Frame};
use im_tests::raw::Pass;

use super::mischief::mischief;
use crate::scenario::{ONE, Scenario, scenario};
use crate::world::World;

pub(crate) const ALL: &[Scenario] = &[
    scenario!(
        ONE,
        frames_of_a_server,
        "a client that speaks as if it were a server"
    ),
    scenario!(ONE, a_second_hello, "hello twice on one connection"),
    scenario!(ONE, submit_before_hello, "a message from nobody"),
    scenario!(
        ONE,
        text_too_long_or_empty,
        "texts over and under the bounds are refused, no more"
    ),
    scenario!(
        ONE,
        positions_without_end,
        "acks and hellos with as many positions as fit a frame"
    ),
    scenario!(
        ONE,
        names_of_no_conversation,
        "positions and syncs of logs that cannot be"
    ),
    scenario!(
        ONE,
        syncs_without_pause,
        "many pages asked for at once, and nothing read"
    ),
    scenario!(
        ONE,
        gone_with_unread_answers,
        "connections reset in the middle of everything"
    ),
    scenario!(
        ONE,
        silent_strangers,
        "sockets that say nothing, while users log in"
    ),
    scenario!(
        ONE,
        forged_tickets,
        "tickets with changed bytes, of other devices, of ended logins"
    ),
];

async fn frames_of_a_server(world: &mut World) {
    let mut mischief = mischief(world).await;
    let accepted = wire::ServerFrame::from(wire::Accepted {
        id: Bytes::from_static(&[1; 16]),
        conversation: "lobby".into(),
        ..Default::default()
    });
    let bytes = encode(&accepted);
    mischief
        .ends_with(world, &bytes, [Code::MALFORMED; 2])
        .await;
    let mut known = mischief.attached().await;
    let go_away = wire::GoAway {
        candidates: vec!["127.0.0.1:1".into()],
        ..Default::default()
    };
    known.write(encode(&wire::ServerFrame::from(go_away))).await;
    mischief.answers(known).await;
}

async fn a_second_hello(world: &mut World) {
    let mut mischief = mischief(world).await;
    let mut known = mischief.attached().await;
    known.say(mischief.pass.hello(9)).await;
    assert_eq!(known.closed_with().await, Some(Code::OUT_OF_ORDER));
    mischief.still_works(world).await;
}

async fn submit_before_hello(world: &mut World) {
    let mut mischief = mischief(world).await;
    let mut stranger = mischief.stranger().await;
    stranger.say(submit("hi")).await;
    assert_eq!(stranger.closed_with().await, Some(Code::OUT_OF_ORDER));
    mischief.still_works(world).await;
}

/// To nobody who is there, since the history does not know of it.
fn submit(text: &str) -> wire::Submit {
    wire::Submit {
        id: Bytes::copy_from_slice(MessageId::fresh().as_bytes()),
        to: Some(wire::submit::To::UserName("mallory".into())),
        text: text.into(),
        round: 0,
    }
}

async fn text_too_long_or_empty(world: &mut World) {
    let mut mischief = mischief(world).await;
    let mut known = mischief.attached().await;
    for (bytes, code) in [
        (0, Some(Code::TEXT_EMPTY)),
        (1, None),
        (TEXT_BYTES_MAX, None),
        (TEXT_BYTES_MAX + 1, Some(Code::TEXT_TOO_LONG)),
        (FRAME_BYTES_MAX - 100, Some(Code::TEXT_TOO_LONG)),
        (2, None),
    ] {
        known.say(submit(&"x".repeat(bytes))).await;
        assert_eq!(known.answer().await, code, "{bytes} bytes");
    }
    mischief.answers(known).await;
    mischief.still_works(world).await;
}

async fn positions_without_end(world: &mut World) {
    let mut mischief = mischief(world).await;
    let position = |number: u64| wire::Position {
        conversation: format!("private:1:{}", number + 2),
        epoch: 5,
        sequence: u64::MAX,
    };
    let positions: Vec<wire::Position> = (0..6000).map(position).collect();
    let mut known = mischief.attached().await;
    known
        .say(wire::Ack {
            positions: positions.clone(),
        })
        .await;
    mischief.answers(known).await;
    mischief.attempt += 1;
    let mut raw = mischief.stranger().await;
    raw.say(wire::Hello {
        positions,
        ..mischief.pass.hello(mischief.attempt)
    })
    .await;
    assert!(matches!(raw.next().await, Some(Frame::Welcome(_))));
    mischief.answers(raw).await;
    mischief.still_works(world).await;
}

async fn names_of_no_conversation(world: &mut World) {
    let mut mischief = mischief(world).await;
    for conversation in [
        "",
        "private:2:1",
        "private:0:1",
        "Lobby",
        "private:1:1:1",
        "\u{202e}",
    ] {
        let mut known = mischief.attached().await;
        known
            .say(wire::Sync {
                conversation: conversation.into(),
                epoch: 1,
                after: 0,
            })
            .await;
        known.finish().await;
        known.closed_with().await;
    }
    // Somebody else's conversation is there, and stays closed.
    let mut known = mischief.attached().await;
    known
        .say(wire::Sync {
            conversation: "private:1:2".into(),
            epoch: 0,
            after: 0,
        })
        .await;
    loop {
        match known.next().await {
            Some(Frame::Page(page)) => {
                assert_eq!(Code::from(page.code), Code::NOT_PERMITTED);
                assert!(page.messages.is_empty());
                break;
            }
            Some(_) => {}
            None => panic!("no answer"),
        }
    }
    mischief.still_works(world).await;
}

async fn syncs_without_pause(world: &mut World) {
    let mut mischief = mischief(world).await;
    let users = mischief.users.clone();
    world.settle().await;
    for _ in 0..30 {
        world[users[0]].send_padded(im_common::message::Recipient::Lobby, 4000);
    }
    world.settle().await;
    let mut known = mischief.attached().await;
    for _ in 0..200 {
        known
            .say(wire::Sync {
                conversation: "lobby".into(),
                epoch: 0,
                after: 0,
            })
            .await;
    }
    mischief.answers(known).await;
    mischief.still_works(world).await;
}

async fn gone_with_unread_answers(world: &mut World) {
    let mut mischief = mischief(world).await;
    for _ in 0..40 {
        let mut known = mischief.attached().await;
        for _ in 0..5 {
            known.say(submit("hi")).await;
        }
        known.vanish();
    }
    mischief.still_works(world).await;
}

async fn silent_strangers(world: &mut World) {
    let mischief = mischief(world).await;
    let mut strangers = Vec::new();
    for _ in 0..150 {
        strangers.push(mischief.stranger().await);
    }
    let late = world.join(["eve", "frank"]).await;
    world.chatter(&late, 5);
    for stranger in strangers {
        assert_eq!(stranger.closed_with().await, Some(Code::HANDSHAKE_TIMEOUT));
    }
}

async fn forged_tickets(world: &mut World) {
    let mut mischief = mischief(world).await;
    let good = mischief.pass.clone();
    for at in 0..good.ticket.len() {
        let mut forged = good.ticket.to_vec();
        forged[at] ^= 1 << world.dice.below(8);
        let pass = Pass {
            ticket: forged.into(),
            ..good.clone()
        };
        let mut raw = mischief.stranger().await;
        raw.say(pass.hello(1)).await;
        assert_eq!(
            raw.closed_with().await,
            Some(Code::TICKET_INVALID),
            "byte {at}"
        );
    }
    let other_device = Pass {
        device: "other".into(),
        ..good.clone()
    };
    let mut raw = mischief.stranger().await;
    raw.say(other_device.hello(1)).await;
    assert_eq!(raw.closed_with().await, Some(Code::TICKET_INVALID));
    // A later login ends the ticket of the earlier one, on whatever connection it comes.
    let url = world.cluster.urls(0)[0].clone();
    mischief.pass = Pass::of(&url, "mallory", "raw").await;
    let mut raw = mischief.stranger().await;
    raw.say(good.hello(1000)).await;
    let code = raw.closed_with().await;
    let ended = [Some(Code::LOGGED_OUT), Some(Code::DISPLACED)];
    assert!(ended.contains(&code), "{code:?}");
    mischief.still_works(world).await;
}
