//! What is pushed to a client, and clients that do not keep up with it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use im_common::code::Code;
use im_common::wire::server_frame::Frame as ServerFrame;
use tokio::time::Instant;

use super::push;
use crate::fixture::{Bench, Call};

#[tokio::test(start_paused = true)]
async fn a_client_is_told_of_its_logs_until_they_are_whole() {
    let mut bench = Bench::new();
    bench.uplink.lacks_logs.store(true, Ordering::Relaxed);
    let mut client = bench.attach("alice", 1).await;
    for _ in 0..3 {
        assert!(matches!(bench.call().await, Call::Heads));
        let ServerFrame::Heads(heads) = client.next().await else {
            panic!("no heads");
        };
        assert!(heads.more);
    }
    bench.uplink.lacks_logs.store(false, Ordering::Relaxed);
    assert!(matches!(bench.call().await, Call::Heads));
    let ServerFrame::Heads(heads) = client.next().await else {
        panic!("no heads");
    };
    assert!(!heads.more);
    // Whole: nobody looks any more.
    assert!(matches!(client.next().await, ServerFrame::Ping(_)));
    assert!(bench.calls.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_falls_behind_is_told_to_look_into_its_logs() {
    let mut bench = Bench::new();
    let mut client = bench.attach_over("alice", 1, 1024).await;
    let text = "x".repeat(1000);
    for sequence in 1..=600 {
        let pushed = push(sequence, &text, "alice");
        bench.context.connections.deliver(pushed).await;
        // Lets the connection take the first frames and get stuck with them.
        tokio::task::yield_now().await;
    }
    let mut last = 0;
    let heads = loop {
        match client.next().await {
            ServerFrame::Deliver(deliver) => {
                let sequence = deliver.message.unwrap().sequence;
                assert_eq!(sequence, last + 1);
                last = sequence;
            }
            ServerFrame::Heads(heads) => break heads,
            other => panic!("{other:?}"),
        }
    };
    assert!((256..600).contains(&last), "{last} were queued");
    assert_eq!(heads.heads[0].sequence, 9);
    assert!(matches!(bench.call().await, Call::Heads));
    bench
        .context
        .connections
        .deliver(push(601, "on", "alice"))
        .await;
    assert_eq!(client.delivered().await, 601);
}

#[tokio::test(start_paused = true)]
async fn looking_again_is_repeated_until_a_route_answers() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    *bench.uplink.refuses.lock() = Some(Code::UNAVAILABLE);
    bench.context.connections.all()[0].outbound.fall_behind();
    assert!(matches!(bench.call().await, Call::Heads));
    assert!(matches!(bench.call().await, Call::Heads));
    *bench.uplink.refuses.lock() = None;
    assert!(matches!(client.next().await, ServerFrame::Heads(_)));
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_takes_nothing_is_closed() {
    let mut bench = Bench::new();
    let mut client = bench.attach_over("alice", 1, 1024).await;
    let start = Instant::now();
    let text = "x".repeat(5000);
    bench
        .context
        .connections
        .deliver(push(1, &text, "alice"))
        .await;
    assert!(matches!(bench.call().await, Call::Detach(_)));
    let waited = start.elapsed().as_secs();
    assert!((10..=20).contains(&waited), "{waited} s");
    assert_eq!(bench.context.connections.count(), 0);
    assert_eq!(client.closed().await, Code::SLOW_READER);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_reads_at_all_is_kept() {
    let mut bench = Bench::new();
    let client = bench.attach_over("alice", 1, 1024).await;
    let text = "x".repeat(8000);
    bench
        .context
        .connections
        .deliver(push(1, &text, "alice"))
        .await;
    let mut stream = client.stream.into_inner();
    let mut chunk = [0; 1024];
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        let read = tokio::io::AsyncReadExt::read(&mut stream, &mut chunk).await;
        assert!(read.unwrap() > 0);
        assert_eq!(bench.context.connections.count(), 1);
    }
}
