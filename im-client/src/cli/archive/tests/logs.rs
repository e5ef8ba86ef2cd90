//! What is kept of a log: in its order, without what it lost, as far as it is whole.

use im_common::id::{ConversationId, LogEpoch, Sequence};

use super::{Scene, message, private, record, texts};
use crate::Message;
use crate::cli::archive::{Archive, Part};

async fn lobby(archive: &Archive) -> Vec<(u64, u64, String)> {
    let part = Part {
        before: None,
        before_ms: None,
        limit: 9999,
    };
    let part = archive.part(&ConversationId::Lobby, part).await.unwrap();
    let line = |message: Message| (message.sequence.0, message.epoch.0, message.text);
    part.into_iter().map(line).collect()
}

#[tokio::test]
async fn what_is_said_within_a_millisecond_stays_in_order() {
    let scene = Scene::set();
    let archive = scene.open();
    let at_once = |message: Message| Message {
        accepted_at_ms: 7,
        ..message
    };
    // The second page of looking back holds what was said before.
    let places = [3, 4, 1, 2];
    let lobby = places.map(|n| at_once(message(1, n, &format!("lobby {n}"))));
    let elsewhere = places.map(|n| at_once(private(n, 2, &format!("private {n}"))));
    record(&archive, lobby.into_iter().chain(elsewhere)).await;
    let expected = ["lobby 1", "lobby 2", "lobby 3", "lobby 4"];
    assert_eq!(texts(&archive, "lobby").await, expected);
    assert_eq!(texts(&archive, "private").await.len(), 4);
}

#[tokio::test]
async fn what_the_log_lost_goes() {
    let scene = Scene::set();
    let archive = scene.open();
    let kept = message(1, 2, "kept");
    record(
        &archive,
        [
            message(1, 1, "first"),
            kept.clone(),
            message(1, 3, "lost"),
            message(1, 4, "lost too"),
        ],
    )
    .await;
    // The page of the new epoch overlaps with what is held.
    let again = Message {
        epoch: LogEpoch(2),
        ..kept
    };
    record(
        &archive,
        [again, message(2, 3, "new"), message(1, 3, "late")],
    )
    .await;
    let held = [(1, 1, "first"), (2, 2, "kept"), (3, 2, "new")];
    let held = held.map(|(sequence, epoch, text)| (sequence, epoch, text.to_owned()));
    assert_eq!(lobby(&archive).await, held);
    assert!(texts(&archive, "lost").await.is_empty());
    assert!(texts(&archive, "late").await.is_empty());
}

#[tokio::test]
async fn a_log_that_began_anew_leaves_the_earlier_one_to_be_found() {
    let scene = Scene::set();
    let archive = scene.open();
    record(
        &archive,
        [message(1, 5, "old five"), message(1, 6, "old six")],
    )
    .await;
    // Told by the cluster: nothing is held at its first places.
    archive.reset(ConversationId::Lobby).await;
    record(
        &archive,
        [message(2, 1, "new one"), message(2, 2, "new two")],
    )
    .await;
    // Another process was told as well, of the same.
    archive.reset(ConversationId::Lobby).await;
    record(
        &archive,
        [message(2, 2, "new two"), message(2, 3, "new three")],
    )
    .await;
    // Not told: this log holds other messages from its first place on.
    record(&archive, [message(3, 1, "newest")]).await;
    assert_eq!(lobby(&archive).await, [(1, 3, "newest".to_owned())]);
    assert_eq!(texts(&archive, "old").await, ["old five", "old six"]);
    assert_eq!(texts(&archive, "new in:lobby").await.len(), 4);
}

#[tokio::test]
async fn a_run_ends_at_a_gap_and_at_an_earlier_epoch() {
    let scene = Scene::set();
    let archive = scene.open();
    let places = [(1, 1), (1, 2), (2, 3), (2, 4), (2, 6), (2, 7)];
    record(
        &archive,
        places.map(|(epoch, sequence)| message(epoch, sequence, "x")),
    )
    .await;
    for (before, limit, expected) in [
        (8, 9, &[6, 7][..]),
        (8, 1, &[7]),
        (5, 9, &[3, 4]),
        (6, 9, &[]),
        (3, 9, &[]),
    ] {
        let before = (LogEpoch(2), Sequence(before));
        let run = archive.run(&ConversationId::Lobby, before, limit).await;
        let run: Vec<u64> = run.unwrap().iter().map(|m| m.sequence.0).collect();
        assert_eq!(run, expected, "before {before:?}");
    }
}

#[tokio::test]
async fn several_write_at_once() {
    let scene = Scene::set();
    let archives: Vec<Archive> = (0..4).map(|_| scene.open()).collect();
    // Each brings what another one brings as well.
    let all: Vec<Message> = (1..=2000)
        .map(|n| message(1, n, &format!("w{n}")))
        .collect();
    let writing = archives.iter().enumerate().map(|(at, archive)| {
        let mine = all.iter().skip(at * 400).take(800).cloned();
        record(archive, mine)
    });
    futures::future::join_all(writing).await;
    for archive in archives {
        archive.close().await;
    }
    let archive = scene.open();
    let held: Vec<u64> = lobby(&archive).await.iter().map(|(at, ..)| *at).collect();
    assert!(held.iter().copied().eq(1..=2000), "{} held", held.len());
    assert_eq!(texts(&archive, "w1999").await, ["w1999"]);
}
