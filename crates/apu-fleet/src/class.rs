//! The text of a class file: a host or a range of hosts a line, `@other` for another class, `#` for comments.

use std::collections::HashMap;

use apu_debian::nearest;
use thiserror::Error;

use crate::host::{Host, Reboot};
use crate::name::{ClassName, HostName, NameError, parse_port};
use crate::range::{RangeError, expand};
use crate::text::{TextError, lines};

/// What may follow a host.
const OPTIONS: [&str; 6] = ["address", "port", "user", "jump", "exclusive", "reboot"];

/// What a class file says, and what of it cannot be understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassFile {
    /// In the order of the file.
    pub entries: Vec<Entry>,
    /// Every wrong line; a class with any is not used.
    pub errors: Vec<LineError>,
}

/// One host or one included class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A host, on this line.
    Host(usize, Host),
    /// All hosts of another class, named on this line.
    Include(usize, ClassName),
}

/// A line that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {fault}")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// Not a host, class, user, port or jump host.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Not in UTF-8.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Brackets without a range in them.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// A second host on a line, or something else without `=`.
    #[error("{0:?} is not an option; a line has one host, and options such as port=2222")]
    NoOption(String),
    /// An option that there is not.
    #[error("there is no option {key:?}{}; the options are address, port, user, jump, exclusive and reboot", meant(.nearest))]
    UnknownOption {
        /// As it stands there.
        key: String,
        /// What was most likely meant.
        nearest: Option<String>,
    },
    /// Not a word of `reboot=`.
    #[error("{0:?} is no value of reboot; it has any, ask or never")]
    NoReboot(String),
    /// An option twice.
    #[error("the option {0} stands here twice")]
    OptionTwice(String),
    /// One address for many hosts.
    #[error("a range of hosts cannot have one address")]
    RangeAddress,
    /// Options after `@class`.
    #[error("@{0} takes no options; they stand with its own hosts")]
    IncludeOptions(ClassName),
    /// A host twice.
    #[error("{host} is already on line {first}")]
    Twice {
        /// The host.
        host: HostName,
        /// Where it stands first.
        first: usize,
    },
    /// `@other` where there is no such class.
    #[error("there is no class `{class}`{}", meant(.nearest))]
    NoClass {
        /// As it stands there.
        class: ClassName,
        /// What was most likely meant.
        nearest: Option<String>,
    },
    /// A class that includes itself.
    #[error("the class includes itself: {0}")]
    Cycle(String),
    /// The same host differently.
    #[error("`{here}`{} came before as `{before}`", of(.class))]
    Conflict {
        /// The included class that has it, if it does not stand on the line itself.
        class: Option<ClassName>,
        /// The host as it is here.
        here: String,
        /// As it was before.
        before: String,
    },
}

fn of(class: &Option<ClassName>) -> String {
    class
        .as_ref()
        .map_or_else(String::new, |class| format!(" of @{class}"))
}

pub(crate) fn meant(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map_or_else(String::new, |word| format!(" (`{word}`?)"))
}

impl ClassFile {
    /// Reads the text of a class file, all of it, whatever is wrong with parts of it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::read(text.as_bytes())
    }

    /// Reads the bytes of a class file, in whatever encoding their comments are.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let mut file = Self::default();
        let mut seen = HashMap::new();
        for (line, text) in (1..).zip(lines(bytes)) {
            let text = match text {
                Ok(text) if text.is_empty() => continue,
                Ok(text) => text,
                Err(error) => {
                    let fault = Fault::Text(error);
                    file.errors.push(LineError { line, fault });
                    continue;
                }
            };
            match parse_line(line, &text) {
                Ok(entries) => {
                    for entry in entries {
                        file.take(line, entry, &mut seen);
                    }
                }
                Err(fault) => file.errors.push(LineError { line, fault }),
            }
        }
        file
    }

    fn take(&mut self, line: usize, entry: Entry, seen: &mut HashMap<HostName, usize>) {
        if let Entry::Host(_, host) = &entry {
            if let Some(&first) = seen.get(&host.name) {
                let host = host.name.clone();
                let fault = Fault::Twice { host, first };
                // A range that repeats many hosts is one mistake.
                if self.errors.last().is_none_or(|last| last.line != line) {
                    self.errors.push(LineError { line, fault });
                }
                return;
            }
            seen.insert(host.name.clone(), line);
        }
        self.entries.push(entry);
    }
}

