//! Files that are damaged, of others or out of reach.

use std::fs;
use std::path::Path;
use std::time::Duration;

use im_common::message::Identity;
use rusqlite::Connection;

use super::{Scene, fill, message, record, texts};
use crate::cli::archive::{Archive, Query, Trouble};
use crate::cli::fixture::{reader, user};

#[tokio::test]
async fn a_damaged_file_is_put_aside_and_told() {
    let no_database = |_| vec![b'x'; 5000];
    let broken_tables = |mut content: Vec<u8>| {
        content[4096..].fill(0xee);
        content
    };
    let damages: [fn(Vec<u8>) -> Vec<u8>; 2] = [no_database, broken_tables];
    for damage in damages {
        let scene = Scene::set();
        fill(&scene.path(), (1..100).map(|n| message(1, n, "before")));
        let damaged = damage(fs::read(scene.path()).unwrap());
        fs::write(scene.path(), &damaged).unwrap();
        let mut archive = scene.open();
        record(&archive, [message(1, 100, "after")]).await;
        assert_eq!(texts(&archive, "after").await, ["after"]);
        let Trouble::Damaged(kept) = archive.trouble().await else {
            panic!("another trouble");
        };
        assert_eq!(fs::read(kept).unwrap(), damaged);
    }
}

#[tokio::test]
async fn damage_that_a_question_finds_is_put_aside_as_well() {
    let scene = Scene::set();
    fill(&scene.path(), [message(1, 1, "before")]);
    let connection = Connection::open(scene.path()).unwrap();
    connection
        .execute("UPDATE message SET name = x'00'", [])
        .unwrap();
    drop(connection);
    let mut archive = scene.open();
    let query: Query = "before".parse().unwrap();
    assert!(archive.search(&query, None, 1).await.is_err());
    assert!(matches!(archive.trouble().await, Trouble::Damaged(_)));
    assert!(texts(&archive, "before").await.is_empty());
}

#[tokio::test]
async fn another_account_of_the_same_name_gets_an_archive_of_its_own() {
    let scene = Scene::set();
    fill(&scene.path(), [message(1, 1, "of the first")]);
    let mut archive = scene.open();
    let second = Identity {
        user: user(9),
        ..reader()
    };
    archive
        .record(&second, message(1, 1, "of the second"))
        .await;
    assert_eq!(texts(&archive, "of").await, ["of the second"]);
    assert!(matches!(archive.trouble().await, Trouble::AnotherAccount(kept) if kept.exists()));
}

#[tokio::test]
async fn a_file_of_a_later_version_is_left_alone() {
    let scene = Scene::set();
    fill(&scene.path(), [message(1, 1, "x")]);
    let connection = Connection::open(scene.path()).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let mut archive = scene.open();
    record(&archive, [message(1, 2, "y")]).await;
    let Trouble::Unusable(why) = archive.trouble().await else {
        panic!("another trouble");
    };
    assert!(why.contains("later version"), "{why}");
    assert!(
        archive
            .search(&"y".parse().unwrap(), None, 1)
            .await
            .is_err()
    );
    assert_eq!(scene.files(), 1);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_told_once() {
    let mut archive = Archive::open(Path::new("/nowhere/at/all.db")).unwrap();
    record(&archive, [message(1, 1, "x")]).await;
    assert!(matches!(archive.trouble().await, Trouble::Unusable(_)));
    record(&archive, [message(1, 2, "x")]).await;
    assert_eq!(archive.clone().close().await, None);
    let told_again = tokio::time::timeout(Duration::ZERO, archive.trouble());
    assert!(told_again.await.is_err());
}
