//! The configuration file and what outweighs it.

use im_tests::process::Ended;
use im_tests::scene::Scene;
use serde_json::Value;

fn configure(scene: &Scene, text: &str) {
    std::fs::create_dir_all(scene.home.file("im")).expect("created");
    std::fs::write(scene.home.file("im/config.toml"), text).expect("written");
}

fn setting(ended: &Ended, key: &str) -> (String, String, String) {
    let lines = ended.stdout.iter();
    let mut settings = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let setting = settings
        .find(|setting| setting["setting"] == key)
        .expect("every setting is told");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (
        text(&setting["values"][0]),
        text(&setting["origin"]),
        text(&setting["place"]),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_come_from_where_they_weigh_most() {
    let scene = Scene::set().await;
    scene.run("alice", &["register"]).await;
    let password = scene.home.password_file();
    configure(
        &scene,
        &format!(
            "user = \"bob\"\n\n[profile.here]\nroute = [\"{}\"]\nuser = \"alice\"\n\
             password-file = \"{password}\"\n",
            scene.url
        ),
    );
    let online = scene.bare(&["online", "--profile", "here"], &[]).await;
    let online = online.ended().await;
    assert_eq!(online.code(), Some(0), "{online:?}");

    let told = |origin: (&str, &str, &str)| {
        let (value, origin, place) = origin;
        (value.to_owned(), origin.to_owned(), place.to_owned())
    };
    let config = ["config", "--json"];
    let ended = scene.bare(&config, &[]).await.ended().await;
    assert_eq!(setting(&ended, "user"), told(("bob", "file", "1")));
    assert_eq!(setting(&ended, "bell"), told(("false", "default", "")));
    let variables = [("IM_PROFILE", "here"), ("IM_BELL", "true")];
    let ended = scene.bare(&config, &variables).await.ended().await;
    assert_eq!(setting(&ended, "user"), told(("alice", "profile", "5")));
    assert_eq!(
        setting(&ended, "bell"),
        told(("true", "environment", "IM_BELL"))
    );
    let config = ["--user", "carol", "config", "--json"];
    let ended = scene.bare(&config, &variables).await.ended().await;
    assert_eq!(setting(&ended, "user"), told(("carol", "flag", "--user")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_is_told_by_line_and_help_goes_on() {
    let scene = Scene::set().await;
    configure(&scene, "user = \"alice\"\nrout = \"http://a\"\n");
    let ended = scene.bare(&["config"], &[]).await.ended().await;
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    let told = "line 2: no setting rout; did you mean route?";
    assert!(ended.stderr.contains(told), "{ended:?}");
    let help = scene.bare(&["--help"], &[]).await.ended().await;
    assert_eq!(help.code(), Some(0), "{help:?}");
    let doctor = scene.bare(&["doctor"], &[]).await.ended().await;
    assert!(doctor.stdout.join("\n").contains(told), "{doctor:?}");
    assert_eq!(doctor.code(), Some(1), "{doctor:?}");
}
