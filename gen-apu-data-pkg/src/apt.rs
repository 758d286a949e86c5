//! Asks this machine's apt whether it would read what the clients get, in a directory of its own.
//!
//! apt has the last word on its own configuration: what it would not read here stops every apt run on every client, also
//! the one that could mend it.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use apu_site::Failure;

use crate::sources::Source;

/// Lets apt read all sources together. `shown` is the file that an administrator would correct.
pub(crate) fn reads(sources: &[Source], proxy: Option<&str>, shown: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::machine("cannot let apt read the clients' sources").why(error);
    let place = Place::new().map_err(failed)?;
    let text = sources.iter().fold(String::new(), |mut text, source| {
        let _ = writeln!(text, "{}", source.stanza);
        text
    });
    place
        .write("etc/apt/sources.list.d/apu.sources", &text)
        .map_err(failed)?;
    if let Some(proxy) = proxy {
        place.write("etc/apt/apt.conf.d/50apu", proxy).map_err(failed)?;
    }
    // The second builds the cache, of no lists: it reads the configuration once more, as an installation would.
    for words in [
        &["indextargets", "--format", "$(SOURCESENTRY)"][..],
        &["--simulate", "dist-upgrade"],
    ] {
        let output = match place.apt_get(words) {
            Ok(output) => output,
            // A server may do without apt; then the rules of this program are all there is.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said
                .lines()
                .find(|line| line.starts_with("E: "))
                .unwrap_or("E: apt-get said nothing");
            let at = line_of(said, sources).map_or(String::new(), |line| format!("line {line} of "));
            return Err(Failure::words("these sources would stop apt on every client")
                .why(Failure::words(
                    said.trim_start_matches("E: ").replace(&place.shown(), ""),
                ))
                .advise(format!("correct {at}{shown}, see sources.list(5)")));
        }
    }
    Ok(())
}

/// The line of the source that apt complains about: it names a stanza by its number, or an archive.
fn line_of(said: &str, sources: &[Source]) -> Option<usize> {
    let numbered = |start: &str| -> Option<usize> {
        let (_, rest) = said.split_once(start)?;
        let number = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        number.parse::<usize>().ok()?.checked_sub(1)
    };
    let source = match numbered("Malformed entry ").or_else(|| numbered("on stanza ")) {
        Some(number) => sources.get(number),
        None => sources
            .iter()
            .find(|source| said.contains(source.uri.trim_end_matches('/'))),
    };
    source.map(|source| source.stanza.line()).filter(|line| *line > 0)
}

/// A root of apt's own: its configuration, lists and state lie below it, and nothing of this machine's is read.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> io::Result<Self> {
        let place = Self(tempfile::tempdir()?);
        for folder in [
            "etc/apt/apt.conf.d",
            "etc/apt/sources.list.d",
            "etc/apt/preferences.d",
            "etc/apt/trusted.gpg.d",
            "var/lib/apt/lists/partial",
            "var/lib/dpkg",
            "var/cache/apt/archives/partial",
            "var/log/apt",
        ] {
            fs::create_dir_all(place.0.path().join(folder))?;
        }
        for file in ["etc/apt/sources.list", "var/lib/dpkg/status"] {
            place.write(file, "")?;
        }
        // APT_CONFIG is read before the rest: the parts are below this folder then.
        place.write("apt.conf", &format!("Dir \"{}\";\n", place.0.path().display()))?;
        Ok(place)
    }

    fn shown(&self) -> String {
        self.0.path().display().to_string()
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        fs::write(self.0.path().join(path), text)
    }

    fn apt_get(&self, words: &[&str]) -> io::Result<Output> {
        let root = self.0.path();
        let option = |name: &str, path: &str| format!("{name}={}", Path::join(root, path).display());
        let mut command = Command::new("apt-get");
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C")
            .env("APT_CONFIG", root.join("apt.conf"))
            .stdin(Stdio::null());
        for option in [
            option("Dir", ""),
            option("Dir::Etc::SourceList", "etc/apt/sources.list"),
            option("Dir::Etc::SourceParts", "etc/apt/sources.list.d"),
            option("Dir::Etc::Preferences", "etc/apt/preferences"),
            option("Dir::Etc::PreferencesParts", "etc/apt/preferences.d"),
            option("Dir::State", "var/lib/apt"),
            option("Dir::State::Lists", "var/lib/apt/lists"),
            option("Dir::State::Status", "var/lib/dpkg/status"),
            option("Dir::Cache", "var/cache/apt"),
            option("Dir::Log", "var/log/apt"),
            "Debug::NoLocking=true".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command.args(words).output()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::Stanza;

    fn stanza(fields: &[(&str, &str)]) -> Vec<Source> {
        Stanza::new(fields).split()
    }

    fn checked(sources: &[Source], proxy: Option<&str>) -> Result<(), String> {
        reads(sources, proxy, "LIST").map_err(|failure| apu_site::report(&failure).0)
    }

    #[test]
    fn apt_itself_has_the_last_word() {
        let fields = |suite, more: &[(&'static str, &'static str)]| {
            let mut fields = vec![
                ("Types", "deb"),
                ("URIs", "http://v.example.org/apt"),
                ("Suites", suite),
            ];
            fields.extend(more);
            stanza(&fields)
        };
        assert_eq!(checked(&fields("./", &[("Signed-By", "/k.gpg")]), None), Ok(()));
        assert_eq!(checked(&[], None), Ok(()));
        for (sources, part) in [
            (fields("s", &[]), "(Component)"),
            (fields("./", &[("Signed-By", "k")]), "not a fingerprint"),
            (
                [
                    fields("./", &[("Signed-By", "/a")]),
                    fields("./", &[("Signed-By", "/b")]),
                ]
                .into_iter()
                .flatten()
                .collect(),
                "Conflicting values set for option Signed-By",
            ),
        ] {
            let error = checked(&sources, None).expect_err(part);
            assert!(
                error.contains(part) && error.contains("would stop apt on every client"),
                "{error}"
            );
            assert!(!error.contains("/tmp/"), "{error}");
        }
    }

    #[test]
    fn the_proxy_setting_is_read_with_them() {
        assert_eq!(
            checked(&[], Some("Acquire::http::Proxy \"http://p.example.org\";\n")),
            Ok(())
        );
        assert!(checked(&[], Some("APT::Default-Release \"nowhere\";\n")).is_err());
        assert!(checked(&[], Some("Acquire::http::Proxy \"http://p.example.org\"\n")).is_err());
    }
}
