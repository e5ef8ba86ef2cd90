use im_common::id::{LogEpoch, MessageId, Sequence};
use im_common::name::UserName;
use proptest::prelude::*;

use super::*;
use crate::cli::fixture::{self, reader, user};

/// What people send who want to own the reader's terminal.
fn hostile() -> Vec<String> {
    let corpus = include_str!("../../../../tests/hostile/corpus.txt");
    let strings = corpus.lines().filter(|line| line.starts_with('"'));
    strings
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Joiners and variation selectors stay where they do honest work.
fn is_deceptive(c: char) -> bool {
    let may_be_honest = matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}');
    safe::is_deceptive(c) && !may_be_honest
}

fn message(conversation: ConversationId, sender: u64, text: &str) -> Message {
    Message {
        id: MessageId::from_bytes(&[7; 16]).unwrap(),
        conversation,
        sequence: Sequence(3),
        epoch: LogEpoch(5),
        sender: user(sender),
        sender_name: UserName::new(if sender == 1 { "alice" } else { "bob" }).unwrap(),
        ..fixture::message(text)
    }
}

fn at_utc(view: View) -> View {
    View {
        clock: Clock::utc(),
        ..view
    }
}

#[test]
fn what_was_looked_for_stands_out_and_the_rest_stays_harmless() {
    let query = "bell deploy".parse().unwrap();
    let names = crate::cli::names::Names::default();
    let message = message(
        ConversationId::Lobby,
        2,
        "\u{7}Bell, \u{1b}[31mdeployed\nbell",
    );
    let view = View {
        emphasise: bold,
        ..at_utc(View::uncoloured())
    };
    let shown = view.found(&message, &reader(), (&names, &query));
    assert_eq!(
        shown,
        "1970-01-01 00:00:00 bob: ␇\u{1b}[1mBell\u{1b}[0m, ␛[31mdeployed\n    | \u{1b}[1mbell\u{1b}[0m\n"
    );
}

fn shown(conversation: ConversationId, sender: u64, text: &str) -> String {
    at_utc(View::uncoloured()).message(&message(conversation, sender, text), &reader(), "bob")
}

#[test]
fn a_line_says_who_speaks_to_whom() {
    let private = ConversationId::private(user(1), user(2));
    let lobby = ConversationId::Lobby;
    for (conversation, sender, line) in [
        (lobby.clone(), 2, "1970-01-01 00:00:00 bob: hi\n"),
        (lobby, 1, "1970-01-01 00:00:00 alice (phone): hi\n"),
        (private.clone(), 2, "1970-01-01 00:00:00 bob -> you: hi\n"),
        (private, 1, "1970-01-01 00:00:00 alice (phone) -> bob: hi\n"),
    ] {
        assert_eq!(shown(conversation, sender, "hi"), line);
    }
}

#[test]
fn only_the_name_is_coloured() {
    let line =
        at_utc(View::coloured()).message(&message(ConversationId::Lobby, 2, "hi"), &reader(), "");
    assert_eq!(line, "1970-01-01 00:00:00 \u{1b}[33mbob\u{1b}[0m: hi\n");
}

#[test]
fn own_messages_are_marked_once_they_are_accepted() {
    let private = ConversationId::private(user(1), user(2));
    let view = at_utc(View::uncoloured());
    assert_eq!(
        view.accepted(&message(private, 1, "hi"), &reader(), "bob"),
        "1970-01-01 00:00:00 ✓ alice -> bob: hi\n"
    );
}

#[test]
fn a_mention_stands_out_with_and_without_colours() {
    let text = "ask @Alice, not @alice2";
    let message = message(ConversationId::Lobby, 2, text);
    assert_eq!(
        at_utc(View::uncoloured()).message(&message, &reader(), ""),
        format!("1970-01-01 00:00:00 bob (mentions you): {text}\n")
    );
    let coloured = at_utc(View::coloured()).message(&message, &reader(), "");
    assert!(coloured.contains("\u{1b}[1m@Alice\u{1b}[0m, not @alice2"));
}

