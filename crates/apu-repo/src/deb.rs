//! A .deb is read strictly: what dpkg would trip over, or what says one thing and holds another, is refused.

mod ar;
mod compression;
mod contents;
mod control;
mod shared;
mod write;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use thiserror::Error;

use ar::{ArError, Member};
use compression::Compression;
pub use control::{Control, ControlError};
pub(crate) use shared::Shared;
pub use write::{DebWriter, WriteError};

use crate::parallel;

/// Why a file is not a .deb that may be published.
#[derive(Debug, Error)]
pub enum DebError {
    /// It could not be read at all.
    #[error("cannot be read")]
    Read(#[from] io::Error),
    /// The outer archive.
    #[error(transparent)]
    Ar(#[from] ArError),
    /// A member that must be there is not.
    #[error("it has no ar member {0}")]
    NoMember(&'static str),
    /// A member stands in another's place.
    #[error("ar member {position} is {found:?}; {expected} is expected there")]
    Member {
        /// Counted from 1.
        position: usize,
        /// Its name.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// The format's version.
    #[error("debian-binary says {0:?}; only format 2.0 is known")]
    Format(String),
    /// A compressed member is broken.
    #[error("{member} is damaged: {source}")]
    Damaged {
        /// Which.
        member: String,
        /// How.
        source: io::Error,
    },
    /// A name that would leave the directory that it is unpacked in.
    #[error("{member} holds {path:?}, which does not stay below the root")]
    Escapes {
        /// Which.
        member: String,
        /// The name.
        path: String,
    },
    /// Something other than plain files in the control member.
    #[error("{member} holds {path:?}, which is not a plain file")]
    NotAFile {
        /// Which.
        member: String,
        /// The name.
        path: String,
    },
    /// No control file.
    #[error("{0} holds no control file")]
    NoControl(String),
    /// Two of them: readers would differ about which counts.
    #[error("{0} holds two control files")]
    TwoControls(String),
    /// The control file.
    #[error("control file: {0}")]
    Control(#[from] ControlError),
    /// The file's name says something else than its control file.
    #[error("the file is called {file}, but its control file says {says}")]
    Lies {
        /// The file's name.
        file: String,
        /// What the control file says.
        says: String,
    },
}

/// What an archive's index has to know of one .deb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deb {
    /// Its control file.
    pub control: Control,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
}

/// How much of a control member is unpacked at most.
const CONTROL_LIMIT: u64 = 64 << 20;

impl Deb {
    /// Reads a .deb: its members, its control file, its hash. The packaged files are not unpacked.
    pub fn read(path: &Path) -> Result<Self, DebError> {
        let deb = Self::of(&mut File::open(path)?)?;
        deb.control.agrees_with_file_name(path)?;
        Ok(deb)
    }

    /// As [`Deb::read`], and unpacks the packaged files into nothing: the slow and sure way.
    pub fn examine(path: &Path) -> Result<Self, DebError> {
        Self::examine_as(path, path)
    }

    /// As [`Deb::examine`], for a file that came under the name `called`.
    pub(crate) fn examine_as(path: &Path, called: &Path) -> Result<Self, DebError> {
        let deb = Self::of(&mut File::open(path)?)?;
        deb.control.agrees_with_file_name(called)?;
        Self::files(path)?;
        Ok(deb)
    }

    /// The names of the packaged files, without directories, each with a line break after it.
    pub(crate) fn files(path: &Path) -> Result<Vec<u8>, DebError> {
        let file = File::open(path)?;
        let members = members(&file)?;
        let reader = members.data_compression.reader(members.data.reader(&file));
        contents::names(reader, &members.data.name)
    }

    fn of(file: &mut File) -> Result<Self, DebError> {
        let members = members(file)?;
        file.seek(SeekFrom::Start(0))?;
        let file = &*file;
        // Members are read from their places, whatever the hash has come to.
        let (control, hashed) = parallel::both(
            || read_control(file, &members.control, members.control_compression),
            || hash(&mut &*file),
        );
        let (size, sha256) = hashed?;
        Ok(Self {
            control: control?,
            size,
            sha256,
        })
    }

    /// The name that a .deb of this content has in an archive: without the epoch, as Debian does it.
    #[must_use]
    pub fn file_name(&self) -> PathBuf {
        let version = self.control.version();
        let version = version.split_once(':').map_or(version, |(_, rest)| rest);
        format!(
            "{}_{version}_{}.deb",
            self.control.package(),
            self.control.architecture()
        )
        .into()
    }
}

struct Members {
    control: Member,
    control_compression: Compression,
    data: Member,
    data_compression: Compression,
}

fn members(file: &File) -> Result<Members, DebError> {
    let mut members = ar::members(file)?.into_iter().enumerate();
    let mut take = |expected: &'static str, is: &dyn Fn(&str) -> Option<Compression>| {
        for (index, member) in members.by_ref() {
            if let Some(compression) = is(&member.name) {
                return Ok((member, compression));
            }
            // deb(5): members whose names start with _ may stand between and are skipped.
            if index == 0 || !member.name.starts_with('_') {
                return Err(DebError::Member {
                    position: index + 1,
                    found: member.name,
                    expected,
                });
            }
        }
        Err(DebError::NoMember(expected))
    };
    let plain = |wanted: &'static str| move |name: &str| (name == wanted).then_some(Compression::None);
    let (version, _) = take("debian-binary", &plain("debian-binary"))?;
    let mut text = String::new();
    version.reader(file).take(64).read_to_string(&mut text)?;
    if text != "2.0\n" {
        return Err(DebError::Format(text));
    }
    let (control, control_compression) = take("control.tar[.gz|.xz|.zst]", &|name| {
        Compression::of(name.strip_prefix("control.tar")?)
    })?;
    let (data, data_compression) = take("data.tar[.gz|.xz|.zst]", &|name| {
        Compression::of(name.strip_prefix("data.tar")?)
    })?;
    if let Some((index, member)) = members.find(|(_, member)| !member.name.starts_with('_')) {
        let expected = "nothing more";
        return Err(DebError::Member {
            position: index + 1,
            found: member.name,
            expected,
        });
    }
    Ok(Members {
        control,
        control_compression,
        data,
        data_compression,
    })
}

fn read_control(file: &File, member: &Member, compression: Compression) -> Result<Control, DebError> {
    let damaged = |source| DebError::Damaged {
        member: member.name.clone(),
        source,
    };
    let reader = compression.reader(member.reader(file)).take(CONTROL_LIMIT);
    let mut archive = tar::Archive::new(reader);
    let mut control = None;
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = entry.path_bytes().into_owned();
        let name = path.strip_prefix(b"./").unwrap_or(&path);
        let shown = || String::from_utf8_lossy(&path).into_owned();
        if name.contains(&b'/') || name == b".." {
            return Err(DebError::Escapes {
                member: member.name.clone(),
                path: shown(),
            });
        }
        let is_root = name.is_empty() || name == b".";
        if is_root != entry.header().entry_type().is_dir()
            || !(is_root || entry.header().entry_type().is_file())
        {
            return Err(DebError::NotAFile {
                member: member.name.clone(),
                path: shown(),
            });
        }
        if name == b"control" {
            let mut text = Vec::new();
            entry.read_to_end(&mut text).map_err(damaged)?;
            if control.replace(text).is_some() {
                return Err(DebError::TwoControls(member.name.clone()));
            }
        }
    }
    let text = control.ok_or_else(|| DebError::NoControl(member.name.clone()))?;
    Ok(Control::parse(&text)?)
}

/// Length and SHA-256 of what is left in `reader`.
pub(crate) fn hash(reader: &mut impl Read) -> io::Result<(u64, String)> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok((size, hex(&digest.finalize()))),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.update(&buffer[..count]);
        size += count as u64;
    }
}

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::{Deb, DebError, DebWriter};

    fn deb() -> Vec<u8> {
        let mut writer = DebWriter::new("Package: foo\nVersion: 1:1.2\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: x\n".parse().unwrap(), 1_700_000_000);
        writer.file("usr/share/foo/a", 0o644, b"a".to_vec()).unwrap();
        writer.build().unwrap()
    }

    fn with(bytes: &[u8], name: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn a_deb_is_read_with_its_control_and_hash() {
        let (_dir, path) = with(&deb(), "foo_1.2_all.deb");
        let deb = Deb::examine(&path).unwrap();
        assert_eq!(deb.control.package(), "foo");
        assert_eq!(deb.file_name(), PathBuf::from("foo_1.2_all.deb"));
        assert_eq!(deb.size, fs::metadata(&path).unwrap().len());
    }

    #[test]
    fn a_deb_cut_anywhere_is_refused() {
        let whole = deb();
        for length in 0..whole.len() {
            let (_dir, path) = with(&whole[..length], "foo.deb");
            assert!(
                Deb::read(&path).is_err(),
                "cut after {length} of {} bytes",
                whole.len()
            );
        }
        let (_dir, path) = with(&[&whole[..], b"x"].concat(), "foo.deb");
        assert!(Deb::read(&path).is_err(), "one byte too many");
    }

    #[test]
    fn a_file_name_that_says_something_else_is_a_lie() {
        for name in ["bar_1.2_all.deb", "foo_1.2_amd64.deb"] {
            let (_dir, path) = with(&deb(), name);
            assert!(matches!(Deb::read(&path), Err(DebError::Lies { .. })), "{name}");
        }
        for name in ["foo_current_all.deb", "download.deb", "foo-1.2.deb"] {
            let (_dir, path) = with(&deb(), name);
            assert!(Deb::read(&path).is_ok(), "{name}");
        }
    }
}
