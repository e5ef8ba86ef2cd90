//! What the documents and manifests promise, held against the code.

use std::process::Command;

use im_common::code::{NextStep, TABLE};
use im_tests::process::root;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn dependencies(args: &[&str]) -> Vec<String> {
    let lines = tree("{p}", args);
    let names = lines.iter().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}

/// What cargo says of each package that is pulled.
fn tree(format: &str, args: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix", "none", "--format", format])
        .args(args)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn crates_depend_only_on_whom_they_may() {
    let ours = |package: &str| {
        let mut ours: Vec<String> = dependencies(&["-p", package, "-e", "normal", "--depth", "1"])
            .into_iter()
            .filter(|name| name.starts_with("im-") && name != package)
            .collect();
        ours.sort();
        ours.dedup();
        ours
    };
    assert_eq!(ours("im-common"), Vec::<String>::new());
    assert_eq!(ours("im-client"), ["im-common"]);
    assert_eq!(ours("im-server"), ["im-common"]);
    assert_eq!(ours("im-route"), ["im-common"]);
    assert_eq!(ours("im-admin"), ["im-common"]);
    assert_eq!(
        ours("im-standalone"),
        ["im-client", "im-common", "im-route", "im-server"]
    );
}

#[test]
fn an_integrator_pulls_no_server_and_no_command_line() {
    let pulled = dependencies(&["-p", "im-client", "--no-default-features", "-e", "normal"]);
    for unwanted in [
        "redis",
        "etcd-client",
        "fjall",
        "moka",
        "axum",
        "rustyline",
        "clap",
        "rusqlite",
        "argon2",
    ] {
        assert!(
            !pulled.iter().any(|name| name == unwanted),
            "the SDK pulls {unwanted}"
        );
    }
}

/// Each package is one more that an integrator has to compile, to audit and to update. Most of these
/// come with HTTP and the runtime; there is room for a few that those pull in one day, not for another
/// such part.
const PACKAGES_MAX: usize = 105;

#[test]
fn an_integrator_pulls_few_packages() {
    let mut pulled = dependencies(&["-p", "im-client", "--no-default-features", "-e", "normal"]);
    pulled.sort();
    pulled.dedup();
    assert!(pulled.len() <= PACKAGES_MAX, "{}: {pulled:?}", pulled.len());
}

#[test]
fn planted_bugs_are_in_nothing_that_is_installed() {
    let is_planted = |package: &str| {
        let lines = tree("{p} features={f}", &["-p", package, "-e", "normal"]);
        let common = lines.iter().find(|line| line.starts_with("im-common "));
        common.expect("all need im-common").contains("planted")
    };
    let installed = [
        "im-client",
        "im-server",
        "im-route",
        "im-standalone",
        "im-admin",
    ];
    for package in installed {
        assert!(!is_planted(package), "{package} is built with planted bugs");
    }
    assert!(is_planted("im-tests"), "or this test proves nothing");
}

#[test]
fn the_server_never_talks_to_redis_itself() {
    let folder = root().join("im-server/src");
    let grep = Command::new("grep")
        .args(["-rniE", "redis|fjall"])
        .arg(folder)
        .output()
        .expect("grep runs");
    assert_eq!(String::from_utf8_lossy(&grep.stdout), "");
}

#[test]
fn the_protocol_document_lists_every_code() {
    let document = read("docs/PROTOCOL.md");
    for entry in TABLE {
        let step = match entry.code.next_step() {
            NextStep::Retry => "retry",
            NextStep::LogIn => "log in",
            NextStep::Sync => "sync",
            NextStep::GiveUp => "give up",
        };
        let row = format!(
            "| {} | `{}` | {} | {step} |",
            entry.code.0, entry.name, entry.meaning
        );
        assert!(
            document.contains(&row),
            "docs/PROTOCOL.md lacks the row\n{row}"
        );
    }
}

#[test]
fn the_smallest_bot_is_small() {
    let bot = read("im-client/examples/echo_bot.rs");
    let code = bot
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("//"));
    assert!(code.count() <= 15, "{bot}");
}

#[test]
fn the_api_description_lists_every_path() {
    let description: serde_json::Value = serde_json::from_str(&im_route::openapi()).expect("JSON");
    let paths = description["paths"].as_object().expect("paths");
    for path in [
        "/v1/users",
        "/v1/login",
        "/v1/ticket",
        "/v1/logout",
        "/v1/messages",
        "/v1/users/online",
        "/v1/users/{user}",
        "/v1/conversations/{conversation}/messages",
        "/v1/conversations/{conversation}/delivered",
        "/v1/health",
    ] {
        assert!(paths.contains_key(path), "{path} is not described");
    }
}

#[test]
fn documents_link_to_files_that_exist() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/CLIENT.md",
        "docs/PROTOCOL.md",
        "docs/VOCABULARY.md",
        "docs/MIGRATING-FROM-CIM.md",
    ] {
        let text = read(document);
        let folder = root().join(document);
        let folder = folder.parent().expect("a folder");
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") {
                assert!(folder.join(path).exists(), "{document} links to {target}");
            }
        }
    }
}

#[test]
fn every_fault_of_cim_has_a_test_that_there_is() {
    let guide = read("docs/MIGRATING-FROM-CIM.md");
    let rows = |letter: char, count: usize| (1..=count).map(move |n| format!("| {letter}{n} |"));
    for row in rows('L', 15).chain(rows('R', 12)).chain(rows('S', 11)) {
        assert!(guide.contains(&row), "no row {row}");
    }
    let tests: String = std::fs::read_dir(root().join("tests/it/cim"))
        .expect("a folder")
        .map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("a text"))
        .collect();
    let (_, faults) = guide.split_once("## CIM's faults").expect("a chapter");
    for row in faults.lines().filter(|line| line.starts_with("| ")) {
        let shown_by = row.rsplit('|').nth(1).expect("a last column");
        for name in shown_by.split('`').skip(1).step_by(2) {
            let is_there = tests.contains(&format!("fn {name}(")) || root().join(name).exists();
            assert!(is_there, "{name} is no test");
        }
    }
}
