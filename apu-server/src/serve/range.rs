//! The Range header (RFC 9110, 14.2): one part of a file.

/// What a Range header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// First and last byte, both within the file.
    Part { first: u64, last: u64 },
    /// Nothing of it is within the file.
    Outside,
}

/// Reads a Range header for a file of `length` bytes.
///
/// Nothing where the whole file is the answer: for what is no range of bytes, and for several ranges at once, which a
/// server may ignore and which only ever made servers work more than their clients.
pub(super) fn of_header(text: &str, length: u64) -> Option<Range> {
    let (unit, range) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    if first.is_empty() {
        let many = number(last)?;
        return Some(match (many.min(length), length) {
            (0, _) => Range::Outside,
            (many, length) => Range::Part {
                first: length - many,
                last: length - 1,
            },
        });
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    if first >= length {
        return Some(Range::Outside);
    }
    Some(Range::Part {
        first,
        last: last.min(length - 1),
    })
}

/// Digits alone: no sign, no space. A number that is too great is greater than any file.
fn number(text: &str) -> Option<u64> {
    let is_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_a_part_of_the_file() {
        let part = |first, last| Some(Range::Part { first, last });
        for (text, range) in [
            ("bytes=0-", part(0, 9)),
            ("bytes=3-5", part(3, 5)),
            ("Bytes=9-9", part(9, 9)),
            ("bytes=5-99999999999999999999999", part(5, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-99", part(0, 9)),
            ("bytes=10-", Some(Range::Outside)),
            ("bytes=99999999999999999999999-", Some(Range::Outside)),
            ("bytes=-0", Some(Range::Outside)),
        ] {
            assert_eq!(of_header(text, 10), range, "{text}");
        }
        assert_eq!(of_header("bytes=0-", 0), Some(Range::Outside));
        assert_eq!(of_header("bytes=-5", 0), Some(Range::Outside));
    }

    #[test]
    fn what_is_not_one_range_is_no_range() {
        for text in [
            "bytes=0-0,2-2",
            "bytes=0-,0-,0-,0-",
            "bytes=5-3",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=a-",
            "bytes=-",
            "bytes",
            "bytes=",
            "lines=1-2",
            "bytes=0x1-2",
            "bytes=1--2",
            "",
        ] {
            assert_eq!(of_header(text, 10), None, "{text}");
        }
    }
}
