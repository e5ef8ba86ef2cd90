//! Whole connections over pipes, with the clock paused and a route played by the test.

mod frames;
mod opening;
mod pushes;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use im_common::code::Code;
use im_common::id::Members;
use im_common::transport::Push;
use im_common::wire;
use im_common::wire::server_frame::Frame as ServerFrame;
use tokio::time::{Instant, timeout};

use super::serve;
use crate::fixture::{Bench, stored, submit, user_of};

fn push(sequence: u64, text: &str, name: &str) -> Vec<Push> {
    vec![Push {
        message: stored(sequence, text),
        to: Members::Users(vec![user_of(name)]),
    }]
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_pinged_then_closed() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    let start = Instant::now();
    assert!(matches!(client.next().await, ServerFrame::Ping(_)));
    assert_eq!(start.elapsed().as_secs(), 8);
    client.say(wire::Pong { nonce: 0 }).await;
    assert!(matches!(client.next().await, ServerFrame::Ping(_)));
    assert_eq!(start.elapsed().as_secs(), 16);
    assert_eq!(client.closed().await, Code::SILENT);
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_with_their_nonce() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    client.say(wire::Ping { nonce: 77 }).await;
    let ServerFrame::Pong(pong) = client.next().await else {
        panic!("no pong");
    };
    assert_eq!(pong.nonce, 77);
}

#[tokio::test(start_paused = true)]
async fn an_unheard_client_is_not_taken_for_silent() {
    let mut bench = Bench::new();
    let mut client = bench.attach("alice", 1).await;
    for number in 1..=33 {
        client.say(submit(number, 0)).await;
    }
    let nothing = timeout(Duration::from_secs(300), client.stream.next()).await;
    assert!(nothing.is_err(), "neither pinged nor closed");
}

#[tokio::test]
async fn a_waiting_connection_is_small() {
    let bench = Bench::new();
    let (_, far) = tokio::io::duplex(64);
    let size = size_of_val(&serve(far, Arc::clone(&bench.context)));
    assert!(size < 1500, "{size} bytes");
}
