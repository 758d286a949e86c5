//! The packaged files, looked at one by one: does dpkg unpack each, and does every name stay below the root?

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;

use super::tar::{Entry, Kind, Tar, TarError, Unpacker};

/// Debian's largest package has a fifth of this.
const MOST_ENTRIES: usize = 1_000_000;

/// Of all names together, in bytes.
const MOST_NAMES: usize = 32 << 20;

/// Unpacks `reader`, a data.tar, into nothing. The names of what is no directory, without the leading `./`, each with a
/// line break after it.
pub(super) fn names(reader: impl Read) -> Result<Vec<u8>, TarError> {
    let mut tar = Tar::new(reader, Unpacker::Dpkg);
    let mut files = Vec::new();
    let mut seen = Seen::default();
    let mut bytes = 0;
    while let Some(entry) = tar.next()? {
        let name = below_root(&entry.name);
        if !stays_below(name) {
            return Err(entry.error("does not stay below the root"));
        }
        bytes += name.len();
        if seen.kinds.len() >= MOST_ENTRIES || bytes > MOST_NAMES {
            return Err(entry.error("is one of more files than a package may have"));
        }
        seen.take(&entry, name)?;
        if !(entry.kind == Kind::Directory || name.is_empty()) {
            files.extend_from_slice(name);
            files.push(b'\n');
        }
    }
    // The end of the compressed stream carries its checksum.
    tar.drain()?;
    Ok(files)
}

/// What the archive had so far. Names are kept as hashes under a random key: a million of them fit.
#[derive(Default)]
struct Seen {
    hasher: RandomState,
    kinds: HashMap<u64, Kind>,
}

impl Seen {
    fn kind(&self, name: &[u8]) -> Option<Kind> {
        self.kinds.get(&self.hasher.hash_one(name)).copied()
    }

    fn take(&mut self, entry: &Entry, name: &[u8]) -> Result<(), TarError> {
        if name.is_empty() {
            return match entry.kind {
                Kind::Directory => Ok(()),
                _ => Err(entry.error("is the root, and no directory")),
            };
        }
        let slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (at, _) in slashes {
            if matches!(
                self.kind(&name[..at]),
                Some(Kind::File | Kind::HardLink | Kind::Special)
            ) {
                return Err(entry.error("lies below what is no directory"));
            }
        }
        if entry.kind == Kind::HardLink {
            let target = below_root(&entry.link);
            if !stays_below(target) {
                return Err(entry.error("is a hard link that does not stay below the root"));
            }
            match self.kind(target) {
                Some(Kind::Directory) | None => {
                    return Err(entry.error("is a hard link to no file that came before it in the package"));
                }
                Some(_) => {}
            }
        }
        let is_directory = |kind| kind == Kind::Directory;
        if let Some(before) = self.kind(name)
            && is_directory(before) != is_directory(entry.kind)
        {
            return Err(entry.error("stands there twice, once as a directory"));
        }
        self.kinds.insert(self.hasher.hash_one(name), entry.kind);
        Ok(())
    }
}

/// dpkg takes `./usr`, `/usr` and `usr` for the same.
fn below_root(mut name: &[u8]) -> &[u8] {
    loop {
        name = match name {
            [b'/', rest @ ..] | [b'.', b'/', rest @ ..] => rest,
            b"." => b"",
            _ => return name,
        };
    }
}

fn stays_below(name: &[u8]) -> bool {
    name.split(|&byte| byte == b'/').all(|part| part != b"..")
}

#[cfg(test)]
mod tests {
    use super::names;

    fn tar(entries: &[(&str, u8, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, link) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(tar::EntryType::new(*kind));
            header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_size(0);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_cksum();
            builder.append(&header, &b""[..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn names_that_leave_the_root_are_refused() {
        for entry in [
            ("./../etc/passwd", b'0', ""),
            ("./usr/../../x", b'0', ""),
            ("..", b'5', ""),
            ("./x", b'1', "../../etc/shadow"),
        ] {
            let error = names(&tar(&[entry])[..]).unwrap_err();
            assert!(
                error.to_string().contains("not stay below the root"),
                "{entry:?}: {error}"
            );
        }
        for name in ["./", "./usr/..a/b", "usr/share/x", "/usr/share/x"] {
            names(&tar(&[(name, b'0', "")])[..]).unwrap();
        }
    }

    #[test]
    fn a_hard_link_leads_to_a_file_of_the_package() {
        let file = ("./usr/a", b'0', "");
        let links = [("./usr/b", b'1', "./usr/a"), ("./usr/c", b'1', "usr/b")];
        let taken = names(&tar(&[file, links[0], links[1]])[..]).unwrap();
        assert_eq!(taken, b"usr/a\nusr/b\nusr/c\n");
        for target in ["./etc/shadow", "./usr"] {
            let link = ("./usr/b", b'1', target);
            let error = names(&tar(&[("./usr", b'5', ""), link])[..]).unwrap_err();
            assert!(
                error.to_string().contains("hard link to no file"),
                "{target}: {error}"
            );
        }
    }

    #[test]
    fn a_file_is_no_directory_for_others() {
        for entries in [
            [("./a", b'0', ""), ("./a/b", b'0', "")],
            [("./a", b'0', ""), ("./a/", b'5', "")],
            [("./a/", b'5', ""), ("./a", b'0', "")],
        ] {
            assert!(names(&tar(&entries)[..]).is_err(), "{entries:?}");
        }
    }
}
