//! The hostile requests of `hostile_requests.tsv`, for every suite that sends or parses them.

use std::fmt;

const TEXT: &str = include_str!("hostile_requests.tsv");

/// A request that nobody honest sends.
#[derive(Debug, Clone)]
pub(crate) struct Hostile {
    /// The request itself.
    pub(crate) bytes: Vec<u8>,
    /// As the file has it, its escapes still in it.
    written: &'static str,
    /// What it tries.
    why: &'static str,
    /// Who can tell.
    pub(crate) judge: Judge,
}

impl fmt::Display for Hostile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.written, self.why)
    }
}

/// What refuses a hostile request once it has `apu/1 ` before it; without that, it is always the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judge {
    /// Its form is wrong.
    Grammar,
    /// Its form is right, but no package has the name.
    LookUp,
    /// It is hostile only where the policy does not grant the operation.
    Policy,
}

/// The whole corpus.
pub(crate) fn hostile_requests() -> Vec<Hostile> {
    TEXT.lines().map(read).collect()
}

/// Reads `STRING<TAB>WHY`, where a mark like `[resolve]` may stand before the reason.
fn read(line: &'static str) -> Hostile {
    let (written, why) = line.split_once('\t').expect("a TAB");
    let marked = |mark| why.starts_with(mark);
    let judge = if marked("[resolve]") || written == "install lab.b:amd64" {
        Judge::LookUp
    } else if marked("[verb]") {
        Judge::Policy
    } else {
        Judge::Grammar
    };
    Hostile {
        bytes: decode(written),
        written,
        why,
        judge,
    }
}

/// The escapes are `\n \r \t \\ \xHH`.
fn decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'\\') => b'\\',
            Some(b'x') => {
                let digits = [rest.next().expect("a digit"), rest.next().expect("a digit")];
                let digits = std::str::from_utf8(&digits).expect("ASCII");
                u8::from_str_radix(digits, 16).expect("hexadecimal digits")
            }
            other => panic!("unknown escape {other:?} in {text}"),
        });
    }
    bytes
}