#[test]
fn a_message_elsewhere_is_announced_in_a_line() {
    let private = ConversationId::private(user(1), user(2));
    assert_eq!(
        at_utc(View::uncoloured()).announcement(&message(private, 2, "hi\nho")),
        "1970-01-01 00:00:00 bob -> you: \"hi␊ho\" (:to bob)\n"
    );
}

#[test]
fn the_beginning_of_a_name_stands_out() {
    let view = at_utc(View::coloured());
    for (name, prefix, line) in [
        (
            "张三",
            "张",
            "     1  \u{1b}[1m张\u{1b}[0m\u{1b}[32m三\u{1b}[0m\n",
        ),
        (
            "Bob",
            "bo",
            "     1  \u{1b}[1mBo\u{1b}[0m\u{1b}[32mb\u{1b}[0m\n",
        ),
        ("Bob", "bob", "     1  \u{1b}[1mBob\u{1b}[0m\n"),
        ("Bob", "", "     1  \u{1b}[32mBob\u{1b}[0m\n"),
        ("Bob", "x", "     1  \u{1b}[32mBob\u{1b}[0m\n"),
    ] {
        assert_eq!(view.user(user(1), name, prefix), line);
    }
}

/// Every line but the first is indented, and nothing but line ends and letters is left once our
/// own colours are taken away.
fn assert_harmless(rendered: &str) {
    let ours = ["\u{1b}[33m", "\u{1b}[1m", "\u{1b}[0m", "\u{1b}[0m"];
    let rest = ours
        .iter()
        .fold(rendered.to_owned(), |rest, own| rest.replacen(own, "", 1));
    let body = rest.strip_suffix('\n').unwrap();
    for line in body.split('\n').skip(1) {
        assert!(line.starts_with("    | "), "{rendered:?}");
    }
    let bad = |c: char| c.is_control() && c != '\n';
    assert!(!rest.contains(bad), "{rendered:?}");
}

#[test]
fn hostile_texts_are_harmless() {
    let view = at_utc(View::coloured());
    for text in hostile() {
        let message = message(ConversationId::Lobby, 2, &text);
        for rendered in [
            view.message(&message, &reader(), &text),
            view.accepted(&message, &reader(), &text),
        ] {
            assert_harmless(&rendered);
            assert!(!rendered.contains(is_deceptive), "{rendered:?}");
        }
        for line in [
            notice(&text),
            view.user(user(2), &text, "a"),
            view.user(user(2), &text, ""),
            view.announcement(&message),
            format!("{}\n", excerpt(&text)),
        ] {
            assert_harmless(&line);
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        }
    }
}

#[test]
fn json_keeps_the_exact_text_in_harmless_ascii() {
    for text in hostile() {
        let line = json::message(&message(ConversationId::Lobby, 2, &text));
        let body = line.strip_suffix('\n').unwrap();
        assert!(!body.contains(char::is_control), "{line:?}");
        assert!(!body.contains(safe::is_deceptive), "{line:?}");
        let parsed: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(parsed["text"], text);
    }
}

#[test]
fn the_fields_of_a_json_message_are_stable() {
    assert_eq!(
        json::message(&message(ConversationId::Lobby, 2, "\u{e0041}ü")),
        "{\"conversation\":\"lobby\",\"epoch\":5,\"sequence\":3,\
         \"id\":\"07070707-0707-0707-0707-070707070707\",\"sender\":{\"user_id\":2,\"name\":\"bob\"},\
         \"sender_device\":\"phone\",\"accepted_at_ms\":0,\"text\":\"\\udb40\\udc41ü\"}\n"
    );
}

#[test]
fn an_excerpt_is_short() {
    assert_eq!(excerpt("hi\nho"), "\"hi␊ho\"");
    assert_eq!(excerpt(&"x".repeat(90)), format!("\"{}…\"", "x".repeat(40)));
}

proptest! {
    #[test]
    fn any_text_is_harmless(text in any::<String>()) {
        let message = message(ConversationId::Lobby, 2, &text);
        assert_harmless(&at_utc(View::coloured()).message(&message, &reader(), ""));
        let line = json::message(&message);
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(parsed["text"].as_str(), Some(text.as_str()));
    }
}
