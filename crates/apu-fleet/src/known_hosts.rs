//! The server's own known_hosts: one line a key, under the inventory's name of the host, written from checked fields only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fmt, process};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::name::HostName;

/// The kinds of host key that sshd has.
const ALGORITHMS: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// A host's public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    algorithm: &'static str,
    blob: Vec<u8>,
}

/// A text that is no host key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("that is not a public host key")]
pub struct HostKeyError;

impl HostKey {
    /// Reads `ALGORITHM BASE64`; what follows is a comment.
    ///
    /// # Errors
    /// For an algorithm that sshd does not have, and for a key that is not of the algorithm it claims.
    pub fn parse(text: &str) -> Result<Self, HostKeyError> {
        let mut words = text.split_ascii_whitespace();
        let (algorithm, key) = (
            words.next().ok_or(HostKeyError)?,
            words.next().ok_or(HostKeyError)?,
        );
        let algorithm = *ALGORITHMS
            .iter()
            .find(|known| **known == algorithm)
            .ok_or(HostKeyError)?;
        let blob = STANDARD.decode(key).map_err(|_| HostKeyError)?;
        let named = blob
            .get(..4)
            .map(|length| u32::from_be_bytes([length[0], length[1], length[2], length[3]]));
        let names = named.and_then(|length| blob.get(4..4usize.checked_add(length as usize)?));
        if names != Some(algorithm.as_bytes()) || blob.len() > 8192 {
            return Err(HostKeyError);
        }
        Ok(Self { algorithm, blob })
    }

    /// Its kind, such as `ssh-ed25519`.
    #[must_use]
    pub const fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// What people compare: `SHA256:` and 43 characters, as ssh-keygen shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(&self.blob)))
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm, STANDARD.encode(&self.blob))
    }
}

/// What the file has about one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pinned {
    /// The keys by which the host is known.
    pub keys: Vec<HostKey>,
    /// Keys that are revoked, for this host or for every one.
    pub revoked: Vec<HostKey>,
    /// Whether a line names the authority that certifies the host's key.
    pub has_authority: bool,
}

/// One line that is about a host.
pub(crate) struct Found {
    /// Counted from 1.
    line: usize,
    kind: Kind,
    key: Option<HostKey>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Authority,
    Revoked,
}

/// The file.
#[derive(Debug, Clone)]
pub struct KnownHosts {
    path: PathBuf,
}

