//! Keys that follow each other: while a rotation is under way there are a current key and a next one, and both count.
//!
//! Which keys there are is all the state that a rotation has. The next key begins as a file beside the current one and
//! ends by taking its place, so that a rotation can stop at any moment and be gone on with later.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use apu_archive::{ArchiveKey, KeyError, atomic_file, certificates, certificates_armored};

use crate::{Failure, Settings, Site, host, io_advice, push_key};

/// The two keys of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// The SSH key that clients let in.
    Push,
    /// The OpenPGP key that signs the archives.
    Archive,
}

/// One key of a server and the one that is to follow it.
#[derive(Debug)]
pub struct Rotation<'a> {
    site: &'a Site,
    kind: KeyKind,
    current: PathBuf,
    next: PathBuf,
}

impl<'a> Rotation<'a> {
    /// Where the keys of this kind lie.
    #[must_use]
    pub fn of(site: &'a Site, settings: &Settings, kind: KeyKind) -> Self {
        let (current, next) = match kind {
            KeyKind::Push => {
                let current = site.at(&settings.ssh.key);
                let mut name = current.file_name().unwrap_or_default().to_owned();
                name.push("_next");
                let next = current.with_file_name(name);
                (current, next)
            }
            KeyKind::Archive => (site.archive_key(), site.archive_key_next()),
        };
        Self {
            site,
            kind,
            current,
            next,
        }
    }

    /// The current key's private half.
    #[must_use]
    pub fn current(&self) -> &Path {
        &self.current
    }

    /// Where the next key's private half is, if there is one.
    #[must_use]
    pub fn next(&self) -> &Path {
        &self.next
    }

    /// Whether there is a next key.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        // What cannot be looked at cannot be used either, and whoever reads it says so.
        self.next.exists()
    }

    /// Makes the next key, unless there is one; says whether it did.
    ///
    /// # Errors
    /// Where it cannot be made or written.
    pub fn begin(&self) -> Result<bool, Failure> {
        match self.kind {
            KeyKind::Push => {
                self.settle()?;
                push_key::ensure(&self.next, &format!("apu-server@{}", host::name(self.site)))
                    .map_err(|error| self.failed("make").why(error))
            }
            KeyKind::Archive => {
                let made = make_archive_key(self.site, &self.next)?;
                write_certificates(self.site)?;
                Ok(made)
            }
        }
    }

    /// The next key becomes the current one, which is gone.
    ///
    /// # Errors
    /// Where the files cannot be moved. What is left then is a rotation under way, or one that is done.
    pub fn finish(&self) -> Result<(), Failure> {
        let failed = |error: io::Error| self.failed("put").why(error);
        fs::rename(&self.next, &self.current).map_err(failed)?;
        match self.kind {
            KeyKind::Push => self.settle()?,
            KeyKind::Archive => write_certificates(self.site)?,
        }
        atomic_file::sync_directory_of(&self.current).map_err(failed)
    }

    /// A public half without its private one was left by a `finish` that did not come to its end.
    fn settle(&self) -> Result<(), Failure> {
        if self.next.exists() {
            return Ok(());
        }
        match fs::rename(public(&self.next), public(&self.current)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed("put").why(error)),
            _ => Ok(()),
        }
    }

    fn failed(&self, doing: &str) -> Failure {
        let (next, current) = (self.next.display(), self.current.display());
        let what = match doing {
            "make" => format!("cannot make the next key {next}"),
            _ => format!("cannot put {next} into the place of {current}"),
        };
        Failure::machine(what).advise(format!("look at `ls -l {current}*`, and do the same once more"))
    }
}

/// The public half of an SSH key.
fn public(private: &Path) -> PathBuf {
    private.with_extension("pub")
}

/// The private halves of the push keys: the current one, and the next one while there is one.
#[must_use]
pub fn push_keys(site: &Site, settings: &Settings) -> Vec<PathBuf> {
    let rotation = Rotation::of(site, settings, KeyKind::Push);
    let next = rotation.is_under_way().then(|| rotation.next.clone());
    std::iter::once(rotation.current).chain(next).collect()
}

/// The keys that sign the archives: the current one, and the next one while there is one.
///
/// A current key that has expired holds nobody up where the next one is there already.
///
/// # Errors
/// Where there is no key, or none that can be read.
pub fn archive_keys(site: &Site) -> Result<Vec<ArchiveKey>, Failure> {
    let mut keys = vec![archive_key_at(&site.archive_key())?];
    let next = site.archive_key_next();
    if !next.exists() {
        return Ok(keys);
    }
    keys.push(archive_key_at(&next)?);
    if keys.iter().any(ArchiveKey::can_sign) {
        keys.retain(ArchiveKey::can_sign);
    }
    Ok(keys)
}

/// Reads the archive key at `path`, with its secret part.
///
/// # Errors
/// Where there is none, or none that can be read.
pub fn archive_key_at(path: &Path) -> Result<ArchiveKey, Failure> {
    archive_key_is_at(path)?;
    ArchiveKey::read(path).map_err(|error| unusable(path).why(error))
}

