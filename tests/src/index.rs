//! Two indexes of the same .debs, field by field: what differs, and why that is as it should be.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::tool::run;

mod listed;

/// One paragraph of a Packages file. Values are as they stand, line breaks and blanks included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paragraph(Vec<(String, String)>);

impl Paragraph {
    /// The value of a field, whatever its letters' case; empty where there is none.
    #[must_use]
    pub fn get(&self, field: &str) -> &str {
        self.find(field).map_or("", |(_, value)| value)
    }

    fn find(&self, field: &str) -> Option<(&str, &str)> {
        let mut fields = self.0.iter();
        let found = fields.find(|(name, _)| name.eq_ignore_ascii_case(field))?;
        Some((&found.0, &found.1))
    }

    fn key(&self) -> String {
        ["Package", "Version", "Architecture"]
            .map(|field| self.get(field).trim())
            .join(" ")
    }

    /// The names of its fields that `other` has too.
    fn names_shared_with<'a>(&'a self, other: &Self) -> Vec<&'a str> {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        names.filter(|name| other.find(name).is_some()).collect()
    }
}

/// Takes an index apart. What belongs to no field is kept as a field without a name, so that it shows.
#[must_use]
pub fn paragraphs(text: &str) -> Vec<Paragraph> {
    let paragraph = |text: &str| {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            match fields.last_mut() {
                Some((_, value)) if line.starts_with([' ', '\t']) => {
                    value.push('\n');
                    value.push_str(line);
                }
                _ => {
                    let (name, value) = line.split_once(':').unwrap_or(("", line));
                    let value = value.strip_prefix(' ').unwrap_or(value);
                    fields.push((name.to_owned(), value.to_owned()));
                }
            }
        }
        Paragraph(fields)
    };
    let texts = text.split("\n\n").map(|text| text.trim_matches('\n'));
    texts.filter(|text| !text.is_empty()).map(paragraph).collect()
}

/// Who else makes an index of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Of apt-utils.
    Ftparchive,
    /// Of dpkg-dev.
    Scanpackages,
}

impl Peer {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ftparchive, Self::Scanpackages];

    /// Its program.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ftparchive => "apt-ftparchive",
            Self::Scanpackages => "dpkg-scanpackages",
        }
    }

    /// The index that it makes of a directory, with everything that it says of a .deb by itself.
    pub fn index(self, dir: &Path) -> Result<String> {
        let mut command = Command::new(self.name());
        match self {
            Self::Ftparchive => command.args(["packages", "."]),
            // It would keep the newest version of each package only.
            Self::Scanpackages => command.args(["--multiversion", "."]),
        };
        run(command.current_dir(dir))
    }
}

/// How two indexes differ in one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// The peer has it, apu has not.
    Missing,
    /// apu has it, the peer has not.
    Added,
    /// Both have it, with different values.
    Value,
    /// Both have it, its name in other letters.
    Spelling,
    /// Both have the same, in another order.
    Order,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Added => "added",
            Self::Value => "value",
            Self::Spelling => "spelling",
            Self::Order => "order",
        }
    }
}

/// What stands for a whole paragraph where a field's name would stand.
const PACKAGE: &str = "(package)";

/// Likewise for all the names of a paragraph.
const FIELDS: &str = "(fields)";

/// One difference, in as many packages as have it.
#[derive(Debug)]
struct Difference {
    packages: usize,
    /// The first package that has it, with both values.
    example: String,
    /// Why it is as it should be; nothing if nobody said so.
    why: Option<&'static str>,
}

/// What a comparison found.
#[derive(Debug)]
pub struct Comparison {
    peer: Peer,
    packages: usize,
    values: usize,
    differences: BTreeMap<(String, Kind, bool), Difference>,
}

impl Comparison {
    /// Holds apu's index against a peer's.
    #[must_use]
    pub fn of(ours: &str, theirs: &str, peer: Peer) -> Self {
        let mut found = Self {
            peer,
            packages: 0,
            values: 0,
            differences: BTreeMap::new(),
        };
        let (ours, theirs) = (paragraphs(ours), paragraphs(theirs));
        let order: Vec<_> = ours.iter().map(Paragraph::key).collect();
        if order != theirs.iter().map(Paragraph::key).collect::<Vec<_>>() {
            found.note(PACKAGE, Kind::Order, "all of them", "", "");
        }
        let mut theirs_by_key: BTreeMap<String, Vec<Paragraph>> = BTreeMap::new();
        for paragraph in theirs {
            theirs_by_key.entry(paragraph.key()).or_default().push(paragraph);
        }
        for paragraph in &ours {
            let key = paragraph.key();
            match theirs_by_key.get_mut(&key).and_then(Vec::pop) {
                Some(other) => found.compare(&key, paragraph, &other),
                None => found.note(PACKAGE, Kind::Added, &key, "", ""),
            }
        }
        for key in theirs_by_key.into_values().flatten().map(|left| left.key()) {
            found.note(PACKAGE, Kind::Missing, &key, "", "");
        }
        found
    }

