//! The faults of every commit, in real processes: see `tests/README.md`.

use std::process::Command;

use im_tests::process::binary;

#[test]
fn the_short_selection_of_faults_holds() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(binary("im-faults"))
        .args(["run", "--short", "--no-bounds", "--users=30", "--rate=50"])
        .arg("--folder")
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        // The logs stay, for whoever looks into it.
        let kept = folder.keep();
        panic!(
            "{said}{}\n{}",
            String::from_utf8_lossy(&output.stderr),
            kept.display()
        );
    }
    assert!(said.contains("F-01 cluster"), "{said}");
}
