//! A .deb is read strictly: what dpkg would trip over, or what says one thing and holds another, is refused.

mod ar;
mod compression;
mod contents;
mod control;
mod depth;
mod fields;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod members;
mod reader;
mod relation;
mod shared;
mod tar;
mod write;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use apu_debian::hex;
use nix::errno::Errno;
use sha2::{Digest, Sha256};
use thiserror::Error;

use ar::{ArError, Member};
use compression::{Bounded, Compression, Memory, wants_memory};
pub use control::{Control, ControlError};
pub(crate) use depth::Depth;
pub use reader::serve_deb_reader;
pub(crate) use reader::{Contents, read_all};
pub(crate) use shared::Shared;
use tar::{Kind, Tar, TarError, Unpacker};
pub use write::{DebWriter, WriteError};

use crate::folder::open_regular;

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
    /// An archive in the .deb that dpkg would not unpack, or that holds what no package may.
    #[error("{member}: {why}")]
    Tar {
        /// Which.
        member: String,
        /// With the entry's name, where it is one entry.
        why: String,
    },
    /// Something other than plain files in the control member.
    #[error("{member} holds {path:?}, which is not a plain file")]
    NotAFile {
        /// Which.
        member: String,
        /// The name.
        path: String,
    },
    /// A file beside control that dpkg could not parse.
    #[error("{name}: {why}")]
    Beside {
        /// Its name.
        name: String,
        /// With the line.
        why: String,
    },
    /// It was not looked at.
    #[error("the process that reads .debs cannot be started")]
    NoReader(#[source] io::Error),
    /// It took more than it may, or the reader is broken.
    #[error("the process that read it, with limited memory and time, ended: {0}")]
    ReaderEnded(String),
    /// It could not be checked to the end.
    #[error("{0}")]
    NotJudged(String),
    /// It carries the push key, and an archive takes only those that its own server made.
    #[error(
        "it is a package apu-data, which brings the push key to every client, and was not made on this server"
    )]
    StrangeApuData,
    /// Nobody asked for it, and clients would get it all the same.
    #[error("it is marked Essential: a dist-upgrade would install it on every client")]
    Essential {
        /// The package.
        package: String,
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
}

impl DebError {
    /// Whether this machine was at fault rather than the .deb: it has too few files or processes, or its disk fails.
    pub(crate) fn is_the_machines(&self) -> bool {
        let error = match self {
            Self::Read(error) => error,
            Self::NoReader(_) => return true,
            _ => return false,
        };
        let of_the_file = [
            Errno::EACCES,
            Errno::EPERM,
            Errno::ELOOP,
            Errno::ENOENT,
            Errno::ENXIO,
            Errno::ENODEV,
        ];
        let code = error.raw_os_error();
        code.is_some_and(|code| !of_the_file.contains(&Errno::from_raw(code)))
    }
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

/// How much of a control member is unpacked at most, in bytes.
const CONTROL_LIMIT: u64 = 64 << 20;

/// The largest control file, in bytes. apt's cache breaks on values not much longer, and with it every client's apt.
const LARGEST_CONTROL: u64 = 64 << 10;

/// What a data member may unpack to: this many bytes, and [`RATIO`] times its own length on top of it.
const UNPACKED: u64 = 1 << 30;
const RATIO: u64 = 200;
const MOST_UNPACKED: u64 = 256 << 30;

/// One .deb at a time is unpacked with [`Memory::Large`].
static LARGE: Mutex<()> = Mutex::new(());

const TOO_MUCH_MEMORY: &str = "it takes more than 64 MiB of memory to unpack";

impl Deb {
    /// Reads a .deb: its members, its control file, its hash. The packaged files are not unpacked.
    pub fn read(path: &Path) -> Result<Self, DebError> {
        Self::to(path, Depth::Control)
    }

    /// As [`Deb::read`], and unpacks the packaged files into nothing: the slow and sure way.
    pub fn examine(path: &Path) -> Result<Self, DebError> {
        Self::to(path, Depth::Whole)
    }

    /// As [`Deb::examine`], of what `open` opens.
    pub(crate) fn examine_file(open: impl Fn() -> io::Result<File> + Sync + Send) -> Result<Self, DebError> {
        Self::only(Depth::Whole, open)
    }

    fn to(path: &Path, depth: Depth) -> Result<Self, DebError> {
        Self::only(depth, || open_regular(path))
    }

    fn only(depth: Depth, open: impl Fn() -> io::Result<File> + Sync + Send) -> Result<Self, DebError> {
        let mut read = read_all(&[()], depth, |()| open());
        let only = read
            .pop()
            .unwrap_or_else(|| Err(io::Error::other("nothing read it").into()));
        only.map(|contents| contents.deb)
    }

