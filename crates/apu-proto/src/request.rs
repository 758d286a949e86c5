//! The request line: `apu/1 OPERATION [key=value…] [PACKAGE…]`.
//!
//! At most [`MAX_REQUEST`] bytes of printable ASCII, words separated by single spaces. Every key has a `_`, which no
//! package name may have, so a key and a `name=version` cannot be taken for each other.

mod error;

use std::fmt;

use crate::operation::Operation;
use crate::package_arg::PackageArg;
use crate::run_id::RunId;
use crate::transaction::TransactionId;

pub use error::{MAX_PACKAGES, MAX_REQUEST, RequestError, VERSION_WORD};

/// What the server asks of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// The run's identity; the client chooses one where it is missing.
    pub run_id: Option<RunId>,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Let the transaction remove packages.
    pub allow_remove: bool,
    /// Do only this transaction, and refuse any other.
    pub plan: Option<TransactionId>,
    /// Fetch the lists of the site's own archives and leave those of all others as they are.
    pub lists_of_site: bool,
    /// How long to wait for another package manager, in seconds.
    pub lock_wait: Option<u32>,
    /// The packages, for operations that name them.
    pub packages: Vec<PackageArg>,
}

impl Request {
    /// The plain request for `operation`, with no option and no package.
    #[must_use]
    pub const fn new(operation: Operation) -> Self {
        Self {
            operation,
            run_id: None,
            dry_run: false,
            allow_remove: false,
            plan: None,
            lists_of_site: false,
            lock_wait: None,
            packages: Vec::new(),
        }
    }

    /// Reads a request line, given without its line end.
    ///
    /// # Errors
    /// The first thing that is wrong with it; nothing of a wrong line is ever used.
    pub fn parse(line: &[u8]) -> Result<Self, RequestError> {
        if line.is_empty() {
            return Err(RequestError::Empty);
        }
        if line.len() > MAX_REQUEST {
            return Err(RequestError::TooLong);
        }
        if let Some(at) = line.iter().position(|byte| !(b' '..=b'~').contains(byte)) {
            return Err(RequestError::Byte { at: at + 1 });
        }
        let line = std::str::from_utf8(line).map_err(|_| RequestError::Byte { at: 1 })?;
        let mut words = (1..).zip(line.split(' ')).peekable();
        if line.split(' ').any(str::is_empty) {
            return Err(RequestError::EmptyWord);
        }
        if words.next().is_none_or(|(_, version)| version != VERSION_WORD) {
            return Err(RequestError::Version);
        }
        let (word, name) = words.next().ok_or(RequestError::NoOperation)?;
        let operation = name.parse().map_err(|()| RequestError::Operation { word })?;

        let mut request = Self::new(operation);
        let mut keys_seen = Vec::new();
        while let Some((word, text)) = words.next_if(|(_, text)| is_option(text)) {
            let (key, value) = text
                .split_once('=')
                .ok_or(RequestError::Key { word, operation })?;
            if keys_seen.contains(&key) {
                return Err(RequestError::Key { word, operation });
            }
            keys_seen.push(key);
            request.set(word, key, value)?;
        }
        for (word, text) in words {
            if is_option(text) {
                return Err(RequestError::Key { word, operation });
            }
            if !operation.takes_packages() {
                return Err(RequestError::NoneTaken(operation));
            }
            let package: PackageArg = text
                .parse()
                .map_err(|source| RequestError::Package { word, source })?;
            let same = |other: &PackageArg| {
                (&other.name, &other.architecture) == (&package.name, &package.architecture)
            };
            if request.packages.iter().any(same) {
                return Err(RequestError::Twice { word });
            }
            if request.packages.len() == MAX_PACKAGES {
                return Err(RequestError::TooMany);
            }
            request.packages.push(package);
        }
        if operation.takes_packages() && request.packages.is_empty() {
            return Err(RequestError::NoPackage(operation));
        }
        if operation == Operation::Attach && request.run_id.is_none() {
            return Err(RequestError::NoRun);
        }
        Ok(request)
    }

    fn set(&mut self, word: usize, key: &str, value: &str) -> Result<(), RequestError> {
        let operation = self.operation;
        let wrong = RequestError::Value { word };
        let run = operation.is_a_run();
        let changes = operation.changes_packages();
        match key {
            "run_id" if run || operation == Operation::Attach => {
                self.run_id = Some(value.parse().map_err(|_| wrong)?);
            }
            "dry_run" if changes => self.dry_run = yes(value).ok_or(wrong)?,
            "allow_remove" if matches!(operation, Operation::DistUpgrade | Operation::Install) => {
                self.allow_remove = yes(value).ok_or(wrong)?;
            }
            "plan_sha256" if changes => self.plan = Some(value.parse().map_err(|_| wrong)?),
            "lists_of" if operation == Operation::Update => {
                self.lists_of_site = (value == "site").then_some(true).ok_or(wrong)?;
            }
            "lock_wait" if run => {
                let seconds = value.parse().ok().filter(|seconds: &u32| *seconds <= 86_400);
                self.lock_wait = Some(seconds.filter(|_| !value.starts_with('+')).ok_or(wrong)?);
            }
            _ => return Err(RequestError::Key { word, operation }),
        }
        Ok(())
    }
}

