//! Ranges such as `web[01-20,23].example.org`: written out, and put together again for the eye.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

/// The most hosts that one word may stand for.
pub const MAX_EXPANSION: usize = 10_000;

/// Why a word's brackets say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RangeError {
    /// `[` without `]`, or the other way round, or one in another.
    #[error("{0:?}: a bracket without its partner")]
    Bracket(String),
    /// Neither `7` nor `01-20`.
    #[error("{word:?}: {part:?} is not a range such as 01-20")]
    Part {
        /// The whole word.
        word: String,
        /// What stands in the brackets.
        part: String,
    },
    /// `20-01`.
    #[error("{word:?}: the range {part} runs backwards")]
    Backwards {
        /// The whole word.
        word: String,
        /// The range.
        part: String,
    },
    /// Over [`MAX_EXPANSION`].
    #[error("{0:?} stands for more than {MAX_EXPANSION} hosts")]
    Many(String),
}

/// All the words that a word with ranges stands for, in order; a word without is itself.
///
/// `[2001:db8::1]` is an address and no range.
///
/// # Errors
/// Where brackets do not match, hold no range, or hold too much.
pub fn expand(word: &str) -> Result<Vec<String>, RangeError> {
    if word.starts_with('[') && word.contains(':') {
        return Ok(vec![word.to_owned()]);
    }
    let mut words = vec![String::new()];
    let mut rest = word;
    while let Some(open) = rest.find(['[', ']']) {
        let unmatched = || RangeError::Bracket(word.to_owned());
        let (before, inside) = rest.split_at(open);
        let inside = inside.strip_prefix('[').ok_or_else(unmatched)?;
        let (inside, after) = inside.split_once(']').ok_or_else(unmatched)?;
        if inside.contains('[') {
            return Err(unmatched());
        }
        let numbers = numbers(word, inside)?;
        if words.len() * numbers.len() > MAX_EXPANSION {
            return Err(RangeError::Many(word.to_owned()));
        }
        words = words
            .iter()
            .flat_map(|start| {
                numbers
                    .iter()
                    .map(move |number| format!("{start}{before}{number}"))
            })
            .collect();
        rest = after;
    }
    for start in &mut words {
        start.push_str(rest);
    }
    Ok(words)
}

fn numbers(word: &str, inside: &str) -> Result<Vec<String>, RangeError> {
    let mut numbers = Vec::new();
    for part in inside.split(',') {
        let wrong = || RangeError::Part {
            word: word.to_owned(),
            part: part.to_owned(),
        };
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| {
            let digits = (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            digits
                .then(|| text.parse::<usize>().ok())
                .flatten()
                .ok_or_else(wrong)
        };
        let (from, to) = (number(first)?, number(last)?);
        if from > to {
            return Err(RangeError::Backwards {
                word: word.to_owned(),
                part: part.to_owned(),
            });
        }
        if numbers.len() + (to - from) >= MAX_EXPANSION {
            return Err(RangeError::Many(word.to_owned()));
        }
        let width = if first.starts_with('0') { first.len() } else { 0 };
        numbers.extend((from..=to).map(|number| format!("{number:0width$}")));
    }
    Ok(numbers)
}

/// Writes many names in few characters: `web[01-03,07],db1`. [`expand`] reads every part of it back.
#[must_use]
pub fn fold<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut groups: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let names: BTreeSet<String> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
    let mut sizes: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let cuts: Vec<Vec<(&str, &str, &str)>> = names.iter().map(|name| cuts(name)).collect();
    for (before, _, after) in cuts.iter().flatten() {
        *sizes.entry((before, after)).or_default() += 1;
    }
    for (name, cuts) in names.iter().zip(&cuts) {
        // The number that varies is the one whose surroundings most names share.
        let best = cuts
            .iter()
            .max_by_key(|(before, _, after)| sizes[&(*before, *after)]);
        match best {
            Some((before, number, after)) => groups
                .entry(((*before).to_owned(), (*after).to_owned()))
                .or_default()
                .push((*number).to_owned()),
            None => parts.push(name.clone()),
        }
    }
    for ((before, after), numbers) in groups {
        let runs = runs(numbers);
        let single = runs.len() == 1 && !runs[0].contains('-');
        let (open, close) = if single { ("", "") } else { ("[", "]") };
        parts.push(format!("{before}{open}{}{close}{after}", runs.join(",")));
    }
    parts.sort();
    parts.join(",")
}

