//! The tar archives in a .deb, read as dpkg's own tar reader does it: what that refuses is refused here.
//!
//! dpkg reads `data.tar` itself: ustar and GNU headers, and of the extensions GNU's long names alone. `control.tar` is
//! unpacked by tar(1), which also knows pax headers: there, those that change neither name nor size are passed over.

use std::io::{self, Read};

use thiserror::Error;

const BLOCK: usize = 512;

/// In bytes; Linux takes no longer path.
const LONGEST_NAME: u64 = 4096;

/// Of one pax header, in bytes.
const LONGEST_PAX: u64 = 64 << 10;

/// Why an archive cannot be unpacked on a client.
#[derive(Debug, Error)]
pub(super) enum TarError {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("the tar header at byte {at} has {what}")]
    Header { at: u64, what: &'static str },
    #[error("it ends in the middle of {0:?}")]
    Ends(String),
    #[error("{path:?} is {what}, which dpkg does not take")]
    Kind { path: String, what: &'static str },
    #[error("{path:?} {what}")]
    Entry { path: String, what: &'static str },
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    HardLink,
    SymbolicLink,
    /// A device or a named pipe.
    Special,
}

/// A member of a tar archive; a regular file's bytes follow.
#[derive(Debug)]
pub(super) struct Entry {
    /// As the archive has it, without a final slash.
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    /// Where a link leads.
    pub(super) link: Vec<u8>,
    /// In bytes.
    pub(super) size: u64,
}

impl Entry {
    /// For people.
    pub(super) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    pub(super) fn error(&self, what: &'static str) -> TarError {
        let path = self.shown();
        TarError::Entry { path, what }
    }
}

/// What a client unpacks the archive with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unpacker {
    /// GNU tar, as control.tar: pax headers are passed over, and only a block of zeros is the end.
    Tar,
    /// dpkg itself, as data.tar: no pax headers, and any damaged header without a name is the end.
    Dpkg,
}

pub(super) struct Tar<R> {
    reader: R,
    unpacker: Unpacker,
    /// How many bytes came out of `reader`.
    at: u64,
    /// What is left of the last entry, and the padding after it.
    left: u64,
    padding: u64,
    last: String,
}

/// The fields of one header.
struct Header {
    name: Vec<u8>,
    link: Vec<u8>,
    kind: u8,
    size: u64,
}

impl<R: Read> Tar<R> {
    pub(super) fn new(reader: R, unpacker: Unpacker) -> Self {
        let last = String::new();
        Self {
            reader,
            unpacker,
            at: 0,
            left: 0,
            padding: 0,
            last,
        }
    }

    /// The next entry; nothing at the archive's end.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, TarError> {
        self.skip()?;
        let (mut long_name, mut long_link) = (None, None);
        loop {
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            match header.kind {
                b'L' => long_name = Some(self.long(&header)?),
                b'K' => long_link = Some(self.long(&header)?),
                b'x' | b'g' if self.unpacker == Unpacker::Tar => self.pass_over(&header)?,
                _ => {
                    let entry = entry(header, long_name, long_link)?;
                    self.left = entry.size;
                    self.padding = padding(entry.size);
                    self.last = entry.shown();
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// All bytes of the last entry, of which there may be at most `limit`; nothing if there are more.
    pub(super) fn bytes(&mut self, limit: u64) -> Result<Option<Vec<u8>>, TarError> {
        if self.left > limit {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        let wanted = self.left;
        self.read_some(wanted, &mut |part| bytes.extend_from_slice(part))?;
        self.left = 0;
        Ok(Some(bytes))
    }

    /// Reads to the end of `reader`, where the compressed stream's checksum is.
    pub(super) fn drain(mut self) -> Result<u64, TarError> {
        let rest = io::copy(&mut self.reader, &mut io::sink())?;
        Ok(self.at + rest)
    }

    fn skip(&mut self) -> Result<(), TarError> {
        let whole = self.left + self.padding;
        self.read_some(whole, &mut |_| {})?;
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    fn read_some(&mut self, mut wanted: u64, take: &mut dyn FnMut(&[u8])) -> Result<(), TarError> {
        let mut buffer = [0; 32 << 10];
        while wanted > 0 {
            let length = usize::try_from(wanted).unwrap_or(buffer.len()).min(buffer.len());
            let count = match self.reader.read(&mut buffer[..length]) {
                Ok(0) => return Err(TarError::Ends(self.last.clone())),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            take(&buffer[..count]);
            wanted -= count as u64;
            self.at += count as u64;
        }
        Ok(())
    }

    /// The next header block; nothing at the end.
    fn header(&mut self) -> Result<Option<Header>, TarError> {
        let mut block = [0; BLOCK];
        let mut have = 0;
        while have < BLOCK {
            match self.reader.read(&mut block[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(TarError::Ends("a tar header".into())),
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let at = self.at;
        self.at += BLOCK as u64;
        match decode(&block) {
            Ok(header) if header.name.is_empty() => Err(TarError::Header { at, what: "no name" }),
            Ok(header) => Ok(Some(header)),
            Err(_) if block == [0; BLOCK] => Ok(None),
            Err(_) if block[0] == 0 && self.unpacker == Unpacker::Dpkg => Ok(None),
            Err(what) => Err(TarError::Header { at, what }),
        }
    }

    /// The name that a GNU header of its own holds.
    fn long(&mut self, header: &Header) -> Result<Vec<u8>, TarError> {
        if header.size > LONGEST_NAME {
            return Err(TarError::Header {
                at: self.at,
                what: "a name of more than 4096 bytes",
            });
        }
        let mut name = self.extension(header.size)?;
        if let Some(end) = name.iter().position(|&byte| byte == 0) {
            name.truncate(end);
        }
        Ok(name)
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        let mut bytes = Vec::new();
        self.last = "a tar header".into();
        self.read_some(size, &mut |part| bytes.extend_from_slice(part))?;
        self.read_some(padding(size), &mut |_| {})?;
        Ok(bytes)
    }

    fn pass_over(&mut self, header: &Header) -> Result<(), TarError> {
        let refused = |what| TarError::Header { at: self.at, what };
        if header.size > LONGEST_PAX {
            return Err(refused("a pax header of more than 64 KiB"));
        }
        let refused = refused("a pax header that cannot be passed over");
        let records = self.extension(header.size)?;
        is_harmless(&records).then_some(()).ok_or(refused)
    }
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn entry(header: Header, long_name: Option<Vec<u8>>, long_link: Option<Vec<u8>>) -> Result<Entry, TarError> {
    let mut name = long_name.unwrap_or(header.name);
    let link = long_link.unwrap_or(header.link);
    let unsupported = match header.kind {
        b'x' | b'g' => Some("a pax header"),
        b'S' => Some("a sparse file"),
        b'M' | b'V' => Some("a part of several volumes"),
        b'X' | b'A' => Some("a Solaris header"),
        0 | b'0'..=b'6' => None,
        _ => Some("an entry of an unknown kind"),
    };
    let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    if let Some(what) = unsupported {
        let path = shown(&name);
        return Err(TarError::Kind { path, what });
    }
    let kind = match header.kind {
        b'1' => Kind::HardLink,
        b'2' => Kind::SymbolicLink,
        b'3' | b'4' | b'6' => Kind::Special,
        b'5' => Kind::Directory,
        // Before ustar, a directory was a file whose name ends in a slash.
        _ if name.ends_with(b"/") => Kind::Directory,
        _ => Kind::File,
    };
    if kind == Kind::Directory && name.len() > 1 && name.ends_with(b"/") {
        name.pop();
    }
    let entry = Entry {
        name,
        kind,
        link,
        size: header.size,
    };
    let problem = if entry.name.is_empty() {
        Some("has no name")
    } else if entry.name.contains(&b'\n') {
        Some("has a line break in its name")
    } else if entry.kind != Kind::File && entry.size != 0 {
        // Readers differ about whether bytes follow.
        Some("is no regular file and has a size")
    } else if matches!(entry.kind, Kind::HardLink | Kind::SymbolicLink) && entry.link.is_empty() {
        Some("is a link to nothing")
    } else {
        None
    };
    match problem {
        Some(what) => Err(entry.error(what)),
        None => Ok(entry),
    }
}

fn decode(block: &[u8; BLOCK]) -> Result<Header, &'static str> {
    let checksum = number(&block[148..156]).ok_or("a damaged checksum")?;
    let blank = 8 * u64::from(b' ');
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    if checksum != sum(&block[..148]) + blank + sum(&block[156..]) {
        return Err("a wrong checksum");
    }
    let text = |bytes: &[u8]| {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        bytes[..end].to_vec()
    };
    let mut name = text(&block[..100]);
    let is_ustar = &block[257..263] == b"ustar\0";
    if is_ustar && block[345] != 0 {
        let mut whole = text(&block[345..500]);
        whole.push(b'/');
        whole.append(&mut name);
        name = whole;
    }
    let size = number(&block[124..136]).ok_or("a damaged size")?;
    if size > 1 << 48 {
        return Err("an impossible size");
    }
    for (place, what) in [(108..116, "a damaged uid"), (116..124, "a damaged gid")] {
        let value = number(&block[place]).ok_or(what)?;
        if u32::try_from(value).is_err() {
            return Err(what);
        }
    }
    signed(&block[136..148]).ok_or("a damaged time")?;
    let kind = block[156];
    if matches!(kind, b'3' | b'4') {
        // Linux has 12 bits of major and 20 of minor numbers.
        let fits = |place: std::ops::Range<usize>, bits: u32| {
            number(&block[place]).is_some_and(|value| value >> bits == 0)
        };
        if !fits(329..337, 12) || !fits(337..345, 20) {
            return Err("an impossible device number");
        }
    }
    Ok(Header {
        name,
        link: text(&block[157..257]),
        kind,
        size,
    })
}

/// A number of a header: octal digits between blanks, or big-endian after a byte 0x80.
fn number(bytes: &[u8]) -> Option<u64> {
    if bytes[0] == 0x80 {
        let mut value: u64 = 0;
        for &byte in &bytes[1..] {
            value = value.checked_mul(256)?.checked_add(u64::from(byte))?;
        }
        return Some(value);
    }
    let start = bytes.iter().position(|&byte| byte != b' ')?;
    let bytes = &bytes[start..];
    let digits = bytes
        .iter()
        .position(|byte| matches!(byte, 0 | b' '))
        .unwrap_or(bytes.len());
    let (digits, rest) = bytes.split_at(digits);
    if rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| {
        let digit = (b'0'..=b'7').contains(&digit).then(|| u64::from(digit - b'0'))?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

/// A time, which may also be before 1970: negative after a byte 0xff.
fn signed(bytes: &[u8]) -> Option<()> {
    if bytes[0] == 0xff {
        return bytes[1..4].iter().all(|&byte| byte == 0xff).then_some(());
    }
    number(bytes).map(drop)
}

/// Whether pax records (`LENGTH KEY=VALUE` and a line break) say nothing that changes what is unpacked where.
fn is_harmless(records: &[u8]) -> bool {
    let Ok(mut text) = std::str::from_utf8(records) else {
        return false;
    };
    while !text.is_empty() {
        let record = text
            .split_once(' ')
            .and_then(|(length, _)| text.get(..length.parse().ok()?))
            .filter(|record| record.ends_with('\n'));
        let Some(key) = record
            .and_then(|record| record.split_once(' '))
            .and_then(|(_, record)| record.split_once('='))
            .map(|(key, _)| key)
        else {
            return false;
        };
        if ![
            "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment",
        ]
        .contains(&key)
        {
            return false;
        }
        text = &text[record.map_or(0, str::len)..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{Kind, Tar, Unpacker, is_harmless, number};

    fn block(name: &str, kind: u8, size: usize) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(size as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_link_name("x").unwrap();
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    fn error(archive: &[u8], unpacker: Unpacker) -> String {
        let mut tar = Tar::new(archive, unpacker);
        loop {
            match tar.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("taken"),
                Err(error) => return error.to_string(),
            }
        }
    }

    #[test]
    fn a_damaged_end_is_one_for_dpkg_and_none_for_tar() {
        let mut archive = block("./control", b'0', 0);
        archive.resize(3 * 512, 0);
        let read = |archive: &[u8], unpacker| {
            let mut tar = Tar::new(archive, unpacker);
            tar.next().unwrap();
            tar.next().map(|entry| entry.is_none())
        };
        assert!(read(&archive, Unpacker::Tar).unwrap());
        archive[512 + 207] = 8;
        assert!(read(&archive, Unpacker::Dpkg).unwrap());
        assert!(read(&archive, Unpacker::Tar).is_err());
    }

    #[test]
    fn what_dpkg_does_not_unpack_is_refused_with_its_name() {
        for (kind, what) in [
            (b'x', "a pax header"),
            (b'g', "a pax header"),
            (b'S', "a sparse file"),
            (b'V', "a part of several volumes"),
            (b'X', "a Solaris header"),
            (b'Z', "an entry of an unknown kind"),
        ] {
            let error = error(&block("./usr/x", kind, 0), Unpacker::Dpkg);
            assert_eq!(error, format!("\"./usr/x\" is {what}, which dpkg does not take"));
        }
    }

    #[test]
    fn a_long_name_counts_and_an_endless_one_is_not_read() {
        let long = "d/".repeat(200) + "f";
        let mut archive = block("././@LongLink", b'L', long.len() + 1);
        let mut name = long.clone().into_bytes();
        name.resize(512, 0);
        archive.extend(name);
        archive.extend(block("./short", b'0', 0));
        let entry = Tar::new(&archive[..], Unpacker::Dpkg).next().unwrap().unwrap();
        assert_eq!((entry.shown(), entry.kind), (long, Kind::File));
        let archive = block("././@LongLink", b'L', 3 << 30);
        assert!(error(&archive, Unpacker::Dpkg).contains("more than 4096 bytes"));
    }

    #[test]
    fn pax_headers_may_tell_times_and_owners_but_no_names() {
        assert!(is_harmless(b"20 mtime=1700000.25\n"));
        assert!(!is_harmless(b"12 path=abc\n"));
        assert!(!is_harmless(b"16 GNU.sparse=1\n"));
        assert!(!is_harmless(b"99 mtime=1\n"));
        assert!(!is_harmless(b"rubbish"));
    }

    #[test]
    fn numbers_are_read_as_dpkg_reads_them() {
        assert_eq!(number(b"0000017\0"), Some(15));
        assert_eq!(number(b"    17 \0"), Some(15));
        assert_eq!(number(b"\0\0\0\0\0\0\0\0"), Some(0));
        assert_eq!(number(b"\x80\0\0\0\0\0\x01\0"), Some(256));
        for bad in [b"        ", b"0000018\0", b"17\0\0\0\0\0x", b"-000001\0"] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }
}
