//! `:ai`: the oldest joke about artificial intelligence. A question loses its particle, and comes
//! back as a statement about the one who is asked.

/// The answer to a text; nothing is sent anywhere.
pub(super) fn answer(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '吗' | '嘛' => None,
            '?' | '？' => Some('!'),
            '你' => Some('我'),
            c => Some(c),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_becomes_a_statement() {
        for (text, expected) in [
            ("你好吗？", "我好!"),
            ("在嘛?", "在!"),
            ("你会说英语吗?", "我会说英语!"),
            ("hello", "hello"),
        ] {
            assert_eq!(answer(text), expected);
        }
    }
}
