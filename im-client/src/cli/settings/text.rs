//! Values of the configuration file, in the words of the command line.

use toml::de::DeValue;

/// The words of a value, or none if it is nothing that an option takes.
pub(super) fn of(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(values) if !values.is_empty() => {
            let words = values.iter().map(|value| word(value.get_ref()));
            words.collect()
        }
        single => Some(vec![word(single)?]),
    }
}

fn word(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// A path with the home folder in place of its `~`.
pub(super) fn at_home(path: &str) -> String {
    match (path.strip_prefix("~/"), std::env::var("HOME")) {
        (Some(rest), Ok(home)) => format!("{home}/{rest}"),
        _ => path.to_owned(),
    }
}
