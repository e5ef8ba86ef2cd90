//! What `im` keeps on a machine: found again without the cluster, and whole after a kill.

use im_tests::scene::Scene;
use serde_json::Value;

/// A scene with two users.
async fn alice_and_bob() -> Scene {
    let scene = Scene::set().await;
    for user in ["alice", "bob"] {
        assert_eq!(scene.run(user, &["register"]).await.code(), Some(0));
    }
    scene
}

/// The texts that a command prints as JSON.
async fn texts(scene: &Scene, user: &str, args: &[&str]) -> Vec<String> {
    let ended = scene.run(user, args).await;
    let text = |line: &String| {
        let json: Value = serde_json::from_str(line).expect("JSON");
        json["text"].as_str().expect("text").to_owned()
    };
    ended.stdout.iter().map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_and_tailed_is_found_without_the_cluster() {
    let scene = alice_and_bob().await;
    for text in ["部署新版本", "deployed at noon"] {
        let sent = scene.run("alice", &["send", "bob", text]).await;
        assert_eq!(sent.code(), Some(0), "{sent:?}");
    }
    let tailed = scene.run("bob", &["tail", "--count", "1"]).await;
    assert_eq!(tailed.code(), Some(0), "{tailed:?}");
    // Bob has tailed one; looking back fills the gap.
    let whole = ["部署新版本", "deployed at noon"];
    let looked_back = texts(&scene, "bob", &["history", "alice", "--json"]).await;
    assert_eq!(looked_back, whole);

    scene.standalone.process.signal("KILL").await;
    for (user, args, expected) in [
        ("alice", &["search", "--json", "新版"][..], &whole[..1]),
        (
            "alice",
            &["search", "--json", "deploy", "in:bob"],
            &whole[1..],
        ),
        ("bob", &["search", "--json", "from:alice"], &whole[..]),
        (
            "bob",
            &["history", "alice", "--local", "--json"],
            &whole[..],
        ),
        (
            "bob",
            &["history", "alice", "--json", "--timeout", "1"],
            &whole[..],
        ),
    ] {
        assert_eq!(texts(&scene, user, args).await, expected, "{user} {args:?}");
    }
    let nothing = scene.run("bob", &["search", "never", "said"]).await;
    assert_eq!(nothing.code(), Some(7), "{nothing:?}");
    let mistake = scene.run("bob", &["search", "after:friday"]).await;
    assert_eq!(mistake.code(), Some(2), "{mistake:?}");
    let unreached = ["history", "alice", "--timeout", "1"];
    let unreached = scene.run("bob", &unreached).await;
    assert!(matches!(unreached.code(), Some(3 | 8)), "{unreached:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_writing_leaves_a_whole_archive() {
    const MESSAGES: usize = 400;
    let scene = alice_and_bob().await;
    let mut writer = scene.im("alice", &[]).await;
    let mut tail = scene.im("bob", &["tail", "--json"]).await;
    for n in 0..MESSAGES {
        writer.type_line(&format!("bob;;message {n}")).await;
        if n == MESSAGES / 2 {
            tail.line().await;
            tail.signal("KILL").await;
        }
    }
    writer.end_input();
    assert_eq!(writer.ended().await.code(), Some(0));
    let count = MESSAGES.to_string();
    let history = ["history", "alice", "--json", "--count", &count];
    let expected: Vec<String> = (0..MESSAGES).map(|n| format!("message {n}")).collect();
    assert_eq!(texts(&scene, "bob", &history).await, expected);
    // Everything that was looked back at is kept, and nothing was damaged.
    let search = ["search", "message", "--json", "--count", &count];
    assert_eq!(texts(&scene, "bob", &search).await, expected);
    let files = std::fs::read_dir(scene.home.file("im/archive")).expect("a folder");
    let mut names = files.map(|file| file.expect("a file").file_name());
    assert!(names.all(|name| !name.to_string_lossy().ends_with(".old")));
}
