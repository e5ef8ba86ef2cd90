//! What the command generates from its own help: completions and manual pages.

use std::process::{Command, Output};

use im_tests::process::binary;

fn im(args: &[&str]) -> Output {
    let output = Command::new(binary("im")).args(args).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{args:?}: {output:?}");
    output
}

/// Runs a shell or a program, if this machine has it.
fn accepts(program: &str, args: &[&str]) {
    match Command::new(program).args(args).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.success() && said.is_empty(),
                "{program}: {said}"
            );
        }
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{program}"),
    }
}

#[test]
fn completions_are_scripts_that_their_shells_accept() {
    let folder = tempfile::tempdir().expect("a folder");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = im(&["completions", shell]);
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        for word in ["tail", "password-command", "doctor"] {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
        let file = folder.path().join(shell);
        std::fs::write(&file, script).expect("written");
        let file = file.display().to_string();
        match shell {
            "bash" | "zsh" => accepts(shell, &["-n", &file]),
            "fish" => accepts(shell, &["--no-execute", &file]),
            _ => {}
        }
    }
}

#[test]
fn there_is_a_page_for_each_command() {
    let folder = tempfile::tempdir().expect("a folder");
    im(&["man", &folder.path().display().to_string()]);
    for page in [
        "im",
        "im-send",
        "im-tail",
        "im-login",
        "im-doctor",
        "im-man",
    ] {
        let file = folder.path().join(format!("{page}.1"));
        let text = std::fs::read_to_string(&file).expect("a page");
        assert!(text.contains(&format!(".TH {page} 1")), "{page}: {text}");
        let file = file.display().to_string();
        accepts("groff", &["-man", "-Tutf8", "-ww", "-z", &file]);
        accepts("mandoc", &["-Tlint", "-Werror", &file]);
    }
}

#[test]
fn whoever_stops_reading_has_read_enough() {
    let script = "\"$0\" completions bash | head -c 1 >/dev/null; echo ${PIPESTATUS[0]}";
    let output = Command::new("bash")
        .args(["-c", script])
        .arg(binary("im"))
        .output()
        .expect("bash runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.stdout.as_slice(), said.as_str()), (&b"0\n"[..], ""));
}
