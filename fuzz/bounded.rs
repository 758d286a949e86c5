//! Checks a property on the seeds of a target, then on mutations of them that are the same in each run.
//!
//! `cargo test` of each crate includes this file, so that the properties hold before libFuzzer has looked at them. A mutation
//! is not led by coverage, so seeds should show every form that a reader takes. `APU_FUZZ_CASES` says how many mutations.

use std::path::{Path, PathBuf};
use std::{env, fs, panic};

/// The mutations of one target: a second for the slowest.
const CASES: usize = if cfg!(debug_assertions) { 1000 } else { 20_000 };

/// The longest input, in bytes.
const LONGEST: usize = 8192;

/// What readers of text are known to stumble over.
const TOKENS: [&str; 32] = [
    "\0",
    "\n",
    "\n\n",
    "\r\n",
    "\u{b}",
    "\u{c}",
    "\t",
    " ",
    "  ",
    "\u{1a}",
    "\u{1b}[0m",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "#",
    ":",
    "::",
    "=",
    ",",
    "|",
    "[",
    "]",
    "\"",
    "\\",
    "*",
    "/",
    "../",
    "-1",
    "0000000001",
    "4294967296",
    "1e39",
    "18446744073709551616",
];

/// Checks that `property` panics for no seed of `target`, and for no mutation of them.
pub(crate) fn check(target: &str, property: fn(&[u8])) {
    let cases = env::var("APU_FUZZ_CASES").map_or(CASES, |count| count.parse().expect("a number"));
    let directory = directory();
    let source = fs::read_to_string(directory.join(format!("fuzz_targets/{target}.rs"))).expect("a target");
    assert!(source.contains(&format!("::fuzz::{target}(data)")), "{source}");
    let seeds = seeds(&directory.join("corpus").join(target));
    let mut mutator = Mutator::new(&seeds);
    let mutations = (0..cases).map(|_| mutator.mutation());
    for input in seeds.iter().cloned().chain(mutations) {
        let held = panic::catch_unwind(|| property(&input));
        assert!(
            held.is_ok(),
            "{target} fails for this input; once mended, keep it in fuzz/corpus/{target}:\nprintf '{}'",
            printf(&input)
        );
    }
}

/// The directory of this file.
fn directory() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above
        .find_map(|directory| Some(directory.join("fuzz")).filter(|fuzz| fuzz.join("corpus").is_dir()))
        .expect("the directory fuzz")
}

/// The bytes as printf(1) writes them.
fn printf(bytes: &[u8]) -> String {
    let letter = |&byte: &u8| match byte {
        b' '..=b'~' if !b"\\%'".contains(&byte) => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    bytes.iter().map(letter).collect()
}

/// The seeds in the order of their names.
fn seeds(corpus: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(corpus).expect("seeds");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a seed").path()).collect();
    paths.sort();
    assert!(paths.len() > 1, "{} has too few seeds", corpus.display());
    let read = |path| fs::read(path).expect("a seed");
    paths.into_iter().map(read).collect()
}

struct Mutator<'a> {
    seeds: &'a [Vec<u8>],
    /// Words and lines of the seeds, and [`TOKENS`].
    tokens: Vec<&'a [u8]>,
    state: u64,
}

impl<'a> Mutator<'a> {
    fn new(seeds: &'a [Vec<u8>]) -> Self {
        let ends: [fn(&u8) -> bool; 2] = [|byte| *byte == b'\n', |byte| b" \n=:,".contains(byte)];
        let parts = ends
            .into_iter()
            .flat_map(|is_end| seeds.iter().flat_map(move |seed| seed.split_inclusive(is_end)));
        let mut tokens: Vec<&[u8]> = parts.filter(|part| part.len() <= 256).collect();
        tokens.sort_unstable();
        tokens.dedup();
        // Half of what is inserted are these.
        let repeat = 1 + tokens.len() / TOKENS.len();
        tokens.extend((0..repeat).flat_map(|_| TOKENS).map(str::as_bytes));
        let state = 1;
        Self { seeds, tokens, state }
    }

    /// A number below `end`, from Knuth's linear congruential generator; 0 where `end` is 0.
    fn below(&mut self, end: usize) -> usize {
        self.state = (self.state)
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let number = usize::try_from(self.state >> 33).unwrap_or_default();
        number.checked_rem(end).unwrap_or_default()
    }

    /// A seed with one to six changes.
    fn mutation(&mut self) -> Vec<u8> {
        let mut input = self.seeds[self.below(self.seeds.len())].clone();
        for _ in 0..=self.below(6) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + 1 + self.below(20)).min(input.len());
        match self.below(6) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => drop(input.drain(at..end)),
            2 if at < input.len() => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            3 => {
                let other = &self.seeds[self.below(self.seeds.len())];
                let from = self.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            4 => input.truncate(at),
            _ => {
                let which = self.below(self.tokens.len());
                let token = self.tokens[which];
                let end = if self.below(2) == 0 { at } else { end };
                input.splice(at..end.max(at), token.iter().copied());
            }
        }
    }
}