impl KnownHosts {
    /// The file at `path`, which need not be there yet.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// What the file has about a host, as ssh itself reads it: names may be hashed, several on a line, or patterns.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn of(&self, host: &HostName, port: Option<u16>) -> io::Result<Pinned> {
        let mut pinned = Pinned::default();
        for found in self.find(&self.alias(host, port)?)? {
            match (found.kind, found.key) {
                (Kind::Authority, _) => pinned.has_authority = true,
                (Kind::Revoked, key) => pinned.revoked.extend(key),
                (Kind::Plain, key) => pinned.keys.extend(key),
            }
        }
        Ok(pinned)
    }

    /// Whether ssh will know this host, by a key or by an authority.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn knows(&self, host: &HostName, port: Option<u16>) -> io::Result<bool> {
        // The line that we write ourselves needs no other reader.
        if self.text()?.lines().any(|line| is_of(line, host)) {
            return Ok(true);
        }
        let pinned = self.of(host, port)?;
        Ok(!pinned.keys.is_empty() || pinned.has_authority)
    }

    /// The name under which ssh is to look for the host: `[NAME]:PORT`, as ssh writes it by itself, only where the file has
    /// that and not the name alone.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn alias(&self, host: &HostName, port: Option<u16>) -> io::Result<String> {
        let is_known = |name: &str| {
            let found = self.find(name)?;
            Ok::<_, io::Error>(found.iter().any(|found| found.kind != Kind::Revoked))
        };
        if let Some(port) = port.filter(|port| *port != 22) {
            // The line that we write ourselves needs no other reader.
            if self.text()?.lines().any(|line| is_of(line, host)) {
                return Ok(host.to_string());
            }
            let with_port = format!("[{host}]:{port}");
            if !is_known(host.as_str())? && is_known(&with_port)? {
                return Ok(with_port);
            }
        }
        Ok(host.to_string())
    }

    /// The lines that ssh-keygen finds for a name.
    fn find(&self, name: &str) -> io::Result<Vec<Found>> {
        find(&self.path, name)
    }

    /// Pins exactly these keys for a host; lines about others stay as they are, and so do those about authorities.
    ///
    /// # Errors
    /// Where the file cannot be written, or has an old key of the host in a line that cannot be changed for it alone; then
    /// it is as it was.
    pub fn pin(&self, host: &HostName, port: Option<u16>, keys: &[HostKey]) -> io::Result<()> {
        let lock = self.path.with_extension("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(lock)?;
        let _lock =
            Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?;
        let mut names = vec![host.to_string()];
        names.extend(port.map(|port| format!("[{host}]:{port}")));
        let mut old = Vec::new();
        for name in &names {
            let found = self.find(name)?;
            old.extend(
                found
                    .iter()
                    .filter(|found| found.kind == Kind::Plain)
                    .map(|found| found.line),
            );
        }
        let mut text = String::new();
        for (number, line) in (1..).zip(self.text()?.lines()) {
            let line = if old.contains(&number) {
                without(line, &names)
            } else {
                Some(line.to_owned())
            };
            if let Some(line) = line {
                text.push_str(&line);
                text.push('\n');
            }
        }
        for key in keys {
            text.push_str(&format!("{host} {key}\n"));
        }
        let fresh = self.path.with_extension(format!("new.{}", process::id()));
        let mut file = File::options()
            .create_new(true)
            .write(true)
            .mode(0o644)
            .open(&fresh)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written
            .and_then(|()| counts_alone(&fresh, &names, keys))
            .and_then(|()| fs::rename(&fresh, &self.path))
            .inspect_err(|_| {
                let _ = fs::remove_file(&fresh);
            })
    }

    fn text(&self) -> io::Result<String> {
        match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            text => text,
        }
    }
}

/// Whether a line has the form that apu writes, and is about this host.
pub(crate) fn is_of(line: &str, host: &HostName) -> bool {
    line.split_once(' ')
        .is_some_and(|(name, key)| name == host.as_str() && HostKey::parse(key).is_ok())
}

/// Asks ssh-keygen which lines of a file are about a name.
fn find(path: &Path, name: &str) -> io::Result<Vec<Found>> {
    // It says no more of a file that is not there than of one that cannot be read.
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        file => drop(file?),
    }
    let output = Command::new("/usr/bin/ssh-keygen")
        .arg("-F")
        .arg(name)
        .arg("-f")
        .arg(path)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()?;
    // 1 is that there is none.
    if !matches!(output.status.code(), Some(0 | 1)) {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::other(said));
    }
    Ok(read_found(&String::from_utf8_lossy(&output.stdout), name))
}

/// Reads pairs of `# Host NAME found: line N [CA|REVOKED]` and the line itself.
pub(crate) fn read_found(text: &str, name: &str) -> Vec<Found> {
    let mut all = Vec::new();
    let mut lines = text.lines();
    while let Some(head) = lines.next() {
        let Some(head) = head.strip_prefix(&format!("# Host {name} found: line ")) else {
            continue;
        };
        let (number, mark) = head.split_once(' ').unwrap_or((head, ""));
        let Ok(line) = number.parse() else { continue };
        let kind = match mark.trim() {
            "CA" => Kind::Authority,
            "REVOKED" => Kind::Revoked,
            _ => Kind::Plain,
        };
        let key = lines.next().and_then(|line| {
            let line = line.strip_prefix("@revoked ").unwrap_or(line);
            HostKey::parse(line.split_once(' ')?.1).ok()
        });
        all.push(Found { line, kind, key });
    }
    all
}

