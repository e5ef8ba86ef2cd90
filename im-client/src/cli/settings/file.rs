//! The configuration file: TOML, with a table for each profile.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use rust_i18n::t;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{KEYS, Weight, text};
use crate::cli::args::CommandLine;
use crate::cli::failure::Failure;
use crate::cli::{nearest, usage};

/// Where profiles are.
const PROFILES: &str = "profile";
/// Keys whose values are paths: no shell replaces their `~`.
const PATHS: [&str; 1] = ["password-file"];
/// Far more than a person writes: another file was named by mistake.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What one setting is given, in the words of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Given {
    pub(super) texts: Vec<String>,
    /// Where it is said, from 1.
    pub(super) line: usize,
}

/// Settings by key.
pub(super) type Layer = BTreeMap<String, Given>;

/// What the configuration file says.
#[derive(Debug, Default)]
pub(in crate::cli) struct File {
    general: Layer,
    profiles: BTreeMap<String, Layer>,
}

/// Where the configuration file is: `$XDG_CONFIG_HOME/im/config.toml`, or
/// `~/.config/im/config.toml`. Nowhere if there is no home either.
pub(in crate::cli) fn path() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from);
    // The XDG specification: relative paths are invalid and must be ignored.
    let base = set("XDG_CONFIG_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("im/config.toml"))
}

impl File {
    /// Reads the file of this user; one that is not there says nothing.
    pub(in crate::cli) fn read() -> Result<Self, Failure> {
        let Some(path) = path() else {
            return Ok(Self::default());
        };
        match read(&path) {
            Ok(text) => Self::parse(&path, &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failure::usage(t!(
                "settings.unreadable",
                file = path.display(),
                why = error
            ))),
        }
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let reader = Reader { path, text };
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            reader.wrong(at, error.message())
        })?;
        let mut file = Self::default();
        for (key, value) in table.get_ref() {
            match (key.get_ref().as_ref(), value.get_ref().as_table()) {
                (PROFILES, Some(profiles)) => file.profiles = reader.profiles(profiles)?,
                _ => reader.take(&mut file.general, key, value)?,
            }
        }
        Ok(file)
    }

    /// What counts for a profile, the weightier first.
    pub(super) fn layers(&self, profile: Option<&str>) -> Result<Vec<(Weight, &Layer)>, Failure> {
        let general = (Weight::File, &self.general);
        let Some(name) = profile else {
            return Ok(vec![general]);
        };
        match self.profiles.get(name) {
            Some(layer) => Ok(vec![(Weight::Profile, layer), general]),
            None => Err(self.no_profile(name)),
        }
    }

    /// The language that the file asks for, as far as it can be known before the command line is.
    pub(in crate::cli) fn language(&self, profile: Option<&str>) -> Option<&str> {
        let layers = self.layers(profile).ok()?;
        let given = layers.iter().find_map(|(_, layer)| layer.get("language"))?;
        given.texts.first().map(String::as_str)
    }

    fn no_profile(&self, name: &str) -> Failure {
        let names: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
        let there = match names.is_empty() {
            true => t!("settings.no_profiles").into_owned(),
            false => t!("settings.profiles", names = names.join(", ")).into_owned(),
        };
        Failure::usage(t!("settings.no_profile", name = name, there = there))
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut file = fs::File::open(path)?.take(FILE_BYTES_MAX + 1);
    file.read_to_string(&mut text)?;
    match text.len() as u64 > FILE_BYTES_MAX {
        true => Err(io::Error::other(
            t!("settings.too_large", most = FILE_BYTES_MAX / 1024).into_owned(),
        )),
        false => Ok(text),
    }
}

/// A file under the eyes of its parser.
struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn profiles(&self, table: &DeTable<'_>) -> Result<BTreeMap<String, Layer>, Failure> {
        let mut profiles = BTreeMap::new();
        for (name, value) in table {
            let Some(settings) = value.get_ref().as_table() else {
                let what = t!("settings.profile_is_table", name = name.get_ref());
                return Err(self.wrong(name.span().start, &what));
            };
            let mut layer = Layer::new();
            for (key, value) in settings {
                self.take(&mut layer, key, value)?;
            }
            profiles.insert(name.get_ref().to_string(), layer);
        }
        Ok(profiles)
    }

    fn take(
        &self,
        layer: &mut Layer,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(), Failure> {
        let at = key.span().start;
        let key = key.get_ref().as_ref();
        if !KEYS.contains(&key) {
            return Err(self.wrong(at, &unknown(key)));
        }
        let Some(mut texts) = text::of(value.get_ref()) else {
            return Err(self.wrong(at, &t!("settings.no_value", key = key)));
        };
        if PATHS.contains(&key) {
            texts = texts.iter().map(|path| text::at_home(path)).collect();
        }
        check(key, &texts).map_err(|why| self.wrong(at, &why))?;
        let line = self.line_of(at);
        layer.insert(key.to_owned(), Given { texts, line });
        Ok(())
    }

    fn wrong(&self, at: usize, what: &str) -> Failure {
        Failure::usage(t!(
            "settings.wrong",
            file = self.path.display(),
            line = self.line_of(at),
            what = what
        ))
    }

    fn line_of(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

fn unknown(key: &str) -> String {
    let known = KEYS.iter().chain([&PROFILES]).copied();
    match nearest::among(key, known) {
        Some(nearest) => t!("settings.unknown_near", key = key, nearest = nearest).into_owned(),
        None => t!("settings.unknown", key = key, known = KEYS.join(", ")).into_owned(),
    }
}

/// Has the option of this name check the value.
fn check(key: &str, texts: &[String]) -> Result<(), String> {
    let words = texts.iter().map(|text| format!("--{key}={text}"));
    let words = std::iter::once("im".to_owned()).chain(words);
    let parsed = CommandLine::command().try_get_matches_from(words);
    parsed.map(drop).map_err(|error| usage::mistake(&error))
}