fn is_option(word: &str) -> bool {
    word.split('=').next().is_some_and(|key| key.contains('_'))
}

fn yes(value: &str) -> Option<bool> {
    (value == "yes").then_some(true)
}

impl fmt::Display for Request {
    /// The request line, without a line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION_WORD} {}", self.operation)?;
        if let Some(id) = &self.run_id {
            write!(f, " run_id={id}")?;
        }
        if self.dry_run {
            f.write_str(" dry_run=yes")?;
        }
        if self.allow_remove {
            f.write_str(" allow_remove=yes")?;
        }
        if let Some(plan) = &self.plan {
            write!(f, " plan_sha256={plan}")?;
        }
        if self.lists_of_site {
            f.write_str(" lists_of=site")?;
        }
        if let Some(seconds) = self.lock_wait {
            write!(f, " lock_wait={seconds}")?;
        }
        self.packages
            .iter()
            .try_for_each(|package| write!(f, " {package}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<Request, RequestError> {
        Request::parse(line.as_bytes())
    }

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        for line in [
            "apu/1 ping",
            "apu/1 update",
            "apu/1 update run_id=0123456789abcdef0123456789abcdef lists_of=site lock_wait=600",
            "apu/1 dist-upgrade run_id=0123456789abcdef0123456789abcdef allow_remove=yes lock_wait=600",
            "apu/1 install dry_run=yes expect libc6:i386 vim=2:9.0.1378-2+deb12u2",
            "apu/1 attach run_id=0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(parse(line).expect(line).to_string(), line);
        }
    }

    #[test]
    fn an_option_is_taken_only_where_it_means_something() {
        for line in [
            "apu/1 ping run_id=0123456789abcdef0123456789abcdef",
            "apu/1 update dry_run=yes",
            "apu/1 upgrade allow_remove=yes",
            "apu/1 status lists_of=site",
            "apu/1 install lists_of=site hello",
            "apu/1 dist-upgrade lists_of=site",
            "apu/1 update lists_of=site lists_of=site",
            "apu/1 update lists_of",
            "apu/1 install hello dry_run=yes",
            "apu/1 install dry_run=yes dry_run=yes hello",
            "apu/1 install dpkg_options=--force-all hello",
            "apu/1 install dry_run hello",
        ] {
            assert!(
                matches!(parse(line), Err(RequestError::Key { .. })),
                "{line}: {:?}",
                parse(line)
            );
        }
        for line in [
            "apu/1 upgrade dry_run=no",
            "apu/1 update lock_wait=+1",
            "apu/1 update lists_of=",
            "apu/1 update lists_of=yes",
            "apu/1 update lists_of=Site",
            "apu/1 update lists_of=site,debian",
            "apu/1 update lists_of=http://mirror.example.org/",
            "apu/1 update lists_of=/usr/share/apu-data/site.sources",
            "apu/1 update lock_wait=86401",
        ] {
            assert!(
                matches!(parse(line), Err(RequestError::Value { .. })),
                "{line}: {:?}",
                parse(line)
            );
        }
    }

    #[test]
    fn packages_go_with_install_and_remove_and_with_nothing_else() {
        assert_eq!(
            parse("apu/1 install"),
            Err(RequestError::NoPackage(Operation::Install))
        );
        assert_eq!(
            parse("apu/1 upgrade hello"),
            Err(RequestError::NoneTaken(Operation::Upgrade))
        );
        assert_eq!(
            parse("apu/1 install hello hello=1"),
            Err(RequestError::Twice { word: 4 })
        );
        let many: String = (0..=MAX_PACKAGES).map(|n| format!(" pkg{n}")).collect();
        assert_eq!(parse(&format!("apu/1 install{many}")), Err(RequestError::TooMany));
    }

    #[test]
    fn a_line_is_at_most_4096_bytes_of_printable_ascii_with_single_spaces() {
        assert_eq!(
            parse(&format!("apu/1 install {}", "a".repeat(MAX_REQUEST))),
            Err(RequestError::TooLong)
        );
        assert_eq!(parse("apu/1 update\nid"), Err(RequestError::Byte { at: 13 }));
        assert_eq!(parse("apu/1 install h\u{e9}"), Err(RequestError::Byte { at: 16 }));
        for line in ["apu/1  update", " apu/1 update", "apu/1 update "] {
            assert_eq!(parse(line), Err(RequestError::EmptyWord));
        }
        assert_eq!(parse(""), Err(RequestError::Empty));
        assert_eq!(parse("update"), Err(RequestError::Version));
        assert_eq!(parse("apu/2 update"), Err(RequestError::Version));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::parse(&line);
        }

        #[test]
        fn what_is_accepted_is_written_back_unchanged(words in proptest::collection::vec("[a-z0-9+.:=~-]{1,12}", 1..6)) {
            let line = format!("apu/1 install {}", words.join(" "));
            if let Ok(request) = parse(&line) {
                prop_assert_eq!(request.to_string(), line);
            }
        }
    }
}
