//! Properties of the readers of .debs for any bytes, for the targets in `fuzz/` and for `cargo test`.

use std::fs::File;
use std::io::{Read, Write};

use apu_debian::deb822::{Comments, lenient, paragraphs};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::tar::{Entry, Kind, Tar, Unpacker};
use super::{Control, ar, contents};

#[cfg(test)]
#[path = "../../../../fuzz/bounded.rs"]
mod bounded;

/// A control file that is accepted reads back as the same, and other readers find the same fields in it.
pub fn control(data: &[u8]) {
    let Ok(control) = Control::parse(data) else {
        return;
    };
    let text = control.text();
    assert_eq!(text.parse().as_ref(), Ok(&control));
    assert_eq!(
        Control::from_text(text.to_owned().into()).as_ref(),
        Some(&control)
    );
    assert_eq!(control.lines().map(|(_, lines)| lines).collect::<String>(), text);

    for text in [text, std::str::from_utf8(data).expect("text")] {
        let strict = paragraphs(text, Comments::Refused).expect("a paragraph");
        assert_eq!(strict.len(), 1);
        let fields = strict[0].fields.iter();
        let fields = fields.map(|(name, value)| (name.as_str(), value.as_str()));
        assert!(control.fields().eq(fields));
    }
    let lenient: Vec<_> = lenient::paragraphs(text).collect();
    assert_eq!(lenient.len(), 1);
    let names = lenient[0].iter().map(|field| field.name);
    assert!(control.fields().map(|(name, _)| name).eq(names));
    for (field, value) in [
        ("Package", control.package()),
        ("Version", control.version()),
        ("Architecture", control.architecture()),
    ] {
        assert_eq!(control.get(field), Some(value));
        assert!(!value.is_empty() && !value.contains(['/', '\n']));
    }
}

/// Members of an ar archive that is accepted lie in it one after another, and make the same archive again.
pub fn ar(data: &[u8]) {
    let file = file_of(data);
    let Ok(members) = ar::members(&file) else {
        return;
    };
    let mut rebuilt = ar::start();
    for member in &members {
        let mut bytes = Vec::new();
        member.reader(&file).read_to_end(&mut bytes).expect("a member");
        assert_eq!(bytes.len() as u64, member.size);
        ar::append(&mut rebuilt, &member.name, 0, &bytes);
    }
    assert!(data.len().next_multiple_of(2) == rebuilt.len());
    assert_eq!(ar::members(&file_of(&rebuilt)).expect("an archive"), members);
}

fn file_of(data: &[u8]) -> File {
    let file = memfd_create(c"fuzz", MFdFlags::MFD_CLOEXEC).expect("a file in memory");
    let mut file = File::from(file);
    file.write_all(data).expect("a file in memory");
    file
}

/// Both unpackers find the same entries, as far as both take an archive; no name that is accepted leaves the root.
pub fn tar(data: &[u8]) {
    for archive in [data.to_vec(), with_checksums(data)] {
        let dpkg = entries(&archive, Unpacker::Dpkg, false);
        let tar = entries(&archive, Unpacker::Tar, true);
        for (one, other) in dpkg.iter().zip(&tar) {
            assert_eq!(parts(one), parts(other));
        }
        for entries in [dpkg, tar] {
            let blocks: u64 = entries.iter().map(|entry| 1 + entry.size.div_ceil(512)).sum();
            // What follows the last header may be missing.
            let last = entries.last().map_or(0, |entry| entry.size.div_ceil(512));
            assert!((blocks - last) * 512 <= archive.len() as u64);
        }
        let Ok(names) = contents::names(&archive[..]) else {
            continue;
        };
        let Some(names) = names.strip_suffix(b"\n") else {
            assert!(names.is_empty());
            continue;
        };
        for name in names.split(|byte| *byte == b'\n') {
            assert!(!name.is_empty() && !name.starts_with(b"/"));
            assert!(name.split(|byte| *byte == b'/').all(|part| part != b".."));
        }
    }
}

/// The entries up to the end or the first error; `read` has their bytes read.
fn entries(archive: &[u8], unpacker: Unpacker, read: bool) -> Vec<Entry> {
    let mut tar = Tar::new(archive, unpacker);
    let mut entries = Vec::new();
    while let Ok(Some(entry)) = tar.next() {
        assert!(!entry.name.is_empty() && !entry.name.contains(&b'\n'));
        assert!(entry.size == 0 || entry.kind == Kind::File);
        if read && let Ok(bytes) = tar.bytes(archive.len() as u64) {
            assert_eq!(bytes.is_some(), entry.size <= archive.len() as u64);
            assert!(bytes.is_none_or(|bytes| bytes.len() as u64 == entry.size));
        }
        entries.push(entry);
    }
    entries
}

fn parts(entry: &Entry) -> (&[u8], Kind, &[u8], u64) {
    (&entry.name, entry.kind, &entry.link, entry.size)
}

/// The archive with the right checksum in each block that looks like a header, so that more than one entry is read.
fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut archive = data.to_vec();
    for block in archive.chunks_exact_mut(512) {
        if block[257..].starts_with(b"ustar") {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_control_file_is_read_the_same_by_all_readers_for_any_bytes() {
        bounded::check("control", control);
    }

    #[test]
    fn accepted_members_make_the_same_archive_again_for_any_bytes() {
        bounded::check("ar", ar);
    }

    #[test]
    fn both_unpackers_find_the_same_entries_for_any_bytes() {
        bounded::check("tar", tar);
    }
}
