//! The language that `im` speaks: English, or Simplified Chinese where the locale asks for Chinese.
//!
//! Texts are in `locales/`, a file for each part of the program, both languages side by side. Code
//! names them by key with the macro `t`.

use clap::ValueEnum;

/// The languages that `im` speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    /// English.
    #[value(name = "en")]
    English,
    /// Simplified Chinese.
    #[value(name = "zh-CN", alias = "zh")]
    Chinese,
}

impl Language {
    /// The language of the first locale of the environment that we know; English otherwise.
    fn of_locale() -> Self {
        let known = sys_locale::get_locales().find_map(|locale| Self::of(&locale));
        known.unwrap_or(Self::English)
    }

    /// The language for a locale such as `zh_CN.UTF-8`, `zh-Hans-CN` or `C`.
    fn of(locale: &str) -> Option<Self> {
        let language = locale.split(['-', '_', '.', '@']).next().unwrap_or(locale);
        match language {
            "zh" => Some(Self::Chinese),
            "en" | "C" | "POSIX" => Some(Self::English),
            _ => None,
        }
    }

    /// The name of our texts in it.
    const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Chinese => "zh-CN",
        }
    }
}

/// Speaks the language that is asked for, or that of the locale.
pub(super) fn speak(asked: Option<Language>) {
    let language = asked.unwrap_or_else(Language::of_locale);
    rust_i18n::set_locale(language.tag());
}

/// Speaks as it can be known before the command line is read: `IM_LANGUAGE`, then the file.
pub(super) fn speak_early(configured: Option<&str>) {
    let variable = std::env::var("IM_LANGUAGE").ok();
    let asked = variable.as_deref().or(configured);
    speak(asked.and_then(|name| Language::from_str(name, true).ok()));
}

/// Whether texts in English, such as those of the cluster, are understood.
pub(super) fn is_english() -> bool {
    *rust_i18n::locale() == *Language::English.tag()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    const LANGUAGES: [&str; 2] = ["en", "zh-CN"];

    #[test]
    fn locales_have_a_language() {
        for (locale, language) in [
            ("zh_CN.UTF-8", Some(Language::Chinese)),
            ("zh-Hans-CN", Some(Language::Chinese)),
            ("en_GB", Some(Language::English)),
            ("C.UTF-8", Some(Language::English)),
            ("POSIX", Some(Language::English)),
            ("de_DE", None),
            ("", None),
        ] {
            assert_eq!(Language::of(locale), language, "{locale}");
        }
    }

    /// Names of the values that a text has a place for.
    fn places(text: &str) -> BTreeSet<&str> {
        let parts = text.split("%{").skip(1);
        parts
            .filter_map(|part| Some(part.split_once('}')?.0))
            .collect()
    }

    fn files(folder: &Path, kind: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files(&path, kind));
            } else if path.extension().is_some_and(|extension| extension == kind) {
                found.push(path);
            }
        }
        found
    }

    fn is_key(line: &str) -> bool {
        !line.starts_with([' ', '#', '_']) && line.ends_with(':')
    }

    /// Every key, with its text in each language.
    fn texts() -> BTreeMap<String, Vec<String>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut keys = BTreeSet::new();
        for file in files(&root.join("locales"), "yml") {
            let content = fs::read_to_string(&file).unwrap();
            for language in LANGUAGES {
                let begin = format!("  {language}:");
                let texts = content.lines().filter(|line| line.starts_with(&begin));
                let keys = content.lines().filter(|line| is_key(line));
                let file = file.display();
                // A text that is missing is looked up in English, and would not be missed below.
                assert_eq!(texts.count(), keys.count(), "{language} in {file}");
            }
            let lines = content.lines().filter(|line| is_key(line));
            for key in lines.filter_map(|line| line.strip_suffix(':')) {
                assert!(keys.insert(key.to_owned()), "{key} is there twice");
            }
        }
        let of_key = |key: String| {
            let texts = LANGUAGES.map(|language| crate::_rust_i18n_try_translate(language, &key));
            let texts =
                texts.map(|text| text.map(std::borrow::Cow::into_owned).unwrap_or_default());
            (key, texts.to_vec())
        };
        keys.into_iter().map(of_key).collect()
    }

    #[test]
    fn every_text_is_there_in_every_language_with_the_same_places() {
        for (key, texts) in texts() {
            for text in &texts {
                assert!(!text.trim().is_empty(), "{key}: {texts:?}");
                assert_eq!(places(text), places(&texts[0]), "{key}");
            }
        }
    }

    /// Begins keys that the program puts together, which tests of their own find complete.
    const FAMILIES: [&str; 2] = ["help.", "code."];

    #[test]
    fn the_program_names_every_text_and_no_other() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut source = fs::read_to_string(root.join("src/cli.rs")).unwrap();
        for file in files(&root.join("src/cli"), "rs") {
            source.push_str(&fs::read_to_string(file).unwrap());
        }
        let texts = texts();
        for key in texts.keys() {
            let is_composed = FAMILIES.iter().any(|family| key.starts_with(family));
            let is_named = source.contains(&format!("\"{key}\""));
            assert!(is_named || is_composed, "nobody says {key}");
        }
        for (at, _) in source.match_indices("t!(") {
            // Not the end of another macro's name.
            let is_whole =
                !source[..at].ends_with(|before: char| before.is_alphanumeric() || before == '"');
            let named = source[at + 3..].trim_start().strip_prefix('"');
            if let Some((key, _)) = named
                .filter(|_| is_whole)
                .and_then(|key| key.split_once('"'))
            {
                assert!(texts.contains_key(key), "no text {key}");
            }
        }
    }
}
