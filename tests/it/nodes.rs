//! The nodes' command lines: what is missing or wrong is said, with an exit code.

use std::path::Path;
use std::process::Command;

use im_tests::process::binary;

#[test]
fn nodes_explain_what_they_lack() {
    let run = |name: &str, args: &[&str]| {
        let output = Command::new(binary(name))
            .args(args)
            .env_clear()
            .output()
            .expect("it runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, said) = run(
        "im-route",
        &[
            "--redis",
            "redis://127.0.0.1:1",
            "--etcd",
            "http://127.0.0.1:1",
        ],
    );
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--secret-file"), "{said}");
    let (code, said) = run("im-route", &["--redis", "redis://127.0.0.1:1"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--etcd"), "{said}");
    let (code, said) = run(
        "im-server",
        &["--etcd", "http://127.0.0.1:1", "--listen", "nonsense"],
    );
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("nonsense"), "{said}");
    let (code, said) = run(
        "im-route",
        &[
            "--listen",
            "0.0.0.0:0",
            "--redis",
            "redis://127.0.0.1:1",
            "--etcd",
            "http://127.0.0.1:1",
        ],
    );
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--advertise"), "{said}");
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "x".repeat(40)).expect("written");
    let path = |path: &Path| path.display().to_string();
    let (code, said) = run(
        "im-route",
        &[
            "--redis",
            "redis://127.0.0.1:1",
            "--etcd",
            "http://127.0.0.1:1",
            "--secret-file",
            &path(secret.path()),
        ],
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("127.0.0.1:1"), "{said}");
}
