//! Packing indexes: on all cores, and only what the last ones do not hold already. The same text always gives the same
//! bytes, whatever was published before it.

mod chunks;
mod gz;
mod xz;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

use chunks::{LONGEST, chunks};

use crate::parallel;

/// A text to be packed.
pub(super) struct Text<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether also by xz.
    pub(super) by_xz: bool,
    /// What was packed before by this version of the program.
    pub(super) last: Option<Packed<'a>>,
}

/// A text in its forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packed<'a> {
    pub(super) text: Cow<'a, [u8]>,
    pub(super) gz: Cow<'a, [u8]>,
    /// Empty where it was not asked for.
    pub(super) xz: Cow<'a, [u8]>,
}

/// A text up to this length is one piece, squeezed as far as it goes; a longer one must not make publishing slow.
const SMALL: usize = LONGEST;

fn level(text: &[u8]) -> u32 {
    if text.len() <= SMALL { 6 } else { 2 }
}

fn pieces(text: &[u8]) -> Vec<&[u8]> {
    if text.len() <= SMALL {
        vec![text]
    } else {
        chunks(text)
    }
}

/// Packs each text; its `gz` and `xz`.
pub(super) fn pack(texts: &[Text<'_>]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let known: Vec<Known<'_>> = texts.iter().map(Known::of).collect();
    let pairs = texts.iter().zip(&known);
    let seen: Vec<Vec<Seen<'_>>> = pairs
        .map(|(text, known)| known.seen(pieces(text.bytes)))
        .collect();
    let (mut by_xz, mut by_gz) = (BTreeSet::new(), BTreeSet::new());
    for (text, seen) in texts.iter().zip(&seen) {
        for seen in seen {
            if text.by_xz && seen.xz.is_none() {
                by_xz.insert(Job::Xz(seen.piece, level(text.bytes)));
            }
            if seen.gz.is_none() {
                by_gz.insert(Job::Gz(seen.piece));
            }
        }
    }
    // The slow ones first.
    let jobs: Vec<Job<'_>> = by_xz.into_iter().chain(by_gz).collect();
    let done = parallel::map(&jobs, Job::done);
    let mut new = BTreeMap::new();
    for (job, done) in jobs.iter().zip(done) {
        new.insert(job, done?);
    }
    let joined = |(text, seen): (&Text<'_>, &Vec<Seen<'_>>)| {
        let gz = seen.iter().map(|seen| {
            let new = || new.get(&Job::Gz(seen.piece)).map(Vec::as_slice);
            seen.gz.or_else(new)
        });
        let gz: Option<Vec<&[u8]>> = gz.collect();
        let gz = gz::join(text.bytes, &gz?);
        if !text.by_xz {
            return Some((gz, Vec::new()));
        }
        let level = level(text.bytes);
        let mut blocks = Vec::new();
        let mut like: Option<&[u8]> = None;
        for seen in seen {
            if let Some(block) = seen.xz {
                blocks.push(block);
                like = text.last.as_ref().map(|last| &*last.xz);
            } else {
                let stream = new.get(&Job::Xz(seen.piece, level))?;
                blocks.extend(xz::split(stream)?);
                like = Some(stream);
            }
        }
        Some((gz, xz::join(like?, &blocks)?))
    };
    let joined: Option<Vec<_>> = texts.iter().zip(&seen).map(joined).collect();
    joined.ok_or_else(|| io::Error::other("the encoder did not write what xz's format says"))
}

/// One piece to be packed.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Job<'a> {
    Gz(&'a [u8]),
    Xz(&'a [u8], u32),
}

impl Job<'_> {
    fn done(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Gz(piece) => gz::piece(piece),
            Self::Xz(piece, level) => xz::stream(piece, *level),
        }
    }
}

/// How the pieces of the last text were packed.
#[derive(Default)]
struct Known<'a> {
    pieces: BTreeMap<&'a [u8], Seen<'a>>,
}

/// A piece, and how it was packed before.
#[derive(Clone, Copy)]
struct Seen<'a> {
    piece: &'a [u8],
    gz: Option<&'a [u8]>,
    xz: Option<xz::Block<'a>>,
}

