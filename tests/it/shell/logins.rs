//! Where a password comes from, and logins that are kept.

use im_tests::process::binary;
use im_tests::scene::Scene;

const NO_INPUT: [&str; 4] = ["send", "lobby", "hi", "--no-input"];

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_login_replaces_the_password_until_it_ends() {
    let scene = Scene::set().await;
    scene.run("alice", &["register"]).await;
    let variables = [("IM_ROUTE", scene.url.as_str()), ("IM_USER", "alice")];
    let im = async |args: &[&str]| scene.bare(args, &variables).await.ended().await;

    let without = im(&NO_INPUT).await;
    assert_eq!(without.code(), Some(2), "{without:?}");
    assert!(without.stderr.contains("im login"), "{without:?}");
    let command = format!("cat {}", scene.home.password_file());
    let login = im(&["login", "--password-command", &command]).await;
    assert_eq!(login.code(), Some(0), "{login:?}");
    for args in [&NO_INPUT[..], &NO_INPUT, &["online", "--no-input"]] {
        let ended = im(args).await;
        assert_eq!(ended.code(), Some(0), "{ended:?}");
    }
    let tail = im(&["tail", "--no-input", "--count", "2"]).await;
    assert_eq!(tail.stdout.len(), 2, "{tail:?}");

    let kept = std::fs::read(scene.home.file("im/logins.json")).expect("kept");
    assert_eq!(im(&["logout"]).await.code(), Some(0));
    assert_eq!(im(&NO_INPUT).await.code(), Some(2));
    std::fs::write(scene.home.file("im/logins.json"), kept).expect("written");
    let ended = im(&NO_INPUT).await;
    assert_eq!(ended.code(), Some(4), "{ended:?}");
    assert!(
        ended.stderr.contains("im login begins another"),
        "{ended:?}"
    );
    // What has ended already can be forgotten all the same.
    assert_eq!(im(&["logout"]).await.code(), Some(0));
    assert_eq!(im(&["logout"]).await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_comes_by_descriptor_and_never_twice() {
    let scene = Scene::set().await;
    scene.run("alice", &["register"]).await;
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg("exec \"$0\" online --password-fd 3 3<\"$1\"")
        .args([
            binary("im").display().to_string(),
            scene.home.password_file(),
        ])
        .envs([("IM_ROUTE", scene.url.as_str()), ("IM_USER", "alice")])
        .envs(scene.home.variables())
        .output()
        .expect("a shell runs");
    assert!(output.status.success(), "{output:?}");
    let args = ["online", "--password-fd", "3", "--password-command", "true"];
    let ended = scene.run("alice", &args).await;
    assert_eq!(ended.code(), Some(2), "{ended:?}");
}
