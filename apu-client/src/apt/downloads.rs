//! Parses what a transaction would download: the output of `apt-get --print-uris`.

use std::collections::BTreeMap;

use apu_debian::{PackageKey, hex};
use apu_proto::{DebSha256, Sizes};
use serde::{Deserialize, Serialize};

/// The .debs of a transaction, and how much they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Downloads {
    /// Each .deb by its file's name without its ending, as apt names it in its cache.
    debs: BTreeMap<String, Download>,
    /// In apt's own figures; none where apt prints something else. They are only displayed.
    pub(crate) sizes: Option<Sizes>,
}

/// One .deb that would be downloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Download {
    /// The file's name in apt's cache.
    pub(crate) file: String,
    pub(crate) sha256: DebSha256,
    /// Its size in bytes.
    pub(crate) size: u64,
}

impl Downloads {
    /// Parses the output in the C locale. A .deb without a SHA-256 is left out.
    pub(crate) fn parse(stdout: &str) -> Self {
        Self {
            debs: stdout.lines().filter_map(download).collect(),
            sizes: sizes(stdout),
        }
    }

    /// Returns the .deb of a package's version, which may be for all architectures.
    pub(crate) fn deb(&self, package: &PackageKey, version: &str) -> Option<&Download> {
        let (name, version) = (quoted(package.name()), quoted(version));
        let of = |architecture: &str| {
            let architecture = quoted(architecture).replace('.', "%2e");
            self.debs.get(&format!("{name}_{version}_{architecture}"))
        };
        of(package.architecture()).or_else(|| of("all"))
    }
}

/// Parses `'ADDRESS' FILE SIZE SHA256:SUM`.
fn download(line: &str) -> Option<(String, Download)> {
    let (_, rest) = line.strip_prefix('\'')?.rsplit_once("' ")?;
    let mut words = rest.split(' ');
    let (file, size, sum) = (words.next()?, words.next()?, words.next()?);
    let sum = hex::decode(sum.strip_prefix("SHA256:")?)?;
    let (name, _) = file.rsplit_once('.')?;
    let download = Download {
        file: file.to_owned(),
        sha256: DebSha256::from_bytes(sum),
        size: size.parse().ok()?,
    };
    (!file.contains('/')).then(|| (name.to_owned(), download))
}

/// Writes a part of a file's name as apt does, where `_` and `:` have a meaning.
fn quoted(part: &str) -> String {
    part.replace('%', "%25").replace('_', "%5f").replace(':', "%3a")
}

/// Parses the two lines with sizes that apt prints above the addresses.
fn sizes(stdout: &str) -> Option<Sizes> {
    let between = |start: &str, end: &str| {
        let line = stdout.lines().find_map(|line| line.strip_prefix(start))?;
        let figure = line.strip_suffix(end)?;
        is_figure(figure).then(|| figure.to_owned())
    };
    let fetched = between("Need to get ", " of archives.")?;
    // Before the slash is what is still to be downloaded, behind it the size of all archives.
    let download = fetched.rsplit('/').next().unwrap_or_default().to_owned();
    let after = "After this operation, ";
    let more = between(after, " of additional disk space will be used.").map(|size| format!("{size} more"));
    let less = || between(after, " disk space will be freed.").map(|size| format!("{size} less"));
    Some(Sizes {
        download,
        disk: more.or_else(less)?,
    })
}

/// Whether a text is a figure such as `5396 kB` or `0 B/18.4 MB`.
fn is_figure(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 40
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || " ,./".contains(c) || "kMGTPEiB".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deb_is_found_by_its_name_version_and_architecture() {
        let sum = |digit: &str| digit.repeat(64);
        let text = format!(
            "Need to get 1 B of archives.\n\
             'http://m/pool/v/vim/vim_9.0-1_amd64.deb' vim_2%3a9.0-1_amd64.deb 1 SHA256:{}\n\
             'http://m/it\'s/vim_9.0-1_i386.deb' vim_2%3a9.0-1_i386.deb 1 SHA256:{}\n\
             'file:/srv/lab_1.deb' lab%5fu_1_all.deb 1 SHA256:{}\n\
             'http://m/x' ../../etc/x_1_all.deb 1 SHA256:{0}\n\
             'http://m/old_1_all.deb' old_1_all.deb 1 MD5Sum:{}\n",
            sum("a"),
            sum("b"),
            sum("c"),
            "0".repeat(32)
        );
        let downloads = Downloads::parse(&text);
        let of = |package: &str, version: &str| {
            let found = downloads.deb(&package.parse().unwrap(), version);
            found.map(|deb| deb.sha256.to_string())
        };
        assert_eq!(of("vim:amd64", "2:9.0-1"), Some(sum("a")));
        assert_eq!(of("vim:i386", "2:9.0-1"), Some(sum("b")));
        assert_eq!(of("lab_u:amd64", "1"), Some(sum("c")));
        assert_eq!(of("vim:amd64", "9.0-1"), None);
        assert_eq!(of("old:amd64", "1"), None);
        assert!(downloads.debs.values().all(|deb| !deb.file.contains('/')));
    }

    #[test]
    fn apts_own_figures_are_taken_and_nothing_else() {
        let text = |get: &str, after: &str| {
            format!("Reading…\nNeed to get {get}\nAfter this operation, {after}\n'http://x' y 1\n")
        };
        let read =
            |get: &str, after: &str| sizes(&text(get, after)).map(|sizes| (sizes.download, sizes.disk));
        let some = |download: &str, disk: &str| Some((download.to_owned(), disk.to_owned()));
        let more = "20.0 MB of additional disk space will be used.";
        assert_eq!(
            read("5396 kB of archives.", more),
            some("5396 kB", "20.0 MB more")
        );
        assert_eq!(
            read("0 B/5,396 kB of archives.", more),
            some("5,396 kB", "20.0 MB more")
        );
        assert_eq!(
            read("0 B of archives.", "36.9 kB disk space will be freed."),
            some("0 B", "36.9 kB less")
        );
        assert_eq!(read("x; try: y of archives.", more), None);
        assert_eq!(read("5 kB of archives.", "something else"), None);
        assert_eq!(sizes(""), None);
    }
}
