//! What a route or a server can say: names, reasons, errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use im_common::code::Code;
use im_common::wire;
use im_tests::hostile::corpus;
use im_tests::liar::{Liar, Said};
use serde_json::{Value, json};
use vt100::Screen;

use super::{CTRL_U, Home, assert_only_ours, prompted};

/// Strings in one reason: a few reasons are all of the corpus.
const AT_ONCE: usize = 100;

/// The corpus in few pieces.
fn reasons() -> Vec<String> {
    corpus()
        .chunks(AT_ONCE)
        .map(|some| some.join(" / "))
        .collect()
}

fn refusal(status: u16, reason: &str) -> (u16, Value) {
    let body = json!({"code": 4013, "error": reason, "message": reason, "retryable": false});
    (status, body)
}

/// Users whose names begin with `z`, their number and a dot.
fn liars_online() -> Value {
    let names = corpus().into_iter().enumerate();
    let user =
        |(number, text)| json!({"user_id": number + 10, "name": format!("z{number}.{text}")});
    let users: Vec<_> = names.map(user).collect();
    json!({"users": users, "next": null, "partial": false})
}

/// A conversation of the past in which every text is a lie, and every time.
fn past() -> Value {
    let texts = corpus().into_iter().enumerate();
    let message = |(number, text)| {
        json!({
            "sequence": number + 1,
            "id": "07070707-0707-0707-0707-070707070707",
            "sender": {"user_id": 2, "name": "mallory"},
            "accepted_at_ms": u64::MAX,
            "text": text,
        })
    };
    let messages: Vec<_> = texts.map(message).collect();
    json!({"conversation": "lobby", "epoch": 1, "head": messages.len(), "messages": messages})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_and_not_obeyed() {
    let home = Home::new();
    for reason in reasons() {
        let said = reason.clone();
        let liar = Liar::route(move |_| refusal(409, &said)).await;
        for arguments in [
            &["register"][..],
            &["send", "lobby", "hi"],
            &["online", "--json"],
            &["tail"],
            &["history"],
            &["login"],
            &["doctor"],
            &["doctor", "--json"],
            &["--no-input"],
        ] {
            let mut im = home.im(&liar.url(), arguments);
            assert_ne!(im.ended().await, Some(0), "{arguments:?}");
            assert_only_ours(&im);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_history_of_a_lying_route_are_only_shown() {
    let home = Home::new();
    let answers = |path: &str| match path {
        "/v1/users/online" => (200, liars_online()),
        "/v1/conversations/lobby/messages" => (200, past()),
        _ => refusal(404, "\u{1b}[2Jforged"),
    };
    let liar = Liar::start(answers, |_| Vec::new()).await;
    for arguments in [&["online"][..], &["online", "--json"]] {
        let mut im = home.im(&liar.url(), arguments);
        assert_eq!(im.ended().await, Some(0));
        assert_only_ours(&im);
    }
    let mut im = home.im(&liar.url(), &[]);
    im.shows("connected as alice").await;
    for command in [":olu", ":history 200", ":history nobody"] {
        prompted(&im).await;
        im.type_text(command);
        im.shows(command).await;
        im.type_text("\r");
    }
    prompted(&im).await;
    // Whatever Tab finds, it is drawn before the next key is looked at.
    for typed in ["@z", "@z1", ":history z"] {
        im.type_text(&format!("{typed}\t{CTRL_U}"));
    }
    im.type_text(":q\r");
    assert_eq!(im.ended().await, Some(0));
    assert_only_ours(&im);
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons_of_a_lying_server_are_only_shown() {
    let home = Home::new();
    let told = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&told);
    let speech = move |said| match said {
        // Each connection ends with another reason.
        Said::Hello(number) if number < reasons().len() => {
            vec![close(reasons().swap_remove(number))]
        }
        Said::Hello(_) | Said::Sync(_) => Vec::new(),
        Said::Submit(submit) => {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            let reason = reasons().swap_remove(number % reasons().len());
            let reason = format!("{reason} end of {}.", submit.text);
            vec![refuse(submit, reason)]
        }
    };
    let liar = Liar::start(|_| refusal(404, "no"), speech).await;
    let mut im = home.im(&liar.url(), &[]);
    im.shows("connected as alice").await;
    for number in 0..reasons().len() {
        prompted(&im).await;
        im.type_text(&format!("message {number}\r"));
        let end = format!("end of message {number}.");
        let is_there = move |screen: &Screen| {
            // Wherever the window ends within it.
            screen.contents().replace("\n    | ", "").contains(&end)
        };
        im.until("the end of the reason", is_there).await;
    }
    prompted(&im).await;
    im.type_text(":q\r");
    assert_eq!(im.ended().await, Some(0));
    assert!(told.load(Ordering::Relaxed) >= reasons().len());
    assert_only_ours(&im);
}

fn close(reason: String) -> wire::ServerFrame {
    let close = wire::Close {
        code: Code::OVERLOADED.0.into(),
        reason,
        retry_after_ms: 10,
    };
    close.into()
}

fn refuse(submit: wire::Submit, reason: String) -> wire::ServerFrame {
    let refused = wire::Refused {
        id: submit.id,
        code: Code::NOT_PERMITTED.0.into(),
        reason,
        retry_after_ms: 0,
        round: submit.round,
    };
    refused.into()
}
