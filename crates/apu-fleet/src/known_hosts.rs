//! The server's own known_hosts: one line a key, under the inventory's name of the host, written from judged fields only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
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

    /// The keys that are pinned for a host.
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn keys_of(&self, host: &HostName) -> io::Result<Vec<HostKey>> {
        let text = self.text()?;
        Ok(text.lines().filter_map(|line| key_of(line, host)).collect())
    }

    /// Pins exactly these keys for a host; other lines stay as they are.
    ///
    /// # Errors
    /// Where the file cannot be written; then it is as it was.
    pub fn pin(&self, host: &HostName, keys: &[HostKey]) -> io::Result<()> {
        let lock = self.path.with_extension("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(lock)?;
        let _lock =
            Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| io::Error::from(errno))?;
        let mut text = String::new();
        for line in self.text()?.lines().filter(|line| key_of(line, host).is_none()) {
            text.push_str(line);
            text.push('\n');
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

/// The key of a line that is about this host alone.
fn key_of(line: &str, host: &HostName) -> Option<HostKey> {
    let (name, key) = line.split_once(' ')?;
    (name == host.as_str())
        .then(|| HostKey::parse(key).ok())
        .flatten()
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
    fn pinning_replaces_this_hosts_keys_and_leaves_every_other_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("known_hosts");
        let known = KnownHosts::at(path.clone());
        let (web1, web2) = ("web1".parse().unwrap(), "web2".parse().unwrap());
        assert_eq!(known.keys_of(&web1).unwrap(), []);
        fs::write(
            &path,
            format!("# ours\n@cert-authority *.example.org {ONE}\nweb2 {ONE}\n"),
        )
        .unwrap();
        known.pin(&web1, &[HostKey::parse(ONE).unwrap()]).unwrap();
        known.pin(&web1, &[HostKey::parse(TWO).unwrap()]).unwrap();
        assert_eq!(known.keys_of(&web1).unwrap(), [HostKey::parse(TWO).unwrap()]);
        assert_eq!(known.keys_of(&web2).unwrap(), [HostKey::parse(ONE).unwrap()]);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            format!("# ours\n@cert-authority *.example.org {ONE}\nweb2 {ONE}\nweb1 {TWO}\n")
        );
    }
}
