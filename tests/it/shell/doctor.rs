//! What `im doctor` finds in real clusters, whole and broken.

use std::path::PathBuf;

use im_tests::process::Ended;
use im_tests::scene::Scene;
use serde_json::Value;

fn verdicts(ended: &Ended) -> Vec<(String, String)> {
    let lines = ended.stdout.iter();
    let findings = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    findings
        .map(|finding| (text(&finding["check"]), text(&finding["verdict"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_what_works_and_what_does_not() {
    let scene = Scene::set().await;
    scene.run("alice", &["register"]).await;
    let variables = [("IM_ROUTE", scene.url.as_str()), ("IM_USER", "alice")];
    let doctor = async |args: &[&str]| scene.bare(args, &variables).await.ended().await;

    let ended = doctor(&["doctor", "--json"]).await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let found = verdicts(&ended);
    let is = |check: &str, verdict: &str| (check.to_owned(), verdict.to_owned());
    assert!(found.contains(&is("route", "ok")), "{found:?}");
    assert!(found.contains(&is("clock", "ok")), "{found:?}");
    assert!(found.contains(&is("connection", "note")), "{found:?}");

    scene.run("alice", &["login"]).await;
    let ended = doctor(&["doctor", "--json"]).await;
    assert!(
        verdicts(&ended).contains(&is("connection", "ok")),
        "{ended:?}"
    );
    let home = scene.home.path().display().to_string();
    assert!(
        ended.stdout.join("\n").contains("no message of alice"),
        "{ended:?}"
    );
    assert!(!ended.stdout.join("\n").contains(&home), "{ended:?}");

    let dead = ["--route", "http://me:hunter22@127.0.0.1:1", "doctor"];
    let ended = doctor(&dead).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let report = ended.stdout.join("\n");
    assert!(report.contains("FAULT  route"), "{report}");
    assert!(!report.contains("hunter22"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_a_broken_history_and_leaves_it_there() {
    let scene = Scene::set().await;
    scene.run("alice", &["register"]).await;
    scene.run("alice", &["send", "lobby", "hello"]).await;
    let history = async |args: &[&str]| {
        let ended = scene.run("alice", args).await;
        let line = ended.stdout.iter().find(|line| line.contains("history"));
        (ended.code(), line.expect("a line on the history").clone())
    };
    let (code, line) = history(&["doctor"]).await;
    assert_eq!(code, Some(0), "{line}");
    assert!(
        line.starts_with("ok ") && line.contains("messages: 1,") && !line.contains(" 0.0"),
        "{line}"
    );

    let file = alone_in(&scene.home.file("im/archive"));
    std::fs::write(&file, "no database").expect("written");
    let (code, line) = history(&["doctor"]).await;
    assert_eq!(code, Some(1), "{line}");
    assert!(
        line.starts_with("FAULT ") && line.contains("move it away"),
        "{line}"
    );
    let (_, line) = history(&["doctor", "--language", "zh-CN"]).await;
    assert!(line.contains("已损坏"), "{line}");
    let (_, line) = history(&["doctor", "--json"]).await;
    assert!(line.contains("\"fault\""), "{line}");
    let left = std::fs::read_to_string(&file).expect("it is there");
    assert_eq!(left, "no database");
}

/// The database in a folder. What belongs to it goes: SQLite would mend it with that.
fn alone_in(folder: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let is_database = |file: &PathBuf| file.extension().is_some_and(|end| end == "db");
    let (databases, others): (Vec<_>, Vec<_>) = files.partition(is_database);
    for other in others {
        std::fs::remove_file(other).expect("removed");
    }
    databases.into_iter().next().expect("an archive")
}
