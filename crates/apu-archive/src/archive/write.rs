//! Indexes in all their forms, packed and put where clients find them by their hashes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use apu_debian::hex;
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use super::pack::{self, Packed, pack};
use super::release::IndexFile;
use super::{Archive, ArchiveError};
use crate::atomic_file::Unfinished;
use crate::parallel;

/// The text of an index.
pub(super) struct Text {
    /// Its name below Release.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// Whether it can be fetched unpacked, and as .xz. Otherwise clients get it as .gz alone, and learn from Release what
    /// has to come out of that.
    pub(super) stored: bool,
}

/// An index file that Release is to name.
pub(super) struct Ready {
    pub(super) file: IndexFile,
    /// Whether it can be fetched, and is there under its hash.
    pub(super) stored: bool,
    /// What of it does not survive a power cut yet.
    pub(super) unsynced: Option<Unfinished>,
}

/// An index file that was published, and what it holds.
struct Form {
    file: IndexFile,
    bytes: Vec<u8>,
}

/// Files that were published, by their names.
pub(super) struct Before(HashMap<String, Form>);

fn index_file(name: &str, bytes: &[u8]) -> IndexFile {
    IndexFile {
        name: name.to_owned(),
        size: bytes.len() as u64,
        sha256: hex::encode(&Sha256::digest(bytes)),
    }
}

impl Text {
    /// The names of its forms that can be fetched: as it is, .gz, .xz.
    fn names(&self) -> Vec<String> {
        let endings: &[&str] = if self.stored {
            &["", ".gz", ".xz"]
        } else {
            &[".gz"]
        };
        let name = |ending: &&str| format!("{}{ending}", self.name);
        endings.iter().map(name).collect()
    }
}

impl Before {
    /// All forms of an index that could be fetched, in the order of [`Text::names`].
    fn of(&mut self, text: &Text) -> Option<Vec<Form>> {
        text.names().iter().map(|name| self.0.remove(name)).collect()
    }
}

/// A text on its way to its forms.
struct Task<'a> {
    text: &'a Text,
    before: Option<&'a [Form]>,
    is_same: bool,
}

impl Archive {
    /// What was published of the indexes that the last Release named, as far as it is still what that said.
    pub(super) fn before(&self, last: &[IndexFile]) -> Before {
        let there = parallel::map(last, |file| self.intact(file));
        let there = there.into_iter().flatten();
        Before(there.map(|form| (form.file.name.clone(), form)).collect())
    }

    fn intact(&self, file: &IndexFile) -> Option<Form> {
        let bytes = self.root.read(&self.release_dir().join(file.by_hash())).ok()?;
        // An index as it is need not be hashed: of that only what the new one has too is of use.
        let is_packed = file.name.ends_with(".gz") || file.name.ends_with(".xz");
        let is_intact = || !is_packed || hex::encode(&Sha256::digest(&bytes)) == file.sha256;
        let is_intact = bytes.len() as u64 == file.size && is_intact();
        let file = file.clone();
        is_intact.then_some(Form { file, bytes })
    }

