use std::time::Duration;

use tokio::time::{Instant, advance, timeout};

use super::stalls::{BEHIND_AFTER, Stalls};

#[tokio::test(start_paused = true)]
async fn a_call_that_does_not_return_is_noticed_once() {
    let stalls = Stalls::default();
    let begun = Instant::now();
    stalls.begin();
    stalls.next().await;
    assert_eq!(begun.elapsed(), BEHIND_AFTER);
    let again = timeout(100 * BEHIND_AFTER, stalls.next()).await;
    assert!(again.is_err(), "told twice");

    stalls.end();
    stalls.begin();
    stalls.next().await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_return_are_not_noticed_however_many() {
    let stalls = Stalls::default();
    let calling = async {
        for _ in 0..100 {
            stalls.begin();
            advance(BEHIND_AFTER - Duration::from_millis(1)).await;
            stalls.end();
        }
    };
    tokio::select! {
        () = stalls.next() => panic!("all returned in time"),
        () = calling => {}
    }
}
