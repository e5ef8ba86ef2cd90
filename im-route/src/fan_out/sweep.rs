//! Takes over messages that nobody finished fanning out: their route died, a queue was full, or a
//! server did not take them. This, not the first push, is what makes delivery certain.

use std::sync::Arc;
use std::time::Duration;

use im_common::backend::messages::{FAN_OUT_WITHIN, MessageStore};
use im_common::backoff::random_fraction;
use im_common::tasks::Tasks;

use super::FanOut;
use crate::counters::Counters;

/// How often to look. With a message due after [`FAN_OUT_WITHIN`], the worst case is their sum.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Claimed at a time; more follow at once.
const CLAIM_MAX: usize = 512;

pub(super) fn start(
    messages: Arc<dyn MessageStore>,
    fan_out: FanOut,
    counters: Arc<Counters>,
    tasks: &Tasks,
) {
    let token = tasks.token();
    tasks.spawn("sweep", async move {
        token
            .run_until_cancelled(sweep(messages, fan_out, counters))
            .await;
    });
}

async fn sweep(messages: Arc<dyn MessageStore>, fan_out: FanOut, counters: Arc<Counters>) {
    loop {
        let claimed = match messages.claim_unsettled(FAN_OUT_WITHIN, CLAIM_MAX).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "cannot look for unsettled messages");
                Vec::new()
            }
        };
        let is_last = claimed.len() < CLAIM_MAX;
        Counters::add(&counters.reclaimed, claimed.len());
        for message in claimed {
            fan_out.repeat(message).await;
        }
        if is_last {
            // Jitter, so that routes do not all look at the same moment.
            tokio::time::sleep(LOOK_EVERY.mul_f64(0.5 + random_fraction())).await;
        }
    }
}