    /// Every text in its forms, each in place under its hash: until Release names them, nothing leads there. Where a text
    /// is the last one's, so are its forms; `by_us` says whether what was there before can be of use otherwise.
    pub(super) fn place(
        &self,
        texts: &[Text],
        mut before: Before,
        by_us: bool,
    ) -> Result<Vec<Ready>, ArchiveError> {
        let before: Vec<Option<Vec<Form>>> = texts.iter().map(|text| before.of(text)).collect();
        let pairs: Vec<_> = texts.iter().zip(&before).collect();
        let lasts = parallel::map(&pairs, |(_, before)| before.as_deref().and_then(last_packed));
        let (mut tasks, mut to_pack) = (Vec::new(), Vec::new());
        for ((text, before), last) in pairs.into_iter().zip(lasts) {
            let is_same = last.as_ref().is_some_and(|last| last.text == text.bytes);
            if !is_same {
                to_pack.push(pack::Text {
                    bytes: &text.bytes,
                    by_xz: text.stored,
                    last: last.filter(|_| by_us),
                });
            }
            tasks.push(Task {
                text,
                before: before.as_deref(),
                is_same,
            });
        }
        for text in texts {
            let path = index_file(&text.name, b"").by_hash();
            self.make_folder(&self.release_dir().join(path.parent().unwrap_or(&path)))?;
        }
        // While the short forms are made, the long one gets to the disk.
        let (plain, packed) = parallel::both(
            || parallel::map(&tasks, |task| self.plain(task)),
            || pack(&to_pack),
        );
        let packed = packed.map_err(ArchiveError::io("compress", Path::new("Packages")))?;
        let mut packed = packed.into_iter();
        let mut ready = Vec::new();
        for (task, plain) in tasks.iter().zip(plain) {
            ready.push(plain?);
            let packed_forms = usize::from(task.text.stored)..;
            if task.is_same {
                let kept = &task.before.unwrap_or_default()[packed_forms];
                ready.extend(kept.iter().map(|form| Ready::kept(&form.file)));
                continue;
            }
            let (gz, xz) = packed.next().unwrap_or_default();
            let names = task.text.names();
            let forms: Vec<(&String, Vec<u8>)> = names[packed_forms].iter().zip([gz, xz]).collect();
            for placed in parallel::map(&forms, |(name, bytes)| self.by_hash(name, bytes)) {
                ready.push(placed?);
            }
        }
        Ok(ready)
    }

    /// The index as it is, synced where it is new.
    fn plain(&self, task: &Task<'_>) -> Result<Ready, ArchiveError> {
        let Text { name, bytes, stored } = task.text;
        if !stored {
            let file = index_file(name, bytes);
            return Ok(Ready {
                stored: false,
                ..Ready::kept(&file)
            });
        }
        if task.is_same
            && let Some(form) = task.before.and_then(<[_]>::first)
        {
            return Ok(Ready::kept(&form.file));
        }
        let mut ready = self.by_hash(name, bytes)?;
        if let Some(unsynced) = ready.unsynced.take() {
            unsynced.sync().map_err(self.failed("write", &unsynced.path))?;
        }
        Ok(ready)
    }

    /// Puts a file where clients find it by its hash, unless it is there.
    fn by_hash(&self, name: &str, bytes: &[u8]) -> Result<Ready, ArchiveError> {
        let file = index_file(name, bytes);
        let path = self.release_dir().join(file.by_hash());
        let place = || {
            // Whoever wrote it may have been interrupted before it was synced.
            if let Some(there) = Unfinished::there(&self.root, &path).filter(|there| there.holds(bytes)) {
                return Ok(there);
            }
            let unfinished = Unfinished::beside(&self.root, &path, bytes, 0o644)?;
            self.root.rename(&unfinished.path, &path)?;
            Ok(unfinished)
        };
        let unsynced = Some(place().map_err(self.failed("write", &path))?);
        Ok(Ready {
            unsynced,
            ..Ready::kept(&file)
        })
    }
}

impl Ready {
    /// One that is there already.
    fn kept(file: &IndexFile) -> Self {
        Self {
            file: file.clone(),
            stored: true,
            unsynced: None,
        }
    }
}

/// What an index was before.
fn last_packed(forms: &[Form]) -> Option<Packed<'_>> {
    let (text, gz, xz) = match forms {
        [text, gz, xz] => (Cow::from(&text.bytes), gz, Cow::from(&xz.bytes)),
        [gz] => {
            let mut text = Vec::new();
            GzDecoder::new(&gz.bytes[..]).read_to_end(&mut text).ok()?;
            (text.into(), gz, Cow::default())
        }
        _ => return None,
    };
    let gz = Cow::from(&gz.bytes);
    Some(Packed { text, gz, xz })
}