/// Whether there is a file where the archive key belongs: quickly, before anything is made for it.
///
/// # Errors
/// Where there is none, or none that can be looked at.
pub fn archive_key_is_at(path: &Path) -> Result<(), Failure> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(unusable(path).why(error).advise("sudo apu setup"))
        }
        Err(error) => {
            let (_, advice) = io_advice(&error, path);
            Err(unusable(path).why(error).advise(advice))
        }
        Ok(_) => Ok(()),
    }
}

fn unusable(path: &Path) -> Failure {
    Failure::words(format!("there is no usable archive key in {}", path.display()))
}

/// Makes an archive key at `path`, unless there is one; says whether it did.
pub(crate) fn make_archive_key(site: &Site, path: &Path) -> Result<bool, Failure> {
    let failed = || Failure::machine(format!("cannot make the archive key {}", path.display()));
    if path.try_exists().map_err(|error| failed().why(error))? {
        return Ok(false);
    }
    let key = || -> Result<Vec<u8>, KeyError> {
        ArchiveKey::generate(&format!("apu archive of {}", host::name(site)))?.secret()
    };
    let secret = key().map_err(|error| failed().why(error))?;
    atomic_file::create(path, &secret, 0o600).map_err(|error| failed().why(error))
}

/// Writes the public forms of the archive keys where they are not as they should be.
pub(crate) fn write_certificates(site: &Site) -> Result<(), Failure> {
    let mut keys = vec![archive_key_at(&site.archive_key())?];
    let next = site.archive_key_next();
    if next.exists() {
        keys.push(archive_key_at(&next)?);
    }
    let failed = |path: &Path| Failure::machine(format!("cannot write {}", path.display()));
    let forms = [
        (site.archive_gpg(), certificates(&keys)),
        (site.archive_asc(), certificates_armored(&keys)),
    ];
    for (path, form) in forms {
        let bytes = form.map_err(|error| failed(&path).why(error))?;
        if fs::read(&path).is_ok_and(|there| there == bytes) {
            continue;
        }
        atomic_file::replace(&path, &bytes, 0o644).map_err(|error| failed(&path).why(error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{KeyKind, Rotation, archive_keys, public, push_keys};
    use apu_archive::Keyring;

    use crate::{Settings, Site, setup};

    fn server() -> (tempfile::TempDir, Site, Settings) {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::below(dir.path());
        setup(&site).unwrap();
        (dir, site, Settings::default())
    }

    #[test]
    fn both_push_keys_count_until_the_next_takes_the_place_of_the_first() {
        let (_dir, site, settings) = server();
        let rotation = Rotation::of(&site, &settings, KeyKind::Push);
        assert_eq!(push_keys(&site, &settings), [site.push_key()]);
        assert!(rotation.begin().unwrap());
        assert!(!rotation.begin().unwrap(), "one next key is enough");
        assert_eq!(
            push_keys(&site, &settings),
            [site.push_key(), rotation.next.clone()]
        );
        let next = [
            fs::read(&rotation.next).unwrap(),
            fs::read(public(&rotation.next)).unwrap(),
        ];
        rotation.finish().unwrap();
        assert_eq!(push_keys(&site, &settings), [site.push_key()]);
        let now = [
            fs::read(site.push_key()).unwrap(),
            fs::read(site.push_key_pub()).unwrap(),
        ];
        assert_eq!(now, next);
        assert_eq!(
            fs::read_dir(site.ssh()).unwrap().count(),
            2,
            "the old key is gone"
        );
    }

    #[test]
    fn a_finish_that_stopped_half_way_is_brought_to_its_end_by_the_next_command() {
        let (_dir, site, settings) = server();
        let rotation = Rotation::of(&site, &settings, KeyKind::Push);
        rotation.begin().unwrap();
        let public_half = fs::read(public(&rotation.next)).unwrap();
        // What a power cut between the two renames leaves.
        fs::rename(&rotation.next, site.push_key()).unwrap();
        assert!(
            rotation.begin().unwrap(),
            "nothing is under way any more: this is the next rotation"
        );
        assert_eq!(fs::read(site.push_key_pub()).unwrap(), public_half);
    }

    #[test]
    fn both_archive_keys_sign_and_both_are_in_the_keyring() {
        let (_dir, site, settings) = server();
        let fingerprint = |at: usize| archive_keys(&site).unwrap()[at].fingerprint();
        let first = fingerprint(0);
        let rotation = Rotation::of(&site, &settings, KeyKind::Archive);
        assert!(rotation.begin().unwrap());
        assert!(!rotation.begin().unwrap());
        let second = fingerprint(1);
        for path in [site.archive_gpg(), site.archive_asc()] {
            let keyring = Keyring::parse(&fs::read(path).unwrap()).unwrap();
            assert_eq!(keyring.fingerprints(), [first.clone(), second.clone()]);
        }
        rotation.finish().unwrap();
        assert_eq!(fingerprint(0), second);
        assert_eq!(archive_keys(&site).unwrap().len(), 1);
        let keyring = Keyring::parse(&fs::read(site.archive_gpg()).unwrap()).unwrap();
        assert_eq!(keyring.fingerprints(), [second]);
    }
}
