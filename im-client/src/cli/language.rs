//! The language that `im` speaks: English, or Simplified Chinese where the locale asks for Chinese.
//!
//! Texts are in `locales/`, a file for each part of the program, both languages side by side. Code
//! names them by key with the macro `t`.

/// Speaks the language of the first locale of the environment that we know; English otherwise.
pub(super) fn follow_locale() {
    let known = sys_locale::get_locales().find_map(|locale| of(&locale));
    rust_i18n::set_locale(known.unwrap_or("en"));
}

/// The name of our texts for a locale such as `zh_CN.UTF-8`, `zh-Hans-CN` or `C`.
fn of(locale: &str) -> Option<&'static str> {
    let language = locale.split(['-', '_', '.', '@']).next().unwrap_or(locale);
    match language {
        "zh" => Some("zh-CN"),
        "en" | "C" | "POSIX" => Some("en"),
        _ => None,
    }
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
            ("zh_CN.UTF-8", Some("zh-CN")),
            ("zh-Hans-CN", Some("zh-CN")),
            ("en_GB", Some("en")),
            ("C.UTF-8", Some("en")),
            ("POSIX", Some("en")),
            ("de_DE", None),
            ("", None),
        ] {
            assert_eq!(of(locale), language, "{locale}");
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

    /// Every key, with its text in each language.
    fn texts() -> BTreeMap<String, Vec<String>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut keys = BTreeSet::new();
        for file in files(&root.join("locales"), "yml") {
            let content = fs::read_to_string(&file).unwrap();
            let lines = content
                .lines()
                .filter(|line| !line.starts_with([' ', '#', '_']));
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

    #[test]
    fn the_program_names_every_text_and_no_other() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut source = String::new();
        for file in files(&root.join("src/cli"), "rs") {
            source.push_str(&fs::read_to_string(file).unwrap());
        }
        let texts = texts();
        for key in texts.keys() {
            assert!(source.contains(&format!("\"{key}\"")), "nobody says {key}");
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
