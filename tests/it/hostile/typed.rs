//! What somebody else put into the user's own hands: words of a command line, lines typed before.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;

use im_tests::hostile::corpus;
use im_tests::liar::Liar;
use serde_json::json;

use super::{CTRL_U, Home, assert_only_ours, prompted};

/// Strings in one argument.
const AT_ONCE: usize = 30;
/// The line typed before.
const CTRL_P: &str = "\u{10}";

/// The corpus in arguments of a process, which cannot hold a zero byte.
fn words() -> Vec<String> {
    let corpus: Vec<String> = corpus().iter().map(|text| text.replace('\0', "")).collect();
    corpus
        .chunks(AT_ONCE)
        .map(|some| some.join(" / "))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_command_line_is_quoted_and_not_obeyed() {
    let home = Home::new();
    let liar = Liar::route(|_| (404, json!({}))).await;
    for word in words() {
        for arguments in [
            &["--password-file", &word, "online"][..],
            &["send", &word, "hi"],
            &["--device", &word, "online"],
            &["--route", &word, "online"],
            &["--colour", &word, "online"],
            &[&word],
            &["history", "--with", &word],
            &["search", &word, "--before", &word],
        ] {
            let mut im = home.im(&liar.url(), arguments);
            assert_ne!(im.ended().await, Some(0), "{arguments:?}");
            assert_only_ours(&im);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_typed_before_are_only_shown() {
    let home = Home::new();
    let state = home.path().join("state/im");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&state)
        .expect("a folder");
    // A tab is the only control that a line may keep: it leads no further than the line.
    let lines: Vec<String> = corpus()
        .iter()
        .map(|text| text.replace(['\n', '\t'], " "))
        .collect();
    fs::write(state.join("input_history"), lines.join("\n")).expect("written");
    let liar = Liar::start(|_| (404, json!({})), |_| Vec::new()).await;
    let mut im = home.im(&liar.url(), &[]);
    im.shows("connected as alice").await;
    prompted(&im).await;
    for _ in 0..=lines.len() {
        im.type_text(CTRL_P);
    }
    im.type_text(CTRL_U);
    im.type_text(":q\r");
    assert_eq!(im.ended().await, Some(0));
    assert_only_ours(&im);
}
