//! What `im doctor` finds in real clusters, whole and broken.

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
    assert!(!ended.stdout.join("\n").contains(&home), "{ended:?}");

    let dead = ["--route", "http://me:hunter22@127.0.0.1:1", "doctor"];
    let ended = doctor(&dead).await;
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let report = ended.stdout.join("\n");
    assert!(report.contains("FAULT  route"), "{report}");
    assert!(!report.contains("hunter22"), "{report}");
}
