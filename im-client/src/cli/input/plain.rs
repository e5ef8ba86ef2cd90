//! Lines of a pipe or a file, each bounded.

use std::io::{BufRead, ErrorKind, Read};

use im_common::message::TEXT_BYTES_MAX;

use super::Typed;

/// A text of the largest size, and room for whom it is for.
const LINE_BYTES_MAX: u64 = TEXT_BYTES_MAX as u64 + 256;

/// Reads the next line. A line that cannot be sent is skipped as a whole: its pieces would be
/// other messages.
pub(super) fn read(source: &mut impl BufRead) -> Typed {
    let mut line = Vec::new();
    let mut bounded = source.take(LINE_BYTES_MAX);
    match bounded.read_until(b'\n', &mut line) {
        Ok(0) => return Typed::End,
        Ok(_) => {}
        Err(_) => return Typed::End,
    }
    if bounded.limit() == 0 && !line.ends_with(b"\n") && skip_line(source) > 0 {
        return Typed::Unreadable("the line is longer than 64 KiB");
    }
    match String::from_utf8(line) {
        Ok(line) => Typed::Line(line),
        Err(_) => Typed::Unreadable("the line is not UTF-8"),
    }
}

/// Reads to the end of the line and returns how many bytes that took.
fn skip_line(source: &mut impl BufRead) -> usize {
    let mut skipped = 0;
    loop {
        let (used, is_end) = match source.fill_buf() {
            Ok([]) => return skipped,
            Ok(bytes) => match bytes.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (bytes.len(), false),
            },
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return skipped,
        };
        source.consume(used);
        skipped += used;
        if is_end {
            return skipped;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_are_skipped_whole() {
        let mut text = b"one\n\xff\xfe\n".to_vec();
        text.extend(vec![b'x'; 200_000]);
        text.extend(b"\ntwo\r\n\nthree");
        let mut source = std::io::BufReader::with_capacity(100, &text[..]);
        let mut next = || read(&mut source);
        assert_eq!(next(), Typed::Line("one\n".to_owned()));
        assert_eq!(next(), Typed::Unreadable("the line is not UTF-8"));
        assert_eq!(next(), Typed::Unreadable("the line is longer than 64 KiB"));
        assert_eq!(next(), Typed::Line("two\r\n".to_owned()));
        assert_eq!(next(), Typed::Line("\n".to_owned()));
        assert_eq!(next(), Typed::Line("three".to_owned()));
        assert_eq!(next(), Typed::End);
    }

    #[test]
    fn a_line_of_the_greatest_length_is_read() {
        let longest = "x".repeat(usize::try_from(LINE_BYTES_MAX).unwrap());
        assert_eq!(read(&mut longest.as_bytes()), Typed::Line(longest.clone()));
    }
}
