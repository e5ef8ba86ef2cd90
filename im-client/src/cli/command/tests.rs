use im_common::id::UserId;
use im_common::name::UserName;
use proptest::prelude::*;

use super::*;

fn say(to: Recipient, text: &str) -> Result<Line, Mistake> {
    let text = text.to_owned();
    Ok(Line::Say { to, text })
}

fn said(text: &str) -> Result<Line, Mistake> {
    Ok(Line::Text(text.to_owned()))
}

fn name(name: &str) -> Recipient {
    Recipient::Name(UserName::new(name).unwrap())
}

fn user(id: u64) -> Recipient {
    Recipient::User(UserId::new(id).unwrap())
}

#[test]
fn lines_go_to_whom_they_address() {
    for (line, expected) in [
        ("hello", said("hello")),
        ("  hello \n", said("  hello ")),
        ("hello\r\n", said("hello")),
        ("two\nlines", said("two\nlines")),
        ("12;;hi", say(user(12), "hi")),
        ("12 ;;hi;;ho", say(user(12), "hi;;ho")),
        ("bob;; hi", say(name("bob"), " hi")),
        ("张三;;你好", say(name("张三"), "你好")),
        ("lobby;;for(;;){}", say(Recipient::Lobby, "for(;;){}")),
        ("for (;;) {}", said("for (;;) {}")),
        ("@bob hi @carol", say(name("bob"), "hi @carol")),
        ("@bob: hi", say(name("bob"), "hi")),
        (" @bob  hi;;ho", say(name("bob"), "hi;;ho")),
        ("@12 hi", say(user(12), "hi")),
        ("@lobby hi", say(Recipient::Lobby, "hi")),
        ("::q", said(":q")),
        (":::", said("::")),
        ("@@bob", said("@bob")),
        ("a :q", said("a :q")),
        ("", Ok(Line::Empty)),
        (" \t\n", Ok(Line::Empty)),
    ] {
        assert_eq!(parse(line), expected, "{line:?}");
    }
}

#[test]
fn commands_are_understood() {
    let lobby = Recipient::Lobby;
    for (line, expected) in [
        (":q", Command::Quit),
        (" :q ", Command::Quit),
        (":q!", Command::QuitAtOnce),
        (":all", Command::All),
        (":help", Command::All),
        (":help q!", Command::Help(find("q!").unwrap())),
        (":help :olu", Command::Help(find("olu").unwrap())),
        (":to", Command::To(Recipient::Lobby)),
        (":to @bob", Command::To(name("bob"))),
        (":to 张三", Command::To(name("张三"))),
        (":pu 张", Command::Online("张".to_owned())),
        (":emoji", Command::Emoji(1)),
        (":emoji 3", Command::Emoji(3)),
        (":ai", Command::Ai(true)),
        (":qai", Command::Ai(false)),
        (":delay", Command::Delay(Delay::List)),
        (":delay cancel 2", Command::Delay(Delay::Cancel(2))),
        (":info", Command::Info),
        (":olu", Command::Online(String::new())),
        (":olu  al ", Command::Online("al".to_owned())),
        (":more", Command::More),
    ] {
        assert_eq!(parse(line), Ok(Line::Command(expected)), "{line:?}");
    }
    for (line, with, limit) in [
        (":history", lobby.clone(), HISTORY_DEFAULT),
        (":history 5", lobby.clone(), 5),
        (":history bob", name("bob"), HISTORY_DEFAULT),
        (":history @bob 0", name("bob"), 1),
        (":history 12 99999", user(12), HISTORY_MAX),
        (":history lobby 3", lobby, 3),
    ] {
        let expected = Command::History { with, limit };
        assert_eq!(parse(line), Ok(Line::Command(expected)), "{line:?}");
    }
}

#[test]
fn a_delayed_line_is_kept_as_it_was_typed() {
    let line = "@bob  two\nlines of any length ";
    let parsed = parse(&format!(":delay 60 {line}"));
    let expected = Delay::Send {
        after: std::time::Duration::from_secs(60),
        line: line.trim_end().to_owned(),
    };
    assert_eq!(parsed, Ok(Line::Command(Command::Delay(expected))));
}

#[test]
fn slips_are_not_sent_to_everybody() {
    for line in [
        ":",
        ":Q",
        ":)",
        ": q",
        ":quit",
        ":olu\u{0}",
        "@",
        "@ all",
        "@-x hi",
        "@bob",
        "@bob  ",
        ";;secret",
        "no!body;;secret",
        "bob;;",
        "bob;;  ",
        "0;;x",
    ] {
        let parsed = parse(line);
        assert!(parsed.is_err(), "{line:?} became {parsed:?}");
    }
}

#[test]
fn the_nearest_command_is_suggested() {
    for (typed, expected) in [
        (":oul", Some("olu")),
        (":ola", Some("olu")),
        (":histroy bob", Some("history")),
        (":Q", Some("q")),
        (":infos", Some("info")),
        (":halp", Some("help")),
        (":x", None),
        (":)", None),
        (":", None),
        (":something", None),
    ] {
        let Err(Mistake::UnknownCommand { nearest, .. }) = parse(typed) else {
            panic!("{typed:?} is no unknown command");
        };
        assert_eq!(nearest, expected, "{typed:?}");
    }
}

#[test]
fn wrong_arguments_show_the_usage() {
    for (line, usage) in [
        (":q! now", "it is used so: :q!"),
        (":pu", "it is used so: :pu PREFIX"),
        (":to two words", "it is used so: :to [WHO]"),
        (":emoji x", "it is used so: :emoji [PAGE]"),
        (":help nonsense", "it is used so: :help [COMMAND]"),
        (
            ":delay soon hi",
            "it is used so: :delay [SECONDS TEXT | cancel N]",
        ),
        (
            ":delay 5",
            "it is used so: :delay [SECONDS TEXT | cancel N]",
        ),
        (
            ":delay 0 hi",
            "it is used so: :delay [SECONDS TEXT | cancel N]",
        ),
        (
            ":delay 99999999999 hi",
            "it is used so: :delay [SECONDS TEXT | cancel N]",
        ),
        (":history bob many", "it is used so: :history [WHO] [N]"),
        (":history a b c", "it is used so: :history [WHO] [N]"),
    ] {
        assert_eq!(parse(line).unwrap_err().to_string(), usage);
    }
}

proptest! {
    #[test]
    fn any_line_is_understood_or_refused(line in "\\PC*|.*") {
        let _ = parse(&line);
    }

    #[test]
    fn a_single_colon_never_becomes_text(rest in "[^:].*") {
        let parsed = parse(&format!(":{rest}"));
        let became_text = matches!(parsed, Ok(Line::Say { .. } | Line::Text(_)));
        prop_assert!(!became_text);
    }

    #[test]
    fn a_private_text_never_goes_to_the_lobby(to in "[a-z]{2,8}|[1-9]{1,6}", text in "[^\\s].*") {
        prop_assume!(to != "lobby");
        for line in [format!("{to};;{text}"), format!("@{to} {text}")] {
            if let Line::Say { to, text: sent } = parse(&line).unwrap() {
                prop_assert_ne!(to, Recipient::Lobby);
                prop_assert_eq!(&sent, text.strip_suffix('\r').unwrap_or(&text));
            } else {
                prop_assert!(false, "not sent");
            }
        }
    }
}