/// Every way to cut a name around one of its numbers. A name with colons is an address, and left whole.
fn cuts(name: &str) -> Vec<(&str, &str, &str)> {
    let mut cuts = Vec::new();
    let mut at = 0;
    while !name.contains(':') && at < name.len() {
        let digit = |byte: &u8| byte.is_ascii_digit();
        let Some(start) = name.as_bytes()[at..].iter().position(digit).map(|n| at + n) else {
            break;
        };
        let length = name.as_bytes()[start..]
            .iter()
            .take_while(|byte| digit(byte))
            .count();
        at = start + length;
        if length <= 9 {
            cuts.push((&name[..start], &name[start..at], &name[at..]));
        }
    }
    cuts
}

/// Consecutive numbers as `first-last`.
fn runs(mut numbers: Vec<String>) -> Vec<String> {
    let value = |text: &String| text.parse::<u64>().unwrap_or_default();
    numbers.sort_by_key(|text| (value(text), text.len()));
    numbers.dedup();
    let mut runs: Vec<(String, String)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((first, last)) if follows(first, last, &number) => *last = number,
            _ => runs.push((number.clone(), number)),
        }
    }
    let written = |(first, last): (String, String)| {
        if first == last {
            first
        } else {
            format!("{first}-{last}")
        }
    };
    runs.into_iter().map(written).collect()
}

/// Whether [`expand`] would write `next` right after `last` in a range that starts with `first`.
fn follows(first: &str, last: &str, next: &str) -> bool {
    let width = if first.starts_with('0') { first.len() } else { 0 };
    last.parse::<u64>()
        .is_ok_and(|last| format!("{:0width$}", last + 1) == next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_range_is_written_out_in_its_width() {
        assert_eq!(
            expand("web[01-03,7]x").unwrap(),
            ["web01x", "web02x", "web03x", "web7x"]
        );
        assert_eq!(expand("web[9-11]").unwrap(), ["web9", "web10", "web11"]);
        assert_eq!(expand("r[1-2]n[1-2]").unwrap(), ["r1n1", "r1n2", "r2n1", "r2n2"]);
        assert_eq!(expand("web1").unwrap(), ["web1"]);
        assert_eq!(expand("[2001:db8::1]").unwrap(), ["[2001:db8::1]"]);
    }

    #[test]
    fn brackets_that_say_nothing_are_refused() {
        for (word, text) in [
            ("web[01-", "\"web[01-\": a bracket without its partner"),
            ("web01]", "\"web01]\": a bracket without its partner"),
            ("web[a-b]", "\"web[a-b]\": \"a-b\" is not a range such as 01-20"),
            ("web[]", "\"web[]\": \"\" is not a range such as 01-20"),
            ("web[5-1]", "\"web[5-1]\": the range 5-1 runs backwards"),
            (
                "web[1-99999]",
                "\"web[1-99999]\" stands for more than 10000 hosts",
            ),
            (
                "a[1-999]b[1-999]",
                "\"a[1-999]b[1-999]\" stands for more than 10000 hosts",
            ),
        ] {
            assert_eq!(expand(word).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn equal_hosts_are_shown_as_a_set() {
        assert_eq!(fold(["web03", "web01", "web02", "web07"]), "web[01-03,07]");
        assert_eq!(fold(["web9", "web10", "db"]), "db,web[9-10]");
        assert_eq!(fold(["web01", "web1"]), "web[1,01]");
        assert_eq!(fold(["10.0.0.1", "10.0.0.2"]), "10.0.0.[1-2]");
        assert_eq!(
            fold(["web1.dc1.example.org", "web2.dc1.example.org"]),
            "web[1-2].dc1.example.org"
        );
        assert_eq!(fold(["rack1-n3"]), "rack1-n3");
        assert_eq!(fold(["2001:db8::1", "2001:db8::2"]), "2001:db8::1,2001:db8::2");
        assert_eq!(fold(Vec::<String>::new()), "");
    }

    proptest! {
        #[test]
        fn a_folded_set_reads_back_as_the_same_hosts(
            mut names in proptest::collection::vec("[a-c]{0,1}[0-9]{0,3}[.-]{0,1}[a-b][0-9]{0,2}", 1..30)
        ) {
            let folded = fold(&names);
            let mut depth = 0;
            let words = folded.split(|c| {
                depth += i32::from(c == '[') - i32::from(c == ']');
                c == ',' && depth == 0
            });
            let mut back: Vec<String> = words.flat_map(|word| expand(word).unwrap()).collect();
            back.sort();
            names.sort();
            names.dedup();
            prop_assert_eq!(back, names, "{}", folded);
        }
    }
}
