//! What a mirror answers to one request: files, their parts, and `304` to who has the file already.

use std::fs;
use std::io::{self, BufRead};
use std::path::Path;

use jiff::Timestamp;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Asked {
    pub(super) path: String,
    only_head: bool,
    /// If-Modified-Since, as it came.
    since: Option<String>,
    /// The first byte that is wanted, and the last where there is an end.
    range: Option<(usize, Option<usize>)>,
    /// If-Range, as it came.
    if_range: Option<String>,
}

impl Asked {
    /// Reads the next request of a connection; nothing at its end.
    pub(super) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut asked = Self {
            path: line.split(' ').nth(1).map(decoded).unwrap_or_default(),
            only_head: line.starts_with("HEAD "),
            ..Self::default()
        };
        loop {
            line.clear();
            if from.read_line(&mut line)? == 0 || line == "\r\n" {
                return Ok(Some(asked));
            }
            let (name, value) = line.split_once(':').unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "if-modified-since" => asked.since = Some(value.trim().to_owned()),
                "if-range" => asked.if_range = Some(value.trim().to_owned()),
                "range" => asked.range = range(value.trim()),
                _ => {}
            }
        }
    }

    /// The part of a file that is wanted, where that is what this one is a part of.
    fn part_of(&self, content: &Content) -> Option<(usize, usize)> {
        let size = content.bytes.len();
        let same = self
            .if_range
            .as_ref()
            .is_none_or(|date| *date == content.modified);
        let (first, last) = self.range.filter(|(first, _)| same && *first < size)?;
        let last = last.map_or(size - 1, |last| last.min(size - 1));
        (first <= last).then_some((first, last))
    }
}

/// `bytes=10-` or `bytes=10-19`.
fn range(text: &str) -> Option<(usize, Option<usize>)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()))
}

/// A file to answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    bytes: Vec<u8>,
    /// As HTTP writes it.
    modified: String,
}

impl Content {
    pub(super) fn read(path: &Path) -> Option<Self> {
        let modified = Timestamp::try_from(fs::metadata(path).ok()?.modified().ok()?).ok()?;
        Some(Self {
            bytes: fs::read(path).ok()?,
            modified: http_date(modified),
        })
    }
}

fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// The status and the whole answer. Like nginx, it takes another date for another file, be it newer or older.
pub(super) fn to(asked: &Asked, content: Result<Content, u16>) -> (u16, Vec<u8>) {
    let date = http_date(Timestamp::now());
    let mut part = String::new();
    let (status, reason, modified, body) = match content {
        Ok(content) if asked.since.as_ref() == Some(&content.modified) => {
            (304, "Not Modified", Some(content.modified), Vec::new())
        }
        Ok(content) => match asked.part_of(&content) {
            None => (200, "OK", Some(content.modified), content.bytes),
            Some((first, last)) => {
                part = format!("Content-Range: bytes {first}-{last}/{}\r\n", content.bytes.len());
                let bytes = content.bytes[first..=last].to_vec();
                (206, "Partial Content", Some(content.modified), bytes)
            }
        },
        Err(404) => (404, "Not Found", None, Vec::new()),
        Err(status) => (status, "Service Unavailable", None, Vec::new()),
    };
    let mut answer = format!("HTTP/1.1 {status} {reason}\r\nDate: {date}\r\n");
    if let Some(modified) = modified {
        answer += &format!("Last-Modified: {modified}\r\n");
    }
    answer += &part;
    if status != 304 {
        answer += &format!("Content-Length: {}\r\n", body.len());
    }
    let mut answer = (answer + "\r\n").into_bytes();
    if !asked.only_head {
        answer.extend(body);
    }
    (status, answer)
}

/// `%2b` is a `+`: apt encodes it in the names of packages.
fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
        {
            Some(byte) => {
                text.push(char::from(byte));
                text.push_str(&part[2..]);
            }
            None => {
                text.push('%');
                text.push_str(part);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> Asked {
        Asked::read(&mut text.as_bytes()).unwrap().unwrap()
    }

    fn content() -> Content {
        Content {
            bytes: b"0123".to_vec(),
            modified: "Sun, 22 Nov 2026 21:47:16 GMT".into(),
        }
    }

    #[test]
    fn a_plus_arrives_encoded() {
        assert_eq!(decoded("/pool/pkg-x%2b_1.0.deb"), "/pool/pkg-x+_1.0.deb");
        assert_eq!(decoded("/100%"), "/100%");
    }

    #[test]
    fn who_has_the_file_is_told_so() {
        let first = asked("GET /x HTTP/1.1\r\nHost: y\r\n\r\n");
        let (status, answer) = to(&first, Ok(content()));
        assert!(status == 200 && answer.ends_with(b"\r\nContent-Length: 4\r\n\r\n0123"));
        let again = asked("GET /x HTTP/1.1\r\nif-modified-since: Sun, 22 Nov 2026 21:47:16 GMT\r\n\r\n");
        let (status, answer) = to(&again, Ok(content()));
        assert!(status == 304 && answer.ends_with(b"GMT\r\n\r\n"));
    }

    #[test]
    fn another_date_is_another_file() {
        let older = asked("GET /x HTTP/1.1\r\nIf-Modified-Since: Mon, 23 Nov 2026 00:00:00 GMT\r\n\r\n");
        assert_eq!(to(&older, Ok(content())).0, 200);
    }

    #[test]
    fn a_part_is_for_who_has_the_rest() {
        let part = |more: &str| {
            let text = format!("GET /x HTTP/1.1\r\nRange: bytes=2-\r\n{more}\r\n");
            to(&asked(&text), Ok(content()))
        };
        let (status, answer) = part("If-Range: Sun, 22 Nov 2026 21:47:16 GMT\r\n");
        let answer = String::from_utf8(answer).unwrap();
        assert!(status == 206 && answer.ends_with("\r\n\r\n23"), "{answer}");
        assert!(answer.contains("Content-Range: bytes 2-3/4\r\n"), "{answer}");
        assert_eq!(part("If-Range: Mon, 23 Nov 2026 00:00:00 GMT\r\n").0, 200);
        assert_eq!(part("").0, 206);
    }

    #[test]
    fn a_head_has_no_body() {
        let (status, answer) = to(&asked("HEAD /x HTTP/1.1\r\n\r\n"), Ok(content()));
        assert!(status == 200 && answer.ends_with(b"Content-Length: 4\r\n\r\n"));
        assert_eq!(to(&asked("GET /x HTTP/1.1\r\n\r\n"), Err(503)).0, 503);
    }
}
