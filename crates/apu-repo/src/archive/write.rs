//! Indexes in all their forms, packed and put where clients find them by their hashes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use super::pack::{self, Packed, pack};
use super::release::IndexFile;
use super::{Archive, ArchiveError};
use crate::deb::hex;
use crate::{durable, parallel};

/// The text of an index.
pub(super) struct Text {
    /// Its name below Release.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// Whether it can be fetched unpacked, and as .xz. Otherwise clients get it as .gz alone, and learn from Release what
    /// has to come out of that.
    pub(super) stored: bool,
}

/// An index file that is ready to be put in place; without bytes it is only named.
pub(super) struct Ready {
    pub(super) file: IndexFile,
    pub(super) bytes: Option<Vec<u8>>,
    /// Whether it was seen to be in place.
    placed: bool,
}

fn index_file(name: &str, bytes: &[u8]) -> IndexFile {
    IndexFile {
        name: name.to_owned(),
        size: bytes.len() as u64,
        sha256: hex(&Sha256::digest(bytes)),
    }
}

/// The names of an index's forms.
fn packed_names(text: &Text) -> Vec<String> {
    let endings: &[&str] = if text.stored { &[".gz", ".xz"] } else { &[".gz"] };
    endings
        .iter()
        .map(|ending| format!("{}{ending}", text.name))
        .collect()
}

impl Archive {
    /// Every text in its forms. Where a text is the last one's, so are its packed forms.
    pub(super) fn packed(
        &self,
        texts: Vec<Text>,
        last: &[IndexFile],
        by_us: bool,
    ) -> Result<Vec<Ready>, ArchiveError> {
        let of_name = |name: &str| last.iter().find(|file| file.name == name);
        let plain = parallel::map(&texts, |text| index_file(&text.name, &text.bytes));
        let kept = parallel::map(&texts.iter().zip(&plain).collect::<Vec<_>>(), |(text, plain)| {
            of_name(&text.name).filter(|last| last == plain)?;
            packed_names(text)
                .iter()
                .map(|name| {
                    let file = of_name(name)?;
                    Some(Ready {
                        file: file.clone(),
                        bytes: Some(self.intact(file)?),
                        placed: true,
                    })
                })
                .collect::<Option<Vec<_>>>()
        });
        let new: Vec<&Text> = texts
            .iter()
            .zip(&kept)
            .filter(|(_, kept)| kept.is_none())
            .map(|(text, _)| text)
            .collect();
        let lasts = parallel::map(
            &new,
            |text| if by_us { self.last_packed(text, last) } else { None },
        );
        let to_pack: Vec<pack::Text<'_>> = new
            .iter()
            .zip(lasts)
            .map(|(text, last)| pack::Text {
                bytes: &text.bytes,
                by_xz: text.stored,
                last,
            })
            .collect();
        let packed = pack(&to_pack).map_err(ArchiveError::io("compress", Path::new("Packages")))?;
        drop(to_pack);
        let mut packed = packed.into_iter();
        let mut ready = Vec::new();
        for ((text, plain), kept) in texts.into_iter().zip(plain).zip(kept) {
            let names = packed_names(&text);
            ready.push(Ready {
                file: plain,
                bytes: text.stored.then_some(text.bytes),
                placed: false,
            });
            if let Some(kept) = kept {
                ready.extend(kept);
                continue;
            }
            let (gz, xz) = packed.next().unwrap_or_default();
            let forms: Vec<(String, Vec<u8>)> = names.into_iter().zip([gz, xz]).collect();
            let files = parallel::map(&forms, |(name, bytes)| index_file(name, bytes));
            ready.extend(files.into_iter().zip(forms).map(|(file, (_, bytes))| Ready {
                file,
                bytes: Some(bytes),
                placed: false,
            }));
        }
        Ok(ready)
    }

    /// The bytes of a file that was published, if they are still what Release says.
    fn intact(&self, file: &IndexFile) -> Option<Vec<u8>> {
        let bytes = fs::read(self.release_dir().join(file.by_hash())).ok()?;
        (bytes.len() as u64 == file.size && hex(&Sha256::digest(&bytes)) == file.sha256).then_some(bytes)
    }

    /// What was published of an index before this text of it.
    fn last_packed(&self, text: &Text, last: &[IndexFile]) -> Option<Packed> {
        let of_name = |name: &str| last.iter().find(|file| file.name == name);
        let gz = self.intact(of_name(&format!("{}.gz", text.name))?)?;
        if text.stored {
            return Some(Packed {
                text: self.intact(of_name(&text.name)?)?,
                gz,
                xz: self.intact(of_name(&format!("{}.xz", text.name))?)?,
            });
        }
        let mut unpacked = Vec::new();
        GzDecoder::new(&gz[..]).read_to_end(&mut unpacked).ok()?;
        Some(Packed {
            text: unpacked,
            gz,
            xz: Vec::new(),
        })
    }

    /// Before anything names them, the new files are there under their hashes, and survive a power cut.
    pub(super) fn place_by_hash(&self, ready: &[Ready]) -> Result<(), ArchiveError> {
        let folder = self.release_dir();
        let mut places: Vec<(PathBuf, &[u8])> = Vec::new();
        let mut folders = BTreeSet::new();
        for Ready { file, bytes, placed } in ready {
            let Some(bytes) = bytes else { continue };
            let path = folder.join(file.by_hash());
            let below = path.strip_prefix(&self.dir).unwrap_or(&path);
            // Every folder from the archive's down to it.
            folders.extend(below.ancestors().skip(1).map(Path::to_owned));
            if !placed {
                places.push((path, bytes));
            }
        }
        for folder in &folders {
            self.make_folder(folder)?;
        }
        let placed = parallel::map(&places, |(path, bytes)| {
            if holds(path, bytes).unwrap_or(false) {
                return Ok(());
            }
            let unfinished = durable::prepare(path, *bytes, 0o644)?;
            fs::rename(&unfinished, path)
        });
        for ((path, _), placed) in places.iter().zip(placed) {
            placed.map_err(ArchiveError::io("write", path))?;
        }
        folders.iter().try_for_each(|folder| {
            let folder = self.dir.join(folder);
            durable::sync_directory(&folder).map_err(ArchiveError::io("sync", &folder))
        })
    }
}

/// Whether the file at `path` has these bytes.
fn holds(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() != bytes.len() as u64 {
        return Ok(false);
    }
    let mut block = vec![0; 64 << 10];
    for bytes in bytes.chunks(block.len()) {
        let block = &mut block[..bytes.len()];
        file.read_exact(block)?;
        if block != bytes {
            return Ok(false);
        }
    }
    Ok(true)
}
