//! Planted bugs, and for each the scenario that catches it: `--plant NAME --only SCENARIO` must fail,
//! and `--planted` tries them all.

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

/// Those that must be caught.
pub(crate) const ALL: &[Plant] = &[
    plant!("ack-before-handling", Inside Bug::AckBeforeHandling, "acks before the handler has returned", "program_dies_in_its_handler"),
    plant!("step-over-gaps", Inside Bug::StepOverGaps, "a gap is not fetched", "pushes_are_moody"),
    plant!("forget-position", Inside Bug::ForgetPosition, "the SDK begins every log anew", "what_was_handled_stays_handled"),
    plant!("fresh-id-on-retry", Inside Bug::FreshIdOnRetry, "a message has another id when offered again", "switch_between_commit_and_answer"),
    plant!("refuse-offered", Inside Bug::RefuseOffered, "no answer is taken for a refusal", "switch_between_commit_and_answer"),
    plant!("forget-rounds", Inside Bug::ForgetRounds, "later messages overtake a refused one", "submits_fail_in_a_burst"),
    plant!("drop-silently", Inside Bug::DropSilently, "a full queue drops and tells nobody", "nothing_follows_what_was_dropped"),
    plant!("forget-acks", Inside Bug::ForgetAcks, "servers lose acks", "what_was_handled_stays_handled"),
    plant!("skip-table-fence", Inside Bug::SkipTableFence, "an older connection replaces a newer one", "older_attempts_arrive_late"),
    plant!("keep-displaced", Inside Bug::KeepDisplaced, "a displaced connection stays open", "displaced_on_the_same_server"),
    plant!("skip-login-check", Inside Bug::SkipLoginCheck, "a ticket outlives its login", "ended_login_arrives_alone"),
    plant!("settle-failed", Inside Bug::SettleFailed, "failed pushes are not repeated", "the_last_word_is_not_lost"),
    plant!("forget-dedupe", Seam SeamBug::ForgetDedupe, "repeated ids are stored again", "submits_lose_answers"),
    plant!("repeat-number", Seam SeamBug::RepeatNumber, "two messages get one number", "commits_queue_up"),
    plant!("accept-before-commit", Seam SeamBug::AcceptBeforeCommit, "accepted and not stored", "commits_queue_up"),
    plant!("forget-conflict", Seam SeamBug::ForgetConflict, "a used id is accepted with another text", "same_id_with_another_text"),
    plant!("swap-drafts", Seam SeamBug::SwapDrafts, "two messages change places", "nothing_goes_wrong"),
    plant!("skip-in-page", Seam SeamBug::SkipInPage, "a page leaves a message out", "backlog_that_grows"),
    plant!("short-heads", Seam SeamBug::ShortHeads, "the last message of a log is not told of", "what_was_handled_stays_handled"),
    plant!("forget-conversations", Seam SeamBug::ForgetConversations, "who was away hears nothing of private logs", "what_was_handled_stays_handled"),
    plant!("forget-positions", Seam SeamBug::ForgetPositions, "how far a device was is not found", "what_was_handled_stays_handled"),
    plant!("advance-too-far", Seam SeamBug::AdvanceTooFar, "a device is noted as further than it is", "reader_closes_with_messages_waiting"),
    plant!("forget-unsettled", Seam SeamBug::ForgetUnsettled, "nobody sweeps", "the_last_word_is_not_lost"),
    plant!("corrupt-text", Seam SeamBug::CorruptText, "a byte changes", "backlog_of_large_texts"),
    plant!("wrong-sender", Seam SeamBug::WrongSender, "stored under another name", "backlog_of_large_texts"),
    plant!("skip-fence", Seam SeamBug::SkipFence, "an older login attaches", "older_attempts_arrive_late"),
    plant!("locate-nobody", Seam SeamBug::LocateNobody, "nobody is found", "nothing_goes_wrong"),
    plant!("drop-push", Seam SeamBug::DropPush, "a push is lost and reported as taken", "nothing_goes_wrong"),
];