    fn compare(&mut self, key: &str, ours: &Paragraph, theirs: &Paragraph) {
        self.packages += 1;
        for (name, value) in &ours.0 {
            let Some((other_name, other)) = theirs.find(name) else {
                self.note(name, Kind::Added, key, value, "");
                continue;
            };
            self.values += 1;
            if name != other_name {
                self.note(name, Kind::Spelling, key, name, other_name);
            }
            if value != other {
                self.note(name, Kind::Value, key, value, other);
            }
        }
        for (name, value) in theirs.0.iter().filter(|(name, _)| ours.find(name).is_none()) {
            self.note(name, Kind::Missing, key, "", value);
        }
        let (one, other) = (ours.names_shared_with(theirs), theirs.names_shared_with(ours));
        if !one
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .eq(other.iter().map(|name| name.to_ascii_lowercase()))
        {
            self.note(FIELDS, Kind::Order, key, &one.join(" "), &other.join(" "));
        }
    }

    fn note(&mut self, field: &str, kind: Kind, key: &str, ours: &str, theirs: &str) {
        let why = listed::why(self.peer, field, kind, ours, theirs);
        // A listed difference must not hide one in the same field that is none of the listed.
        let place = (field.to_owned(), kind, why.is_some());
        let difference = self.differences.entry(place).or_insert_with(|| Difference {
            packages: 0,
            example: format!("{key}: {ours:?}, not {theirs:?}"),
            why,
        });
        difference.packages += 1;
    }

    /// Every difference that nobody has given a reason for, with an example.
    #[must_use]
    pub fn unlisted(&self) -> Vec<String> {
        let all = self.differences.iter();
        let unlisted = all.filter(|(_, difference)| difference.why.is_none());
        let text = |((field, kind, _), difference): (&(String, Kind, bool), &Difference)| {
            format!(
                "{} {field} {}, {} packages, for example {}",
                self.peer.name(),
                kind.name(),
                difference.packages,
                difference.example
            )
        };
        unlisted.map(text).collect()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} packages, {} values compared",
            self.peer.name(),
            self.packages,
            self.values
        )?;
        for ((field, kind, _), difference) in &self.differences {
            writeln!(
                f,
                "  {field:<16} {:<8} {:>5}  {}",
                kind.name(),
                difference.packages,
                difference.why.unwrap_or("NOT LISTED")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Comparison, Peer, paragraphs};

    const FOO: &str = "Package: foo\nVersion: 1\nArchitecture: all\nDepends: bar\nDescription: x\n y\n";

    fn unlisted(theirs: &str) -> Vec<String> {
        Comparison::of(FOO, theirs, Peer::Ftparchive).unlisted()
    }

    #[test]
    fn values_are_kept_as_they_stand() {
        let read = paragraphs("A: 1 \nB:\n 2\n  3\n\n\nC: x\nrubbish\n");
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].get("a"), read[0].get("B")), ("1 ", "\n 2\n  3"));
        assert_eq!(read[1].get(""), "rubbish");
    }

    #[test]
    fn any_difference_that_nobody_listed_is_told() {
        assert_eq!(unlisted(FOO), Vec::<String>::new());
        for (from, to, told) in [
            ("bar", "bar  baz", "Depends value"),
            ("\n y", "\n  y", "Description value"),
            ("Depends: bar\n", "", "Depends added"),
            ("Depends: bar\n", "Depends: bar\nNew: 1\n", "New missing"),
            ("Version: 1", "Version: 2", "(package) added"),
        ] {
            let found = unlisted(&FOO.replace(from, to));
            assert!(found.iter().any(|line| line.contains(told)), "{told}: {found:?}");
        }
        assert!(!unlisted("").is_empty());
        assert!(!unlisted(&format!("{FOO}\n{FOO}")).is_empty(), "twice");
    }

    #[test]
    fn a_listed_difference_does_not_hide_another_in_the_same_field() {
        let at = |path: &str| format!("{FOO}Filename: {path}\n");
        let compare =
            |ours: &str, theirs: &str| Comparison::of(&at(ours), &at(theirs), Peer::Ftparchive).unlisted();
        assert_eq!(compare("a.deb", "./a.deb"), Vec::<String>::new());
        assert_eq!(compare("a.deb", "./b.deb").len(), 1);
    }
}
