//! What is printed for programs is as its schema says.

use im_tests::process::{Ended, root};
use im_tests::scene::Scene;
use serde_json::Value;

/// Finds every line as the schema says.
fn valid(schema: &str, ended: &Ended) {
    let file = root().join(format!("im-client/schemas/{schema}.json"));
    let text = std::fs::read_to_string(file).expect("a schema");
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert!(jsonschema::meta::is_valid(&json), "{schema} is no schema");
    let validator = jsonschema::validator_for(&json).expect("a schema");
    assert!(!ended.stdout.is_empty(), "{schema}: {ended:?}");
    for line in &ended.stdout {
        let line: Value = serde_json::from_str(line).expect("JSON");
        if let Err(error) = validator.validate(&line) {
            panic!("{schema}: {error} in {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_for_programs_follows_its_schema() {
    let scene = Scene::set().await;
    valid("user", &scene.run("alice", &["register", "--json"]).await);
    scene.run("bob", &["register"]).await;
    valid("login", &scene.run("alice", &["login", "--json"]).await);
    for to in ["lobby", "alice"] {
        let args = ["send", to, "two\nlines \u{1b}[2J", "--json"];
        valid("receipt", &scene.run("bob", &args).await);
    }
    let args = ["tail", "--json", "--count", "2"];
    valid("message", &scene.run("alice", &args).await);
    for args in [
        &["history", "bob", "--json"][..],
        &["history", "bob", "--json", "--local"],
        // From the archive alone: no cluster is asked.
        &["search", "--json", "lines", "from:bob"],
        &["search", "--json", "in:lobby", "before:2100-01-01"],
    ] {
        valid("message", &scene.run("alice", args).await);
    }
    valid("user", &scene.run("alice", &["online", "--json"]).await);
    valid("setting", &scene.run("alice", &["config", "--json"]).await);
    valid("finding", &scene.run("alice", &["doctor", "--json"]).await);
}
