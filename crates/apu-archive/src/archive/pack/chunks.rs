//! Cutting a text so that a change in one place moves no cut elsewhere: what did not change need not be packed again.

/// No chunk but the last is shorter, in bytes.
const SHORTEST: usize = 32 << 10;

/// No chunk is longer, in bytes.
pub(super) const LONGEST: usize = 256 << 10;

/// A cut is made where these bits of the hash are zero: after about so many more bytes than the shortest.
const MASK: u64 = (32 << 10) - 1;

/// A number for each byte, by splitmix64. Part of what makes the same text give the same bytes: never to be changed.
const GEAR: [u64; 256] = {
    let mut table = [0; 256];
    let mut state: u64 = 0;
    let mut byte = 0;
    while byte < 256 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        table[byte] = number ^ (number >> 31);
        byte += 1;
    }
    table
};

/// The text in pieces, each at most [`LONGEST`]; an empty text is one empty piece.
pub(super) fn chunks(mut text: &[u8]) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    loop {
        let (chunk, rest) = text.split_at(first_cut(text));
        chunks.push(chunk);
        if rest.is_empty() {
            return chunks;
        }
        text = rest;
    }
}

/// Where the bytes before it, of which the hash remembers 64, say that a chunk ends.
fn first_cut(text: &[u8]) -> usize {
    let longest = text.len().min(LONGEST);
    let mut hash: u64 = 0;
    for (at, &byte) in text.iter().enumerate().take(longest).skip(SHORTEST) {
        hash = (hash << 1).wrapping_add(GEAR[usize::from(byte)]);
        if (hash >> 40) & MASK == 0 {
            return at + 1;
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{LONGEST, chunks};

    fn text() -> Vec<u8> {
        (0..60_000_u64)
            .flat_map(|number| {
                format!("Package: p{}\nSize: {number}\n\n", number.wrapping_mul(7919)).into_bytes()
            })
            .collect()
    }

    #[test]
    fn the_pieces_are_the_text() {
        let text = text();
        let pieces = chunks(&text);
        assert!(pieces.len() > 4, "{}", pieces.len());
        assert!(pieces.iter().all(|piece| piece.len() <= LONGEST));
        assert_eq!(pieces.concat(), text);
        assert_eq!(chunks(b""), [b""]);
    }

    #[test]
    fn a_change_in_one_place_leaves_the_other_pieces_alone() {
        let before = text();
        let pieces: HashSet<&[u8]> = chunks(&before).into_iter().collect();
        for at in [0, before.len() / 3, before.len() - 5] {
            let mut after = before.clone();
            after.splice(at..at, *b"Package: new\nSize: 1\n\n");
            let new = chunks(&after)
                .into_iter()
                .filter(|piece| !pieces.contains(piece))
                .count();
            assert!(new <= 3, "{new} pieces changed");
        }
    }
}
