//! Asks apt for the indexes of its sources by `apt-get indextargets`, and parses its output, one index a line.
//!
//! If the lists directory holds the indexes and no Release file, apt reports as trusted exactly those sources that are
//! trusted by configuration, in whatever spelling. A source that needs a signature is not reported as trusted then.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::call::{APT_GET, indextargets_arguments, source_options};
use super::environment::ENVIRONMENT;
use crate::os::paths::ClientPaths;
use crate::os::spawn;

/// The format of a line: fields separated by tabs. The last two have no value where there is no Release file.
pub(crate) const FORMAT: &str = "$(FILENAME)\t$(METAKEY)\t$(SITE)\t$(RELEASE)\t$(SOURCESENTRY)\t$(TRUSTED)\t\
                                 $(ALLOW_INSECURE)\t$(DESCRIPTION)\t$(LABEL)\t$(SUITE)";

/// One index of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// The file's name in the lists directory, without the suffix of a compressed file.
    pub(crate) file: String,
    /// The start of the names of all files of its archive; the Release file is this and `InRelease` or `Release`.
    pub(crate) prefix: String,
    /// The archive's address, without a slash at its end.
    pub(crate) site: String,
    /// Its suite, or its path if the archive is flat.
    pub(crate) suite: String,
    /// The source file, a colon, and the line or stanza in it.
    pub(crate) entry: String,
    /// Whether apt accepts packages from it without a signature.
    pub(crate) is_trusted: bool,
    /// Whether apt accepts its lists where the signature is missing.
    pub(crate) is_insecure: bool,
    /// The index as `apt-cache policy` and `madison` name it.
    pub(crate) description: String,
    /// Whether its Release file names it as a security archive.
    pub(crate) is_security: bool,
}

impl Target {
    /// Parses what apt printed in [`FORMAT`]; none where a line has another form, or does not say whether apt trusts
    /// the source.
    pub(crate) fn parse_all(text: &str) -> Option<Vec<Self>> {
        text.lines().map(Self::parse).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [
            path,
            key,
            site,
            suite,
            entry,
            trusted,
            insecure,
            description,
            label,
            name,
        ] = fields[..]
        else {
            return None;
        };
        let file = Path::new(path).file_name()?.to_str()?.to_owned();
        let prefix = file.strip_suffix(in_a_file_name(key).as_str())?.to_owned();
        Some(Self {
            prefix,
            file,
            site: site.trim_end_matches('/').to_owned(),
            suite: suite.to_owned(),
            entry: entry.to_owned(),
            is_trusted: match trusted {
                "yes" => true,
                "no" => false,
                _ => return None,
            },
            // apt leaves the field's name where it has no value.
            is_insecure: insecure != "$(ALLOW_INSECURE)",
            description: description.to_owned(),
            is_security: label.to_ascii_lowercase().contains("security") || name.ends_with("-security"),
        })
    }
}

/// Returns the indexes of this client's sources; none where apt cannot list them.
pub(crate) fn read_targets(paths: &ClientPaths) -> Option<Vec<Target>> {
    let arguments = indextargets_arguments(paths, &source_options(paths), Some(&paths.lists()), FORMAT);
    spawn::capture(APT_GET, &arguments, &ENVIRONMENT, Duration::from_secs(60))
        .ok()
        .filter(spawn::Captured::succeeded)
        .and_then(|captured| Target::parse_all(&captured.stdout))
}

/// Encodes a part of an address as apt does in the name of a list.
fn in_a_file_name(part: &str) -> String {
    let mut name = String::new();
    for byte in part.bytes() {
        match byte {
            b'/' => name.push('_'),
            b'!'..=b'~' if !br#"\|{}[]<>"^~_=!@#$%&*"#.contains(&byte) => name.push(char::from(byte)),
            _ => name += &format!("%{byte:02x}"),
        }
    }
    name
}

/// Returns one index of each archive.
pub(crate) fn archives(targets: &[Target]) -> Vec<&Target> {
    let mut seen = BTreeSet::new();
    targets
        .iter()
        .filter(|target| seen.insert(target.prefix.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "/l/x_debian_dists_s_main_binary-amd64_Packages\tmain/binary-amd64/Packages\thttp://x/debian\ts\t\
                        /s/a.list:2\tno\t$(ALLOW_INSECURE)\thttp://x/debian s/main amd64 Packages\tDebian-Security\t$(SUITE)";

    #[test]
    fn an_index_belongs_to_the_release_file_of_its_archive() {
        let targets = Target::parse_all(LINE).unwrap();
        assert_eq!(targets[0].prefix, "x_debian_dists_s_");
        assert_eq!(targets[0].entry, "/s/a.list:2");
        assert!(!targets[0].is_trusted && !targets[0].is_insecure && targets[0].is_security);
        let two = format!("{LINE}\n{LINE}");
        assert_eq!(archives(&Target::parse_all(&two).unwrap()).len(), 1);
    }

    #[test]
    fn a_name_with_odd_characters_is_read_as_apt_writes_it() {
        let line = LINE.replace("binary-amd64_Packages", "i18n_Translation-en%23x%5fy");
        let line = line.replace("main/binary-amd64/Packages\t", "main/i18n/Translation-en#x_y\t");
        let targets = Target::parse_all(&line).unwrap();
        assert_eq!(targets[0].prefix, "x_debian_dists_s_");
    }

    #[test]
    fn where_apt_does_not_say_whether_it_trusts_nothing_is_known() {
        let other = LINE.replace("\tno\t", "\t$(TRUSTED)\t");
        assert_eq!(Target::parse_all(&other), None);
        assert_eq!(Target::parse_all("a\tb"), None);
        assert_eq!(Target::parse_all(&format!("{LINE}\n\n")), None);
    }
}
