//! What a client asks of a route through its server: submits, syncs and acks.

use std::time::Duration;

use im_common::code::Code;
use im_common::wire;
use im_common::wire::server_frame::Frame as ServerFrame;
use tokio::time::timeout;

use crate::fixture::{Bench, Call, position, receipt, submit};

#[tokio::test(start_paused = true)]
async fn submits_gather_while_one_batch_is_in_flight() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    client.say(submit(1, 0)).await;
    let (first, answer) = bench.submits().await;
    assert_eq!(first, [1]);
    for number in 2..=5 {
        client.say(submit(number, 0)).await;
    }
    client.say(wire::Ping { nonce: 1 }).await;
    assert!(
        matches!(client.next().await, ServerFrame::Pong(_)),
        "pings pass by"
    );
    assert!(bench.calls.try_recv().is_err(), "one batch at a time");
    answer.send(vec![receipt(1)]).unwrap();
    let (second, answer) = bench.submits().await;
    assert_eq!(second, [2, 3, 4, 5]);
    answer.send((2..=5).map(receipt).collect()).unwrap();
    for number in 1..=5 {
        let ServerFrame::Accepted(accepted) = client.next().await else {
            panic!("not accepted");
        };
        assert_eq!(accepted.id[0], number);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_the_client_goes_back_in_a_new_round() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    client.say(submit(1, 1)).await;
    let (_, answer) = bench.submits().await;
    client.say(submit(2, 1)).await;
    answer.send(vec![Err(Code::UNAVAILABLE.into())]).unwrap();
    let mut codes = Vec::new();
    for _ in 0..2 {
        let ServerFrame::Refused(refused) = client.next().await else {
            panic!("not refused");
        };
        codes.push((refused.id[0], refused.code, refused.round));
    }
    assert_eq!(codes, [(1, 1001, 1), (2, 1003, 1)]);
    client.say(submit(3, 1)).await;
    assert!(matches!(client.next().await, ServerFrame::Refused(refused) if refused.code == 1003));
    client.say(submit(1, 2)).await;
    assert_eq!(bench.submits().await.0, [1]);
}

#[tokio::test(start_paused = true)]
async fn the_thirty_third_submit_is_not_read() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    for number in 1..=33 {
        client.say(submit(number, 0)).await;
    }
    client.say(wire::Ping { nonce: 1 }).await;
    let (numbers, answer) = bench.submits().await;
    let nothing = timeout(Duration::from_secs(20), client.stream.next()).await;
    assert!(nothing.is_err(), "the ping waits behind the submits");
    answer
        .send(numbers.iter().copied().map(receipt).collect())
        .unwrap();
    loop {
        match client.next().await {
            ServerFrame::Accepted(_) => {}
            ServerFrame::Pong(_) => break,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_sync_is_answered_by_a_page_or_by_a_code() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    let sync = wire::Sync {
        conversation: "lobby".to_owned(),
        epoch: 1,
        after: 4,
    };
    client.say(sync.clone()).await;
    let ServerFrame::Page(page) = client.next().await else {
        panic!("no page");
    };
    assert_eq!((page.messages[0].sequence, page.head, page.code), (5, 5, 0));
    *bench.uplink.refuses.lock() = Some(Code::UNAVAILABLE);
    client.say(sync).await;
    let ServerFrame::Page(page) = client.next().await else {
        panic!("no page");
    };
    assert_eq!((page.conversation.as_str(), page.code), ("lobby", 1001));
}

#[tokio::test(start_paused = true)]
async fn many_syncs_are_all_answered() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    for after in 0..50 {
        let sync = wire::Sync {
            conversation: "lobby".to_owned(),
            epoch: 1,
            after,
        };
        client.say(sync).await;
    }
    for _ in 0..50 {
        assert!(matches!(client.next().await, ServerFrame::Page(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn acks_leave_together_and_only_the_newest() {
    let mut bench = Bench::new();
    let stop = bench.tasks.token();
    let acks = bench.context.acks.clone();
    bench
        .tasks
        .spawn("acks", acks.run(bench.uplink.clone(), stop));
    let mut client = bench.attach("alice", 1).await;
    for sequence in [1, 3, 2] {
        let positions = vec![position(sequence).into()];
        client.say(wire::Ack { positions }).await;
    }
    let Call::Ack(acks) = bench.call().await else {
        panic!("no ack");
    };
    assert_eq!(acks.len(), 1);
    assert_eq!(acks[0].positions, [position(3)]);
}
