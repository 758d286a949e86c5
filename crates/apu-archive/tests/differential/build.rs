//! .debs from parts, right or wrong: an ar archive, tar archives, compressions.

use std::io::Write;

/// An entry of a tar archive.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) link: String,
    pub(crate) bytes: Vec<u8>,
    /// Changes to the header, made before its checksum.
    pub(crate) patches: Vec<(usize, Vec<u8>)>,
    pub(crate) break_checksum: bool,
}

impl Entry {
    pub(crate) fn new(name: &str, kind: u8, bytes: &[u8]) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            kind,
            link: String::new(),
            bytes: bytes.to_vec(),
            patches: Vec::new(),
            break_checksum: false,
        }
    }

    pub(crate) fn link(name: &str, kind: u8, link: &str) -> Self {
        Self {
            link: link.to_owned(),
            ..Self::new(name, kind, b"")
        }
    }
}

pub(crate) fn tar(entries: &[Entry], ustar: bool, end: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        let mut name = entry.name.clone();
        if name.len() > 100 {
            let mut long = name.clone();
            long.push(0);
            block(
                &mut out,
                &Entry::new("././@LongLink", b'L', &long),
                b"././@LongLink",
                ustar,
            );
            name.truncate(100);
        }
        block(&mut out, entry, &name, ustar);
    }
    out.extend_from_slice(end);
    out
}

fn block(out: &mut Vec<u8>, entry: &Entry, name: &[u8], ustar: bool) {
    let mut header = if ustar {
        tar::Header::new_ustar()
    } else {
        tar::Header::new_gnu()
    };
    let bytes = header.as_mut_bytes();
    bytes[..name.len()].copy_from_slice(name);
    bytes[157..157 + entry.link.len()].copy_from_slice(entry.link.as_bytes());
    header.set_entry_type(tar::EntryType::new(entry.kind));
    header.set_mode(if matches!(entry.kind, b'5') { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    header.set_size(entry.bytes.len() as u64);
    if matches!(entry.kind, b'3' | b'4') {
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    }
    for (at, patch) in &entry.patches {
        header.as_mut_bytes()[*at..*at + patch.len()].copy_from_slice(patch);
    }
    header.set_cksum();
    if entry.break_checksum {
        header.as_mut_bytes()[150] ^= 1;
    }
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(&entry.bytes);
    out.resize(out.len().next_multiple_of(512), 0);
}

pub(crate) fn pack(ending: &str, bytes: &[u8]) -> Vec<u8> {
    match ending {
        ".gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        ".xz" => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        ".zst" => {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        _ => bytes.to_vec(),
    }
}

pub(crate) fn ar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"!<arch>\n".to_vec();
    for (name, bytes) in members {
        let header = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            0,
            "100644",
            bytes.len()
        );
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(bytes);
        if bytes.len() % 2 == 1 {
            out.push(b'\n');
        }
    }
    out
}
