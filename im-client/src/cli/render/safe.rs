//! Makes what other people typed safe to show: nothing in it moves the cursor, rings, sets a
//! title, hides, or reorders what stands beside it.

use unicode_width::UnicodeWidthChar;

/// Marks stacked on one letter beyond this are noise that covers the lines above; real scripts
/// need no more than three.
const MARKS_MAX: usize = 4;
/// What a tab becomes: a real one would jump over parts of the line.
const TAB: &str = "    ";
/// Stands before the further lines of a text, so that none can pass for a message of its own.
const CONTINUATION: &str = "\n    | ";

/// Returns a text that stays on its line.
pub(crate) fn line(text: &str) -> String {
    let mut safe = Safe::new(text);
    safe.fill(text, "␊");
    safe.shown
}

/// Returns a text whose further lines are indented.
pub(crate) fn paragraph(text: &str) -> String {
    // Windows line ends are no attempt to overwrite the line.
    let text = text.replace("\r\n", "\n");
    let mut safe = Safe::new(&text);
    safe.fill(&text, CONTINUATION);
    safe.shown
}

/// Whether a character is invisible or changes the order of its neighbours.
pub(crate) fn is_deceptive(c: char) -> bool {
    matches!(c,
        // Invisible: soft hyphen, joiners and spaces of no width, fillers.
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}'
        // Bidirectional controls.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
        // Line and paragraph separator.
        | '\u{2028}' | '\u{2029}')
}

/// A text on its way to the screen.
struct Safe {
    shown: String,
    marks: usize,
}

impl Safe {
    fn new(text: &str) -> Self {
        Self {
            shown: String::with_capacity(text.len()),
            marks: 0,
        }
    }

    fn fill(&mut self, text: &str, newline: &str) {
        let mut before = None;
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            let neighbours = (before, characters.peek().copied());
            match c {
                '\n' => self.shown.push_str(newline),
                '\t' => self.shown.push_str(TAB),
                _ if c.is_control() => self.show_control(c),
                _ if is_deceptive(c) && !joins(c, neighbours) => self.escape(c),
                _ => self.show(c),
            }
            before = Some(c);
        }
    }

    fn show(&mut self, c: char) {
        self.marks = match c.width() {
            Some(0) => self.marks + 1,
            _ => 0,
        };
        match self.marks {
            marks if marks <= MARKS_MAX => self.shown.push(c),
            marks if marks == MARKS_MAX + 1 => self.shown.push(char::REPLACEMENT_CHARACTER),
            _ => {}
        }
    }

    /// C0 and DEL have pictures of their own; C1 has none.
    fn show_control(&mut self, c: char) {
        match c {
            '\0'..='\u{1f}' => self.shown.extend(char::from_u32(0x2400 + u32::from(c))),
            '\u{7f}' => self.shown.push('␡'),
            _ => self.escape(c),
        }
        self.marks = 0;
    }

    fn escape(&mut self, c: char) {
        self.shown.extend(c.escape_unicode());
        self.marks = 0;
    }
}

/// Whether a joiner or variation selector does its honest work: within an emoji, or between the
/// letters of a script that needs it.
fn joins(c: char, (before, after): (Option<char>, Option<char>)) -> bool {
    let is_foreign = |c: char| !c.is_ascii() && !c.is_control() && c.width() != Some(0);
    // An emoji may carry its variation selector before the joiner.
    let before = before.is_some_and(|c| is_foreign(c) || c == '\u{fe0f}');
    match c {
        '\u{200c}' | '\u{200d}' => before && after.is_some_and(is_foreign),
        '\u{fe0e}' | '\u{fe0f}' => before,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_of_many_scripts_is_left_alone() {
        for text in [
            "hello",
            "naïve café",
            "cafe\u{301}",
            "你好，世界",
            "привет",
            "שלום",
            "می\u{200c}خواهم",
            "क्षत्रिय",
            "👩\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}\u{200d}🔥",
            "👍🏽",
            "각",
        ] {
            assert_eq!(line(text), text);
            assert_eq!(paragraph(text), text);
        }
    }

    #[test]
    fn hidden_characters_become_visible() {
        for (text, shown) in [
            ("a\u{1b}[2Jb", "a␛[2Jb"),
            ("a\u{9b}2J", "a\\u{9b}2J"),
            ("a\rb", "a␍b"),
            ("a\tb", "a    b"),
            ("\u{7}\u{7f}\0", "␇␡␀"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{200b}b", "a\\u{200b}b"),
            ("ad\u{200d}min", "ad\\u{200d}min"),
            ("a\u{2028}b", "a\\u{2028}b"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(line(text), shown);
            assert_eq!(paragraph(text), shown);
        }
    }

    #[test]
    fn further_lines_are_indented() {
        assert_eq!(paragraph("a\r\nb\n\nc"), "a\n    | b\n    | \n    | c");
        assert_eq!(line("a\nb"), "a␊b");
    }

    #[test]
    fn stacked_marks_are_cut() {
        let zalgo = format!("h{}i", "\u{335}".repeat(500));
        assert_eq!(line(&zalgo), format!("h{}\u{fffd}i", "\u{335}".repeat(4)));
    }
}