fn parse_line(line: usize, text: &str) -> Result<Vec<Entry>, Fault> {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    if let Some(class) = first.strip_prefix('@') {
        let class: ClassName = class.parse()?;
        return match words.next() {
            None => Ok(vec![Entry::Include(line, class)]),
            Some(_) => Err(Fault::IncludeOptions(class)),
        };
    }
    let names = expand(first)?;
    let names: Vec<HostName> = names.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let mut host = Host::plain(names.first().cloned().ok_or(NameError::Empty)?);
    let mut keys = Vec::new();
    for word in words {
        let (key, value) = word
            .split_once('=')
            .ok_or_else(|| Fault::NoOption(word.to_owned()))?;
        if keys.contains(&key) {
            return Err(Fault::OptionTwice(key.to_owned()));
        }
        keys.push(key);
        match key {
            "address" if names.len() > 1 => return Err(Fault::RangeAddress),
            "address" => host.address = Some(value.parse()?),
            "port" => host.port = Some(parse_port(value)?),
            "user" => host.user = Some(value.parse().map_err(NameError::User)?),
            "jump" => host.jump = Some(value.parse()?),
            "exclusive" => host.exclusive = Some(value.parse()?),
            "reboot" => {
                let words = Reboot::ALL.into_iter();
                let mut named = words.filter(|word| word.as_str() == value);
                host.reboot = named.next().ok_or_else(|| Fault::NoReboot(value.to_owned()))?;
            }
            _ => {
                let nearest = nearest(key, OPTIONS).map(str::to_owned);
                let key = key.to_owned();
                return Err(Fault::UnknownOption { key, nearest });
            }
        }
    }
    let named = |name| Entry::Host(line, Host { name, ..host.clone() });
    Ok(names.into_iter().map(named).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Vec<String> {
        let file = ClassFile::parse(text);
        assert_eq!(file.errors, [], "{text}");
        let written = |entry: &Entry| match entry {
            Entry::Host(_, host) => host.to_string(),
            Entry::Include(line, class) => format!("{line}@{class}"),
        };
        file.entries.iter().map(written).collect()
    }

    #[test]
    fn a_line_is_a_host_with_its_options_or_a_range_or_another_class() {
        let text = "# all of them\n\nWEB1 # the first\ndb[01-02].example.org port=2222 user=push\n\
                    nas address=192.168.1.9 jump=me@gate:22 exclusive=db reboot=ask\nlab reboot=any\n@laptops\n";
        let expected = [
            "web1",
            "db01.example.org port=2222 user=push",
            "db02.example.org port=2222 user=push",
            "nas address=192.168.1.9 jump=me@gate:22 exclusive=db reboot=ask",
            "lab",
            "7@laptops",
        ];
        assert_eq!(hosts(text), expected);
    }

    #[test]
    fn every_wrong_line_is_named_with_its_reason() {
        for (text, expected) in [
            ("web1\nweb2\nWEB1\n", "line 3: web1 is already on line 1"),
            (
                "-oProxyCommand=id",
                "line 1: \"-oProxyCommand=id\" is not a host name: it has '='",
            ),
            ("web[1-3]\nweb[2-4]", "line 2: web2 is already on line 1"),
            (
                "web1 web2",
                "line 1: \"web2\" is not an option; a line has one host, and options such as port=2222",
            ),
            (
                "web1 prot=22",
                "line 1: there is no option \"prot\" (`port`?); the options are address, port, user, jump, exclusive and reboot",
            ),
            (
                "web1 reboot=yes",
                "line 1: \"yes\" is no value of reboot; it has any, ask or never",
            ),
            ("web1 port=0", "line 1: \"0\" is not a port"),
            ("web1 port=1 port=2", "line 1: the option port stands here twice"),
            (
                "web[1-2] address=10.0.0.1",
                "line 1: a range of hosts cannot have one address",
            ),
            (
                "web1 user=-x",
                "line 1: \"-x\" is not a user name: 1 to 32 of A-Z a-z 0-9 _ . -, starting with a letter, a digit or _",
            ),
            (
                "@db port=2",
                "line 1: @db takes no options; they stand with its own hosts",
            ),
            ("@../x", "line 1: \"../x\" is not a class name: it has '/'"),
            ("web[1-", "line 1: \"web[1-\": a bracket without its partner"),
        ] {
            let errors: Vec<String> = ClassFile::parse(text)
                .errors
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(errors, [expected], "{text}");
        }
        assert_eq!(ClassFile::parse("a b\nok\nc d\n").errors.len(), 2);
    }

    #[test]
    fn the_examples_mean_what_they_say_once_their_marks_are_gone() {
        for text in [
            include_str!("../../../examples/clients/default"),
            include_str!("../../../examples/clients/laptops"),
        ] {
            assert_eq!(ClassFile::parse(text), ClassFile::default());
        }
        let text: String = include_str!("../../../examples/clients/default")
            .lines()
            .filter_map(|line| line.strip_prefix("# ").filter(|line| line.contains("  # ")))
            .map(|line| format!("{line}\n"))
            .collect();
        let expected = [
            "192.168.1.192",
            "db1.example.org",
            "nas address=192.168.1.9 port=2222",
            "lab1 jump=gate.example.org",
            "db2 exclusive=db",
            "nas2 reboot=ask",
            "8@laptops",
        ];
        let hosts = hosts(&text);
        assert_eq!(hosts.len(), 28, "{text}");
        for host in expected {
            assert!(hosts.iter().any(|other| other == host), "{host} in {hosts:?}");
        }
    }
}
