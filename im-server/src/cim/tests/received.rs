//! What counts as received, and who is told.

use im_common::code::Code;
use im_common::message::Position;
use im_common::wire;
use tokio::time::sleep;

use super::*;

/// The next positions that a server hands to a route.
async fn acked(bench: &mut Bench) -> Vec<Position> {
    loop {
        if let Call::Ack(acks) = bench.call().await {
            return acks[0].positions.clone();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_a_while_later_confirms_what_was_written() {
    let mut bench = Bench::new();
    let mut client = CimClient::attach(&mut bench, "zhangsan").await;
    client.ping().await;
    let (user, device) = (user_of("zhangsan"), cim::device());
    let pending = |bench: &Bench| bench.context.acks.pending(user, &device);
    assert_eq!(pending(&bench), []);
    advance(Duration::from_secs(10)).await;
    client.ping().await;
    assert_eq!(pending(&bench), [position(9)]);
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_in_good_order_has_received_everything() {
    let mut bench = Bench::new();
    let mut client = CimClient::attach(&mut bench, "zhangsan").await;
    push(&bench, stored(10, "hello")).await;
    assert_eq!(client.next().await.text, "hello");
    client.stream.shutdown().await.unwrap();
    assert_eq!(acked(&mut bench).await, [position(10)]);
    assert!(matches!(bench.call().await, Call::Detach(_)));
}

#[tokio::test(start_paused = true)]
async fn who_vanishes_is_sent_the_same_again() {
    let mut bench = Bench::new();
    let mut client = CimClient::attach(&mut bench, "zhangsan").await;
    push(&bench, stored(10, "hello")).await;
    assert_eq!(client.next().await.text, "hello");
    drop(client);
    assert!(matches!(bench.call().await, Call::Detach(_)));
}

#[tokio::test(start_paused = true)]
async fn what_was_confirmed_is_handed_over_before_who_vanishes_can_come_back() {
    let mut bench = Bench::new();
    let mut client = CimClient::attach(&mut bench, "zhangsan").await;
    advance(Duration::from_secs(2)).await;
    client.ping().await;
    push(&bench, stored(10, "hello")).await;
    assert_eq!(client.next().await.text, "hello");
    drop(client);
    assert_eq!(acked(&mut bench).await, [position(9)]);
    assert!(matches!(bench.call().await, Call::Detach(_)));
}

#[tokio::test(start_paused = true)]
async fn who_is_sent_away_has_received_what_was_written_before() {
    let mut bench = Bench::new();
    let mut client = CimClient::attach(&mut bench, "zhangsan").await;
    push(&bench, stored(10, "hello")).await;
    let go_away = wire::GoAway::default();
    for handle in bench.context.connections.all() {
        let go_away = wire::ServerFrame::from(go_away.clone());
        handle.outbound.notice(encode(&go_away));
    }
    assert_eq!(client.next().await.text, "hello");
    client.is_hung_up_on().await;
    assert!(matches!(bench.call().await, Call::Detach(_)));
    client.stream.shutdown().await.unwrap();
    assert_eq!(acked(&mut bench).await, [position(10)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_being_written_at_the_order_to_close_is_received_too() {
    let mut bench = Bench::new();
    let mut client = CimClient::attach(&mut bench, "zhangsan").await;
    push(&bench, stored(10, &"x".repeat(PIPE_BYTES))).await;
    // The clock goes on by itself once the server can write no more.
    sleep(Duration::from_millis(1)).await;
    bench.context.connections.all()[0]
        .outbound
        .close(Code::GOING_AWAY);
    assert_eq!(client.next().await.text.len(), PIPE_BYTES);
    client.is_hung_up_on().await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(acked(&mut bench).await, [position(10)]);
}
