//! What apt says of new .debs, before an index with them is signed: one that apt cannot read stops every client's apt.
//!
//! apt reads a Packages file of the new .debs alone, in a directory of its own and with none of the machine's settings.
//! What it took is remembered with the judgement of the .deb, so that each is read once.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::index::{Entry, packages};
use super::scan::RefusedDeb;
use super::{Archive, ArchiveError};
use crate::atomic_file;
use crate::deb::DebError;

/// apt reads a hundred thousand packages in a few seconds.
const LONGEST: Duration = Duration::from_secs(180);

/// Of what apt prints, this many bytes are kept.
const MOST_OUTPUT: u64 = 64 << 10;

/// The directory that apt works in, whatever letters the archive's path has.
const HERE: &str = "/proc/self/cwd";

impl Archive {
    /// Takes those .debs out of `new` that this machine's apt cannot read in an index. Without an apt here, there are none.
    pub(super) fn without_what_apt_refuses(
        &self,
        new: &mut Vec<Entry>,
    ) -> Result<Vec<RefusedDeb>, ArchiveError> {
        let mut refused = Vec::new();
        if new.is_empty() {
            return Ok(refused);
        }
        // Below .apu, which nobody else may write into.
        let dir = self.root.path().join(self.own("apt"));
        let asked = Apt::in_dir(&dir).and_then(|apt| {
            // Each round finds one more at fault; more than a few are somebody's attempt to keep this busy.
            for _ in 0..16 {
                let all: Vec<&Entry> = new.iter().collect();
                let Some(why) = apt.refuses(&all)? else {
                    return Ok(());
                };
                let (at, why) = at_fault(&apt, &all, why)?;
                let entry = new.remove(at);
                let error = DebError::NotJudged(format!("apt cannot read an index with it: {why}"));
                refused.push((PathBuf::from(entry.path), error));
                if new.is_empty() {
                    return Ok(());
                }
            }
            Err(io::Error::other("apt cannot read an index of the new packages"))
        });
        let _ = fs::remove_dir_all(&dir);
        asked.map_err(ArchiveError::io("let apt read an index in", &dir))?;
        Ok(refused)
    }
}

/// Which of `entries` apt refuses, found by halves, and its words for that one alone.
fn at_fault(apt: &Apt, entries: &[&Entry], why: String) -> io::Result<(usize, String)> {
    let (mut start, mut end, mut why) = (0, entries.len(), why);
    while end - start > 1 {
        let middle = start + (end - start) / 2;
        if let Some(words) = apt.refuses(&entries[start..middle])? {
            (end, why) = (middle, words);
        } else if let Some(words) = apt.refuses(&entries[middle..end])? {
            (start, why) = (middle, words);
        } else {
            return Err(io::Error::other(format!(
                "apt refuses them only together, from {} to {}: {why}",
                entries[start].path,
                entries[end - 1].path
            )));
        }
    }
    Ok((start, why))
}

/// This machine's apt, with a directory of its own.
struct Apt<'a> {
    dir: &'a Path,
}

impl<'a> Apt<'a> {
    fn in_dir(dir: &'a Path) -> io::Result<Self> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        atomic_file::directory(dir, 0o700)?;
        for folder in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "var/lib/apt/lists/partial",
            "var/lib/dpkg",
            "var/cache/apt/archives/partial",
        ] {
            fs::create_dir_all(dir.join(folder))?;
        }
        fs::write(dir.join("var/lib/dpkg/status"), "")?;
        Ok(Self { dir })
    }

    /// Why apt cannot read an index of these; nothing if it can, or if there is no apt.
    fn refuses(&self, entries: &[&Entry]) -> io::Result<Option<String>> {
        fs::write(self.dir.join("Packages"), packages(entries))?;
        fs::write(self.dir.join("apt.conf"), settings(entries))?;
        let output = self.dir.join("output");
        let to = File::create(&output)?;
        let child = Command::new("apt-cache")
            .arg(format!("--with-source={HERE}/Packages"))
            .args(["--quiet=2", "gencaches"])
            .current_dir(self.dir)
            .env_clear()
            .envs(path())
            .envs([("LC_ALL", "C"), ("APT_CONFIG", "/proc/self/cwd/apt.conf")])
            .stdin(Stdio::null())
            .stdout(to.try_clone()?)
            .stderr(to)
            .spawn();
        let child = match child {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            child => child?,
        };
        let status = wait(child)?;
        if status.success() {
            return Ok(None);
        }
        let mut text = Vec::new();
        File::open(&output)?.take(MOST_OUTPUT).read_to_end(&mut text)?;
        Ok(Some(why(&String::from_utf8_lossy(&text), status)))
    }
}