/// The line without these names; nothing where it has no others. A pattern is left, and found again.
pub(crate) fn without(line: &str, names: &[String]) -> Option<String> {
    let line = line.trim_start();
    let (hosts, key) = line.split_once(char::is_whitespace)?;
    if hosts.starts_with('|') {
        return None;
    }
    let others: Vec<&str> = hosts
        .split(',')
        // ssh takes neither for a host in a list; at the start of one, they would make it another line.
        .filter(|host| !host.is_empty() && !host.starts_with('|'))
        .filter(|host| !names.iter().any(|name| name.eq_ignore_ascii_case(host)))
        .collect();
    (!others.is_empty()).then(|| format!("{} {key}", others.join(",")))
}

/// Whether ssh would know the host by these keys and no others.
fn counts_alone(path: &Path, names: &[String], keys: &[HostKey]) -> io::Result<()> {
    for name in names {
        for found in find(path, name)? {
            let is_ours = found.key.as_ref().is_some_and(|key| keys.contains(key));
            if found.kind == Kind::Plain && !is_ours {
                let text = format!(
                    "line {} has another key for it, by a pattern: take {name} out of that line",
                    found.line
                );
                return Err(io::Error::new(ErrorKind::InvalidData, text));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIxuQgXp1Y1S7l9nYSWv2HX8wPzhbRyJqfGrRV1c2V8o";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJxuQgXp1Y1S7l9nYSWv2HX8wPzhbRyJqfGrRV1c2V8o";

    #[test]
    fn a_key_is_taken_only_if_it_is_what_it_claims() {
        let key = HostKey::parse(&format!("{ONE} root@web1")).unwrap();
        assert_eq!(key.to_string(), ONE);
        assert!(key.fingerprint().starts_with("SHA256:"));
        assert_eq!(key.fingerprint().len(), 50);
        for text in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 !!!!",
            "ssh-dss AAAAB3NzaC1kc3M=",
            &ONE.replace("ssh-ed25519", "ssh-rsa"),
            "@cert-authority * ssh-ed25519 AAAA",
            "ssh-ed25519 AAAA",
        ] {
            assert_eq!(HostKey::parse(text), Err(HostKeyError), "{text}");
        }
    }

    #[test]
    fn a_line_without_a_name_keeps_its_other_names_and_goes_with_the_last() {
        let names = ["web1".to_owned(), "[web1]:22".to_owned()];
        for (line, left) in [
            ("web1,web2,[web1]:22 KEY", Some("web2 KEY")),
            ("WEB1 KEY", None),
            ("web1,, KEY", None),
            ("web1,|1|salt|hash KEY", None),
            (",web1,web2 KEY", Some("web2 KEY")),
            ("|1|salt|hash KEY", None),
        ] {
            assert_eq!(without(line, &names).as_deref(), left, "{line}");
        }
    }

    #[test]
    fn pinning_replaces_this_hosts_keys_and_leaves_every_other_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known_hosts");
        let known = KnownHosts::at(path.clone());
        let (web1, web2) = ("web1".parse().unwrap(), "web2".parse().unwrap());
        let keys_of = |host| known.of(host, None).unwrap().keys;
        assert_eq!(keys_of(&web1), []);
        fs::write(
            &path,
            format!("# ours\n@cert-authority *.example.org {ONE}\nweb2 {ONE}\n"),
        )
        .unwrap();
        known.pin(&web1, None, &[HostKey::parse(ONE).unwrap()]).unwrap();
        known.pin(&web1, None, &[HostKey::parse(TWO).unwrap()]).unwrap();
        assert_eq!(keys_of(&web1), [HostKey::parse(TWO).unwrap()]);
        assert_eq!(keys_of(&web2), [HostKey::parse(ONE).unwrap()]);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            format!("# ours\n@cert-authority *.example.org {ONE}\nweb2 {ONE}\nweb1 {TWO}\n")
        );
    }

    fn file(text: &str) -> (tempfile::TempDir, KnownHosts) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known_hosts");
        fs::write(&path, text).unwrap();
        (directory, KnownHosts::at(path))
    }

    fn keys(texts: &[&str]) -> Vec<HostKey> {
        texts.iter().map(|text| HostKey::parse(text).unwrap()).collect()
    }

    #[test]
    fn every_form_that_ssh_reads_is_known() {
        let text = format!("web1,10.0.0.1 {ONE}\n[web2]:2222 {ONE}\nhashed {ONE}\n@revoked * {TWO}\n");
        let (_directory, known) = file(&text);
        let hashed = Command::new("ssh-keygen")
            .args(["-H", "-f"])
            .arg(&known.path)
            .output()
            .unwrap();
        // It warns of the pattern, and hashes the others.
        let hidden = fs::read_to_string(&known.path).unwrap();
        assert!(hidden.starts_with("|1|"), "{hidden}{hashed:?}");
        let more = format!("{hidden}@cert-authority *.example.org {ONE}\nwild* {ONE}\n");
        fs::write(&known.path, more).unwrap();

        let of = |name: &str, port| known.of(&name.parse().unwrap(), port).unwrap();
        for name in ["web1", "10.0.0.1", "hashed", "wild7"] {
            assert_eq!(of(name, None).keys, keys(&[ONE]), "{name}");
            assert_eq!(of(name, Some(22)).keys, keys(&[ONE]), "{name}");
        }
        assert_eq!(of("web2", None).keys, []);
        assert_eq!(of("web2", Some(2222)).keys, keys(&[ONE]));
        assert_eq!(
            known.alias(&"web2".parse().unwrap(), Some(2222)).unwrap(),
            "[web2]:2222"
        );
        assert_eq!(known.alias(&"web1".parse().unwrap(), Some(2222)).unwrap(), "web1");
        assert_eq!(of("web1", None).revoked, keys(&[TWO]));
        let certified = of("a.example.org", None);
        assert!(certified.has_authority && certified.keys.is_empty());
        for (name, port, is_known) in [
            ("hashed", None, true),
            ("a.example.org", None, true),
            ("web2", Some(2222), true),
            ("web2", None, false),
            ("nobody", None, false),
        ] {
            assert_eq!(
                known.knows(&name.parse().unwrap(), port).unwrap(),
                is_known,
                "{name}"
            );
        }
    }

    #[test]
    fn a_new_key_takes_the_place_of_the_old_one_in_every_form() {
        let web1: HostName = "web1".parse().unwrap();
        for (text, left) in [
            (format!("web1,10.0.0.1 {ONE}\n"), format!("10.0.0.1 {ONE}\n")),
            (
                format!("[web1]:2222 {ONE}\nother {ONE}\n"),
                format!("other {ONE}\n"),
            ),
            (
                format!("  WEB1 {ONE}\n@cert-authority web* {ONE}\n"),
                format!("@cert-authority web* {ONE}\n"),
            ),
        ] {
            let (_directory, known) = file(&text);
            known.pin(&web1, Some(2222), &keys(&[TWO])).unwrap();
            let new = fs::read_to_string(&known.path).unwrap();
            assert_eq!(new, format!("{left}web1 {TWO}\n"), "{text}");
        }
        let (_directory, known) = file(&format!("web1 {ONE}\nother {ONE}\n"));
        let hashed = Command::new("ssh-keygen")
            .args(["-H", "-f"])
            .arg(&known.path)
            .output()
            .unwrap();
        assert!(hashed.status.success());
        known.pin(&web1, None, &keys(&[TWO])).unwrap();
        assert_eq!(known.of(&web1, None).unwrap().keys, keys(&[TWO]));
        assert_eq!(
            known.of(&"other".parse().unwrap(), None).unwrap().keys,
            keys(&[ONE])
        );

        let text = format!("web* {ONE}\n");
        let (_directory, known) = file(&text);
        let error = known.pin(&web1, None, &keys(&[TWO])).unwrap_err();
        assert!(
            error.to_string().contains("take web1 out of that line"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&known.path).unwrap(), text);
    }
}
