//! Reads which packages apt has marked as automatically installed, which `autoremove` may remove, and which ones no archive has.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use apu_debian::PackageKey;
use apu_proto::Request;

use super::environment::ENVIRONMENT;
use crate::dpkg::Database;
use crate::os::spawn;

const APT_MARK: &str = "/usr/bin/apt-mark";

/// Time limit for apt-mark; far more than it needs.
const APT_MARK_TIMEOUT: Duration = Duration::from_secs(120);

/// Returns the packages of a request that are installed and marked as automatic, sorted.
///
/// apt-mark takes names as patterns, so it is asked about all packages instead.
pub(crate) fn automatic_among(request: &Request, database: &Database) -> io::Result<Vec<PackageKey>> {
    let requested: BTreeSet<PackageKey> = request
        .packages()
        .iter()
        .filter_map(|package| database.key_of(package).ok())
        .filter(|key| database.version(key.as_str()).is_some())
        .collect();
    if requested.is_empty() {
        return Ok(Vec::new());
    }
    let automatic = shown(&["showauto"], database)?;
    Ok(requested
        .into_iter()
        .filter(|key| automatic.contains(key.as_str()))
        .collect())
}

/// Returns the installed packages that no archive has in any version, as apt's own pattern says it (apt-patterns(7)).
pub(crate) fn obsolete(database: &Database) -> io::Result<BTreeSet<PackageKey>> {
    const PATTERN: &str = "?obsolete";
    let mut names = shown(&["showmanual", PATTERN], database)?;
    names.extend(shown(&["showauto", PATTERN], database)?);
    let key = |name: &String| {
        let key = name.parse();
        key.map_err(|error| io::Error::other(format!("apt-mark prints {name:?}: {error}")))
    };
    names.iter().map(key).collect()
}

/// What apt-mark prints, as `name:architecture`.
fn shown(arguments: &[&str], database: &Database) -> io::Result<BTreeSet<String>> {
    let captured = spawn::capture(APT_MARK, arguments, &ENVIRONMENT, APT_MARK_TIMEOUT)?;
    if !captured.succeeded() {
        let why = captured.stderr.trim();
        return Err(io::Error::other(format!(
            "apt-mark {}: {why}",
            arguments.join(" ")
        )));
    }
    Ok(keys(&captured.stdout, &database.architecture))
}

/// Parses what apt-mark shows, which omits the native architecture.
fn keys(text: &str, native: &str) -> BTreeSet<String> {
    let key = |line: &str| match line.trim() {
        name if name.contains(':') => name.to_owned(),
        name => format!("{name}:{native}"),
    };
    text.lines().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_architecture_is_the_machines_own() {
        let keys = keys("libc6\nlibc6:i386\n", "amd64");
        assert_eq!(
            keys.into_iter().collect::<Vec<_>>(),
            ["libc6:amd64", "libc6:i386"]
        );
    }
}