fn path() -> impl Iterator<Item = (&'static str, OsString)> {
    std::env::var_os("PATH").map(|path| ("PATH", path)).into_iter()
}

fn wait(mut child: std::process::Child) -> io::Result<ExitStatus> {
    let end = Instant::now() + LONGEST;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > end {
            child.kill()?;
            return child.wait();
        }
        std::thread::sleep(pause);
        pause = (pause * 5 / 4).min(Duration::from_millis(50));
    }
}

/// The machine's own settings are not read: `Dir` stands in the first file that apt opens.
fn settings(entries: &[&Entry]) -> String {
    let architectures: BTreeSet<&str> = entries
        .iter()
        .map(|entry| entry.deb.control.architecture())
        .filter(|name| *name != "all")
        .collect();
    let first = architectures.first().copied().unwrap_or("amd64");
    let mut text = format!(
        "Dir \"{HERE}\";\nDir::State::status \"{HERE}/var/lib/dpkg/status\";\nDir::Cache::pkgcache \"\";\n\
         Dir::Cache::srcpkgcache \"\";\nAcquire::Languages \"none\";\nAPT::Architecture \"{first}\";\n"
    );
    for name in architectures.iter().chain(std::iter::once(&first)) {
        text += &format!("APT::Architectures:: \"{name}\";\n");
    }
    text
}

/// apt's own words, without those that name its private directory.
fn why(output: &str, status: ExitStatus) -> String {
    let errors: Vec<&str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("E: "))
        .filter(|line| !line.contains(HERE))
        .collect();
    if errors.is_empty() {
        // It was killed by a signal, and has said nothing.
        return format!("apt-cache ended with {status}");
    }
    errors.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::scan::Stamp;
    use crate::deb::{Control, Deb};

    fn entry(package: &str, more: &str) -> Entry {
        let text = format!(
            "Package: {package}\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n{more}"
        );
        Entry {
            path: format!("./{package}_1_all.deb"),
            deb: Deb {
                control: Control::parse(text.as_bytes()).unwrap(),
                size: 1,
                sha256: "0".repeat(64),
            },
            stamp: Stamp::read(&mut "1 0 0".split(' ')).unwrap(),
        }
    }

    #[test]
    fn the_package_that_apt_cannot_read_is_found_among_others() {
        let dir = tempfile::tempdir().unwrap();
        let apt = Apt::in_dir(dir.path()).unwrap();
        let line = " a line of a description as a program writes it, again and again and again\n";
        let mut entries: Vec<Entry> = ["aa", "bb", "cc", "dd", "ee"]
            .iter()
            .map(|name| entry(name, " y\n"))
            .collect();
        let all = |entries: &[Entry]| apt.refuses(&entries.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(all(&entries), None);

        entries[3] = entry("dd", &line.repeat(40_000));
        let why = all(&entries).expect("apt reads what it calls corrupted");
        let (at, why) = at_fault(&apt, &entries.iter().collect::<Vec<_>>(), why).unwrap();
        assert_eq!(at, 3);
        assert!(why.contains("corrupted") || why.contains("parse"), "{why}");
    }
}