    /// The name with the epoch, in the form that apt gives it in its own cache.
    #[must_use]
    pub fn file_name_with_epoch(&self) -> PathBuf {
        let version = self.control.version();
        let (epoch, version) = version.split_once(':').unwrap_or(("0", version));
        let (package, architecture) = (self.control.package(), self.control.architecture());
        format!("{package}_{epoch}%3a{version}_{architecture}.deb").into()
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

/// The control file, and the names of the packaged files where all is to be read.
fn control_and_names(file: &File, depth: Depth, memory: Memory) -> Result<(Control, Vec<u8>), DebError> {
    let Members {
        control,
        control_compression,
        data,
        data_compression,
    } = members(file)?;
    let control = read_control(file, &control, control_compression, memory)?;
    if depth == Depth::Control {
        return Ok((control, Vec::new()));
    }
    let limit = data.size.saturating_mul(RATIO).saturating_add(UNPACKED);
    let reader = data_compression.reader(data.reader(file), memory);
    let reader = Bounded::new(reader, limit.min(MOST_UNPACKED));
    let names = contents::names(reader).map_err(|error| error.of(&data.name))?;
    Ok((control, names))
}

/// Does `work` with little memory, and again with more where that does not do.
fn with_memory<T>(work: impl Fn(Memory) -> Result<T, DebError>) -> Result<T, DebError> {
    match work(Memory::Usual) {
        Err(DebError::Damaged { source, .. }) if wants_memory(&source) => {
            let _alone = LARGE.lock().unwrap_or_else(PoisonError::into_inner);
            match work(Memory::Large) {
                Err(DebError::Damaged { member, source }) if wants_memory(&source) => {
                    let why = TOO_MUCH_MEMORY.to_owned();
                    Err(DebError::Tar { member, why })
                }
                other => other,
            }
        }
        other => other,
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
    let mut text = Vec::new();
    version.reader(file).take(64).read_to_end(&mut text)?;
    if !is_known_format(&text) {
        return Err(DebError::Format(String::from_utf8_lossy(&text).into_owned()));
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

/// dpkg takes every minor version of format 2.
fn is_known_format(text: &[u8]) -> bool {
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let minor = line.strip_prefix(b"2.").unwrap_or_default();
    text.len() > line.len() && (1..=3).contains(&minor.len()) && minor.iter().all(u8::is_ascii_digit)
}

fn read_control(
    file: &File,
    member: &Member,
    compression: Compression,
    memory: Memory,
) -> Result<Control, DebError> {
    let reader = Bounded::new(compression.reader(member.reader(file), memory), CONTROL_LIMIT);
    let mut archive = Tar::new(reader, Unpacker::Tar);
    let mut control = None;
    while let Some(entry) = archive.next().map_err(|error| error.of(&member.name))? {
        let name = entry.name.strip_prefix(b"./").unwrap_or(&entry.name);
        let is_root = matches!(name, b"" | b".");
        let kind = if is_root { Kind::Directory } else { Kind::File };
        if name.contains(&b'/') || name == b".." || entry.kind != kind {
            return Err(DebError::NotAFile {
                member: member.name.clone(),
                path: entry.shown(),
            });
        }
        let limit = match name {
            b"control" => LARGEST_CONTROL,
            _ if members::is_checked(name) => members::LIMIT,
            _ => continue,
        };
        let bytes = archive.bytes(limit).map_err(|error| error.of(&member.name))?;
        let bytes = bytes.ok_or_else(|| DebError::Beside {
            name: entry.shown(),
            why: format!("it has {} bytes, and may have {limit}", entry.size),
        })?;
        if name != b"control" {
            let beside = |why| DebError::Beside {
                name: String::from_utf8_lossy(name).into_owned(),
                why,
            };
            members::check(name, &bytes).map_err(beside)?;
        } else if control.replace(bytes).is_some() {
            return Err(DebError::TwoControls(member.name.clone()));
        }
    }
    // Behind the last entry stands the checksum of the whole.
    archive.drain().map_err(|error| error.of(&member.name))?;
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
            Ok(0) => return Ok((size, hex::encode(&digest.finalize()))),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        digest.update(&buffer[..count]);
        size += count as u64;
    }
}

impl TarError {
    /// As the .deb's member of that name has it.
    fn of(self, member: &str) -> DebError {
        let member = member.to_owned();
        match self {
            Self::Read(source) => DebError::Damaged { member, source },
            other => DebError::Tar {
                member,
                why: other.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::{Deb, DebWriter};

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
    fn a_file_name_says_nothing_and_the_control_file_all() {
        for name in ["bar_1.2_linux-amd64.deb", "foo_1.2_amd64.deb", "download.deb"] {
            let (_dir, path) = with(&deb(), name);
            assert_eq!(
                Deb::read(&path).unwrap().file_name(),
                PathBuf::from("foo_1.2_all.deb")
            );
        }
    }

    #[test]
    fn the_format_is_any_of_version_2() {
        for text in ["2.0\n", "2.1\n", "2.0\nmore\n"] {
            assert!(super::is_known_format(text.as_bytes()), "{text:?}");
        }
        for text in ["", "2.0", "2.\n", "3.0\n", "2.x\n", "0.939000\n"] {
            assert!(!super::is_known_format(text.as_bytes()), "{text:?}");
        }
    }
}
