//! Properties of the readers of this crate for any bytes, for the targets in `fuzz/` and for `cargo test`.

use std::collections::HashSet;

use crate::class::{ClassFile, Entry};
use crate::known_hosts::{HostKey, is_of, read_found, without};
use crate::name::HostName;

#[cfg(test)]
#[path = "../../../fuzz/bounded.rs"]
mod bounded;

/// What a class file says of hosts and classes, printed one a line, says the same; each wrong line is named.
pub fn class(data: &[u8]) {
    let file = ClassFile::read(data);
    let lines = data.split(|byte| *byte == b'\n').count();
    assert!(file.errors.iter().all(|error| (1..=lines).contains(&error.line)));
    assert!(file.errors.is_sorted_by(|one, other| one.line < other.line));

    let printed: String = file.entries.iter().map(print).collect();
    let again = ClassFile::read(printed.as_bytes());
    assert_eq!(again.errors, []);
    assert!(again.entries.iter().map(print).eq(file.entries.iter().map(print)));
    for (line, (one, other)) in (1..).zip(file.entries.iter().zip(&again.entries)) {
        match (one, other) {
            (Entry::Host(_, one), Entry::Host(at, other)) => assert_eq!((one, line), (other, *at)),
            (Entry::Include(_, one), Entry::Include(at, other)) => assert_eq!((one, line), (other, *at)),
            _ => panic!("{one:?} became {other:?}"),
        }
    }
    let mut names = HashSet::new();
    for entry in &file.entries {
        if let Entry::Host(_, host) = entry {
            assert!(names.insert(&host.name), "{} is there twice", host.name);
        }
    }
}

fn print(entry: &Entry) -> String {
    match entry {
        Entry::Host(_, host) => format!("{host}\n"),
        Entry::Include(_, class) => format!("@{class}\n"),
    }
}

/// An accepted host key prints back as itself. A line from which names were removed has none of these names, and its old key.
pub fn known_hosts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let host: HostName = "web1".parse().expect("a name");
    let names = ["web1".to_owned(), "[web1]:2222".to_owned()];
    for line in text.lines() {
        if let Ok(key) = HostKey::parse(line) {
            assert_eq!(HostKey::parse(&key.to_string()), Ok(key.clone()));
            assert_eq!(key.fingerprint().len(), "SHA256:".len() + 43);
        }
        let left = without(line, &names);
        // The lines that apu writes are about one host.
        assert!(!is_of(line, &host) || left.is_none(), "{line:?}");
        if let Some(left) = left {
            let (hosts, key) = left.split_once(' ').expect("hosts and a key");
            assert!(!hosts.is_empty(), "{line:?} becomes {left:?}");
            assert!(
                hosts
                    .split(',')
                    .all(|host| names.iter().all(|name| !name.eq_ignore_ascii_case(host)))
            );
            assert!(line.ends_with(key));
            assert_eq!(without(&left, &names).as_deref(), Some(&*left));
        }
    }
    let found = read_found(&text, host.as_str());
    assert!(found.len() <= text.lines().count());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_file_printed_says_the_same_for_any_bytes() {
        bounded::check("class", class);
    }

    #[test]
    fn a_line_of_known_hosts_loses_its_names_alone_for_any_bytes() {
        bounded::check("known_hosts", known_hosts);
    }
}
