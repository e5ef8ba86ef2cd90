//! `im config`: the settings in force, and where each comes from.

use std::borrow::Cow;
use std::fmt::Write;

use rust_i18n::t;
use serde::Serialize;

use crate::cli::args::Account;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::redact;
use crate::cli::render::{json, safe};
use crate::cli::screen::Screen;
use crate::cli::settings::{self, Setting, Weight};

/// A setting, as `im config --json` prints it.
#[derive(Debug, Serialize)]
struct SettingLine<'a> {
    setting: &'a str,
    /// Null when nothing is set; a list of what was said otherwise.
    values: Option<Vec<Cow<'a, str>>>,
    origin: &'static str,
    place: Option<&'a str>,
}

/// Prints the settings, in the form of a configuration file.
pub(in crate::cli) async fn run(
    account: &Account,
    settings: &[Setting],
    json: bool,
) -> Result<Exit, Failure> {
    let lines = settings.iter();
    let said: String = match json {
        true => lines.map(as_json).collect(),
        false => {
            let profile = account.profile.as_deref();
            head() + &lines.map(|line| as_toml(line, profile)).collect::<String>()
        }
    };
    // Whoever stops reading has read enough.
    let _ = Screen::plain()?.print(said).await;
    Ok(Exit::Done)
}

fn head() -> String {
    let head = match settings::path() {
        None => t!("config.no_home"),
        Some(path) if path.exists() => t!("config.file_is", file = path.display()),
        Some(path) => t!("config.no_file", file = path.display()),
    };
    format!("{}\n", safe::line(&head))
}

fn as_toml(setting: &Setting, profile: Option<&str>) -> String {
    let key = setting.key;
    let values: Vec<String> = values(setting)
        .iter()
        .map(|value| literal(key, value))
        .collect();
    let mut line = match (key, values.as_slice()) {
        (_, []) => format!("# {key}: {}", t!("config.not_set")),
        ("route", values) => format!("{key} = [{}]", values.join(", ")),
        (_, values) => format!("{key} = {}", values.join(", ")),
    };
    if !values.is_empty() {
        let _ = write!(line, "  # {}", origin(setting, profile));
    }
    line.push('\n');
    line
}

fn literal(key: &str, value: &str) -> String {
    match key {
        "timeout" | "bell" => value.to_owned(),
        _ => toml::Value::from(value).to_string(),
    }
}

fn origin(setting: &Setting, profile: Option<&str>) -> String {
    let place = setting.place.as_deref().unwrap_or_default();
    let name = profile.unwrap_or_default();
    match setting.weight {
        Weight::Default => t!("config.default"),
        Weight::File => t!("config.file", place = place),
        Weight::Profile => t!("config.profile", place = place, name = name),
        Weight::Environment => t!("config.environment", place = place),
        Weight::Flag => t!("config.flag", place = place),
    }
    .into_owned()
}

fn as_json(setting: &Setting) -> String {
    let values = values(setting);
    json::line(&SettingLine {
        setting: setting.key,
        values: (!values.is_empty()).then_some(values),
        origin: match setting.weight {
            Weight::Default => "default",
            Weight::File => "file",
            Weight::Profile => "profile",
            Weight::Environment => "environment",
            Weight::Flag => "flag",
        },
        place: setting.place.as_deref(),
    })
}

/// What may be shown to others: a command may hold the secret that it prints.
fn values(setting: &Setting) -> Vec<Cow<'_, str>> {
    let values = setting.values.iter();
    match setting.key {
        "password-command" => values.map(|_| Cow::Borrowed(redact::REDACTED)).collect(),
        "route" => values
            .map(|route| Cow::Owned(redact::address(route)))
            .collect(),
        _ => values.map(|value| Cow::Borrowed(value.as_str())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let setting = |key, value: &str| Setting {
            key,
            values: vec![value.to_owned()],
            weight: Weight::File,
            place: Some("3".to_owned()),
        };
        for (key, value, shown) in [
            ("password-command", "echo hunter22", "[redacted]"),
            (
                "route",
                "http://me:hunter22@host:1/x",
                "http://[redacted]@host:1/x",
            ),
            ("route", "http://host:1", "http://host:1"),
        ] {
            let setting = setting(key, value);
            for line in [as_json(&setting), as_toml(&setting, None)] {
                assert!(line.contains(shown), "{line}");
                assert!(!line.contains("hunter22"), "{line}");
            }
        }
    }

    #[test]
    fn what_is_shown_can_be_put_into_a_file() {
        let setting = Setting {
            key: "route",
            values: vec!["http://a".to_owned(), "http://b\"".to_owned()],
            weight: Weight::Default,
            place: None,
        };
        let table: toml::Table = as_toml(&setting, None).parse().unwrap();
        assert_eq!(table["route"][1].as_str(), Some("http://b\""));
    }
}
