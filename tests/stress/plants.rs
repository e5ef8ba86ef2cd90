//! Planted bugs that this suite is known to catch, and for each a scenario that catches it: `--plant NAME --only SCENARIO` must fail.

use im_common::planted::Bug;
use im_tests::planted::{Place, Plant, SeamBug};

/// Writes a row: the name, where it sits, what it does, which scenario fails.
macro_rules! plant {
    ($name:literal, $place:ident $bug:expr, $what:literal, $caught_by:literal) => {
        Plant {
            name: $name,
            place: Place::$place($bug),
            what: $what,
            caught_by: $caught_by,
        }
    };
}

/// Those that are known to be caught.
pub(crate) const ALL: &[Plant] = &[
    plant!("forget-acks", Inside Bug::ForgetAcks, "loses acks", "away_and_back"),
    plant!("settle-failed", Inside Bug::SettleFailed, "failed pushes are not repeated", "the_last_word_is_not_lost"),
    plant!("forget-dedupe", Seam SeamBug::ForgetDedupe, "repeated ids are stored again", "submits_lose_answers"),
    plant!("repeat-number", Seam SeamBug::RepeatNumber, "two messages with one number", "commits_queue_up"),
    plant!("accept-before-commit", Seam SeamBug::AcceptBeforeCommit, "accepted and not stored", "commits_queue_up"),
    plant!("forget-conflict", Seam SeamBug::ForgetConflict, "another text under a used id", "same_id_with_another_text"),
    plant!("swap-drafts", Seam SeamBug::SwapDrafts, "two messages change places", "nothing_goes_wrong"),
    plant!("skip-in-page", Seam SeamBug::SkipInPage, "a page leaves one out", "backlog_that_grows"),
    plant!("advance-too-far", Seam SeamBug::AdvanceTooFar, "a device is noted as further", "reader_closes_with_messages_waiting"),
    plant!("forget-unsettled", Seam SeamBug::ForgetUnsettled, "nobody sweeps", "the_last_word_is_not_lost"),
    plant!("corrupt-text", Seam SeamBug::CorruptText, "a byte changes", "backlog_of_five_thousand"),
    plant!("wrong-sender", Seam SeamBug::WrongSender, "stored under another name", "commits_queue_up"),
    plant!("skip-fence", Seam SeamBug::SkipFence, "an older login attaches", "older_attempts_arrive_late"),
    plant!("detach-anybody", Seam SeamBug::DetachAnybody, "ends the session of another", "two_programs_take_turns"),
    plant!("locate-nobody", Seam SeamBug::LocateNobody, "nobody is found", "nothing_goes_wrong"),
    plant!("drop-push", Seam SeamBug::DropPush, "a push is lost and reported as taken", "nothing_goes_wrong"),
];