impl<'a> Known<'a> {
    fn of(text: &'a Text<'_>) -> Self {
        let Some(last) = &text.last else {
            return Self::default();
        };
        // Another level gives other bytes.
        if level(&last.text) != level(text.bytes) {
            return Self::default();
        }
        let xz = xz::split(&last.xz);
        // Where it was cut, its blocks say; to find out again takes as long as reading it.
        let cut = xz.as_ref().and_then(|blocks| cut(&last.text, blocks));
        let xz = xz.filter(|_| cut.is_some());
        let texts = cut.unwrap_or_else(|| pieces(&last.text));
        let gz = gz::split(&last.gz).filter(|gz| gz.len() == texts.len());
        let seen = |(at, text): (usize, &'a [u8])| {
            let seen = Seen {
                piece: text,
                gz: gz.as_ref().map(|gz| gz[at]),
                xz: xz.as_ref().map(|xz| xz[at]),
            };
            (text, seen)
        };
        Self {
            pieces: texts.into_iter().enumerate().map(seen).collect(),
        }
    }

    fn seen(&self, pieces: Vec<&'a [u8]>) -> Vec<Seen<'a>> {
        let new = |piece| Seen {
            piece,
            gz: None,
            xz: None,
        };
        let seen = |piece| self.pieces.get(piece).copied().unwrap_or(new(piece));
        pieces.into_iter().map(seen).collect()
    }
}

/// The text in pieces as long as those of the blocks; nothing if they are not its blocks.
fn cut<'a>(mut text: &'a [u8], blocks: &[xz::Block<'_>]) -> Option<Vec<&'a [u8]>> {
    let mut pieces = Vec::with_capacity(blocks.len());
    for block in blocks {
        let (piece, rest) = text.split_at_checked(usize::try_from(block.text).ok()?)?;
        pieces.push(piece);
        text = rest;
    }
    text.is_empty().then_some(pieces)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{Packed, SMALL, Text, pack, pieces};

    fn index(packages: u64, without: u64) -> Vec<u8> {
        (0..packages)
            .filter(|&number| number != without)
            .flat_map(|number| {
                let sum = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                format!("Package: p{number}\nVersion: 1\nSHA256: {sum:064x}\n\n").into_bytes()
            })
            .collect()
    }

    fn packed<'a>(text: &'a [u8], last: Option<Packed<'a>>) -> Packed<'a> {
        let (gz, xz) = pack(&[Text {
            bytes: text,
            by_xz: true,
            last,
        }])
        .unwrap()
        .remove(0);
        Packed {
            text: text.into(),
            gz: gz.into(),
            xz: xz.into(),
        }
    }

    #[test]
    fn what_was_packed_before_changes_nothing_but_the_time() {
        for (before, after) in [(20_000, 20_000), (10, 10), (10, 20_000), (20_000, 10), (0, 5)] {
            let before_it = index(before, u64::MAX);
            let last = packed(&before_it, None);
            let text = index(after, 3);
            let alone = packed(&text, None);
            assert!(packed(&text, Some(last)) == alone, "{before} then {after}");
        }
    }

    /// The pieces of a short text are squeezed harder.
    #[test]
    fn a_short_text_that_a_long_one_begins_with_lends_it_nothing() {
        let whole = index(20_000, u64::MAX);
        let mut long = &whole[..];
        while pieces(long)[0].len() > SMALL {
            long = &long[pieces(long)[0].len()..];
        }
        let first = pieces(long)[0];
        assert!(long.len() > SMALL && pieces(first).len() == 1);
        let last = packed(first, None);
        assert!(packed(long, Some(last)) == packed(long, None));
    }

    #[test]
    fn a_last_file_that_is_none_of_ours_is_not_looked_at() {
        let text = index(20_000, 3);
        let before = index(20_000, 4);
        let mut last = packed(&before, None);
        last.gz.to_mut().truncate(100);
        last.xz = Cow::default();
        assert!(packed(&text, Some(last)) == packed(&text, None));
    }
}
