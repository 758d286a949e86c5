//! One package after another, each with up to two things that are odd.

use std::fmt;

use super::build::{Entry, ar, pack, tar};
use super::values::{ARCHITECTURES, FIELDS, NAMES, VERSIONS};

/// xorshift64: the same seed gives the same packages.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % end as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

pub(crate) struct Case {
    index: u64,
    oddities: Vec<String>,
    pub(crate) bytes: Vec<u8>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.file(), self.oddities)
    }
}

/// A package while it is being put together.
struct Parts {
    control: Vec<u8>,
    beside: Vec<Entry>,
    files: Vec<Entry>,
    control_end: Vec<u8>,
    data_end: Vec<u8>,
    ustar: bool,
    format: Vec<u8>,
    endings: [&'static str; 2],
    members: Vec<(usize, String, Vec<u8>)>,
}

impl Case {
    pub(crate) fn file(&self) -> String {
        format!("d{:05}.deb", self.index)
    }

    pub(crate) fn make(index: u64, random: &mut Random) -> Self {
        let name = format!("d{index:05}");
        let mut parts = Parts::of(&name, random);
        let mut oddities = Vec::new();
        for _ in 0..[1, 1, 1, 2][random.below(4)] {
            oddities.push(match random.below(10) {
                0..=3 => parts.odd_control(random),
                4..=5 => parts.odd_file(&name, random),
                6 => parts.odd_beside(random),
                7 => parts.odd_tar(random),
                8 => parts.odd_member(random),
                _ => "as it is".to_owned(),
            });
        }
        let mut bytes = parts.build();
        if random.below(12) == 0 {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => {
                    bytes.truncate(at);
                    oddities.push(format!("cut at {at}"));
                }
                1 => {
                    bytes.extend_from_slice(random.pick::<&[u8]>(&[
                        &b"x"[..],
                        b"\n",
                        b"\n\n",
                        b"garbage",
                        &[0; 1024],
                    ]));
                    oddities.push("bytes behind it".to_owned());
                }
                _ => {
                    bytes[at] ^= 1 << random.below(8);
                    oddities.push(format!("byte {at} of {} changed", bytes.len()));
                }
            }
        }
        Self {
            index,
            oddities,
            bytes,
        }
    }
}

impl Parts {
    fn of(name: &str, random: &mut Random) -> Self {
        let files = [
            ("./", b'5', &b""[..]),
            ("./usr/", b'5', b""),
            ("./usr/share/", b'5', b""),
            (&format!("./usr/share/{name}/"), b'5', b""),
            (&format!("./usr/share/{name}/file"), b'0', b"some bytes\n"),
        ]
        .map(|(name, kind, bytes)| Entry::new(name, kind, bytes));
        let endings = ["", ".gz", ".xz", ".zst"];
        Self {
            control: format!(
                "Package: {name}\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: short\n long\n"
            )
            .into_bytes(),
            beside: Vec::new(),
            files: files.to_vec(),
            control_end: vec![0; 1024],
            data_end: vec![0; 1024],
            ustar: random.below(4) == 0,
            format: b"2.0\n".to_vec(),
            endings: [*random.pick(&endings), *random.pick(&endings)],
            members: Vec::new(),
        }
    }

    fn odd_control(&mut self, random: &mut Random) -> String {
        let text = String::from_utf8_lossy(&self.control).into_owned();
        let replace =
            |from: &str, to: &str| (text.replacen(from, to, 1).into_bytes(), format!("control {to:?}"));
        let insert = |random: &mut Random, line: &str| {
            let at = random.pick(&["Version:", "Maintainer:", "Description:"]);
            (
                text.replacen(at, &format!("{line}\n{at}"), 1).into_bytes(),
                format!("control has {line:?}"),
            )
        };
        let (control, oddity) = match random.below(16) {
            0..=8 => {
                let line = *random.pick(FIELDS);
                insert(random, line)
            }
            9 => replace("Version: 1.0", &format!("Version: {}", random.pick(VERSIONS))),
            10 => replace(
                "Architecture: all",
                &format!("Architecture: {}", random.pick(ARCHITECTURES)),
            ),
            11 => {
                let name = text.lines().next().unwrap_or_default().to_owned();
                replace(&name, &format!("Package: {}", random.pick(NAMES)))
            }
            12 => {
                let gone = *random.pick(&[
                    "Version: 1.0\n",
                    "Architecture: all\n",
                    "Maintainer: A <a@example.org>\n",
                    "Description: short\n long\n",
                ]);
                (
                    text.replacen(gone, "", 1).into_bytes(),
                    format!("control without {gone:?}"),
                )
            }
            13 => {
                let end = *random.pick(&[
                    "",
                    "\n\n",
                    "\n\nPackage: x\n",
                    "\n \n",
                    "\n \u{a0}\n",
                    "\n#x\n",
                    "\r\n",
                    "\n\n\n\n",
                    "\n\t\n\n",
                    "\u{1a}",
                ]);
                (
                    format!("{}{end}", text.trim_end()).into_bytes(),
                    format!("control ends {end:?}"),
                )
            }
            14 => {
                let start = *random.pick(&["\n", "\n\n", " ", " x\n", "\u{feff}", "#x\n", "\t\n", "\r\n"]);
                (
                    format!("{start}{text}").into_bytes(),
                    format!("control starts {start:?}"),
                )
            }
            _ => match random.below(3) {
                0 => (
                    text.replace('\n', "\r\n").into_bytes(),
                    "control has CR LF".to_owned(),
                ),
                1 => {
                    let mut bytes = text.into_bytes();
                    let at = random.below(bytes.len());
                    bytes[at] = *random.pick(&[0, 0x80, 0xff, b'\t', b'\n', 0x7f, 0x1b, b':']);
                    let byte = bytes[at];
                    (bytes, format!("control byte {at} is {byte:#x}"))
                }
                _ => {
                    let size = *random.pick(&[1000, 30_000, 60_000]);
                    let lines = " .\n".repeat(size / 3);
                    (
                        format!("{text}{lines}").into_bytes(),
                        format!("a description of {size} bytes"),
                    )
                }
            },
        };
        self.control = control;
        oddity
    }

    fn odd_file(&mut self, name: &str, random: &mut Random) -> String {
        let here = format!("./usr/share/{name}");
        let file = format!("{here}/file");
        let long = format!("{here}/{}", "n".repeat(150));
        let mut entry = match random.below(28) {
            0 => Entry::link(&format!("{here}/l"), b'2', "file"),
            1 => Entry::link(&format!("{here}/l"), b'2', "../../../../../x"),
            2 => Entry::link(&format!("{here}/l"), b'1', &file),
            3 => Entry::link(&format!("{here}/l"), b'1', file.trim_start_matches("./")),
            4 => Entry::link(&format!("{here}/l"), b'1', &format!("/usr/share/{name}/file")),
            5 => Entry::link(&format!("{here}/l"), b'1', "./nowhere"),
            6 => Entry::link(&format!("{here}/l"), b'1', &here),
            7 => Entry::new(&format!("{here}/d"), *random.pick(b"346"), b""),
            8 => Entry::new(&format!("{here}/k"), *random.pick(b"7xgSVMXAZD N"), b""),
            9 => Entry::new(
                &format!("{here}/k"),
                *random.pick(b"7xgSVMXA"),
                b"20 mtime=1700000.25\n",
            ),
            10 => Entry::new(&file, b'0', b"again"),
            11 => Entry::new(&file, b'5', b""),
            12 => Entry::new(&here, b'0', b"no directory"),
            13 => Entry::new(&format!("{file}/below"), b'0', b"x"),
            14 => Entry::new(&format!("usr/share/{name}/plain"), b'0', b"x"),
            15 => Entry::new(&format!("/usr/share/{name}/slash"), b'0', b"x"),
            16 => Entry::new(&format!("{here}//two"), b'0', b"x"),
            17 => Entry::new(&format!("{here}/./dot"), b'0', b"x"),
            18 => Entry::new(&format!("{here}/sub/../up"), b'0', b"x"),
            19 => Entry::new("", b'0', b""),
            20 => Entry::new(&format!("{here}/a\nb"), b'0', b"x"),
            21 => Entry::new(&format!("{here}/old"), 0, b"x"),
            22 => Entry::new(&format!("{here}/dir/"), *random.pick(&[0, b'0', b'5']), b""),
            23 => Entry::new(&long, b'0', b"x"),
            24 => Entry::new(&format!("{here}/\u{e9}\u{3000} "), b'0', b"x"),
            25 => Entry::new(
                &format!("{here}/size"),
                *random.pick(b"25136"),
                b"bytes of no file",
            ),
            26 => {
                let deep = |depth| Entry::new(&format!("{here}/{}", "d/".repeat(depth)), b'5', b"");
                self.files.extend((1..60).map(deep));
                deep(60)
            }
            _ => Entry::new(&format!("{here}/odd"), b'0', b"x"),
        };
        if random.below(4) == 0 {
            self.patch(&mut entry, random);
        }
        let oddity = format!(
            "file {:?} kind {:?} link {:?} {:?}",
            String::from_utf8_lossy(&entry.name),
            entry.kind as char,
            entry.link,
            entry.patches
        );
        self.files.push(entry);
        self.files
            .push(Entry::new(&format!("{here}/last"), b'0', b"the last\n"));
        oddity
    }

    /// Odd numbers in a header.
    #[allow(clippy::unused_self)]
    fn patch(&self, entry: &mut Entry, random: &mut Random) {
        let places = [(100, 8), (108, 8), (116, 8), (136, 12), (257, 8), (329, 8)];
        let (at, length) = *random.pick(&places);
        let texts: [&[u8]; 12] = [
            b"",
            b"        ",
            b"0000755 ",
            b"   755 ",
            b"0000758\0",
            b"-1\0",
            b"\x80\0\0\0\0\0\x01\xed",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
            b"755\0x",
            b"755 0",
            b"\x80\xff\xff\xff\xff\xff\xff\xff",
            b"77777777",
        ];
        let mut patch = random.pick(&texts).to_vec();
        patch.resize(length, if patch.first() == Some(&b' ') { b' ' } else { 0 });
        entry.patches.push((at, patch));
        entry.break_checksum = random.below(8) == 0;
    }

    fn odd_beside(&mut self, random: &mut Random) -> String {
        let sum = "d41d8cd98f00b204e9800998ecf8427e";
        let texts: &[(&str, String)] = &[
            ("conffiles", "/etc/a\n".into()),
            ("conffiles", "/etc/a".into()),
            ("conffiles", "etc/a\n".into()),
            ("conffiles", "\n/etc/a\n\n".into()),
            ("conffiles", "/etc/a  \n".into()),
            ("conffiles", " /etc/a\n".into()),
            ("conffiles", "remove-on-upgrade /etc/b\n".into()),
            ("conffiles", "remove-on-upgrade/etc/b\n".into()),
            ("conffiles", "obsolete /etc/b\n".into()),
            ("conffiles", "remove-on-upgrade\n".into()),
            ("conffiles", "/etc/a\n/etc/a\n".into()),
            ("conffiles", format!("/etc/{}\n", "a".repeat(998))),
            ("conffiles", String::new()),
            ("conffiles", "# x\n".into()),
            ("md5sums", format!("{sum}  usr/share/x\n")),
            ("md5sums", format!("{sum}  usr/share/x")),
            ("md5sums", format!("{sum} usr/share/x\n")),
            ("md5sums", format!("{sum} *usr/share/x\n")),
            ("md5sums", format!("{sum}\n")),
            ("md5sums", format!("{sum}  \n")),
            ("md5sums", "xx  usr/share/x\n".into()),
            ("md5sums", format!("{}  usr/share/x\n", "z".repeat(32))),
            ("md5sums", "\n".into()),
            ("md5sums", String::new()),
            ("md5sums", format!("{sum}  /usr/share/x\n{sum}  ./y\n")),
            ("md5sums", format!("{}  x\n", sum.to_uppercase())),
            ("triggers", "interest /usr/share/x\n".into()),
            ("triggers", "interest-noawait /usr/share/x".into()),
            ("triggers", "activate-noawait ldconfig\n# x\n\n".into()),
            ("triggers", "intrest x\n".into()),
            ("triggers", "interest\n".into()),
            ("triggers", "interest a b\n".into()),
            ("triggers", "activate /a/ # x\n".into()),
            ("triggers", "interest /a//b\n".into()),
            ("triggers", "interest a/b\n".into()),
            ("triggers", "activate \u{e9}\n".into()),
            ("triggers", "interest-await\tx\n".into()),
            ("shlibs", "rubbish".into()),
            ("symbols", "rubbish".into()),
            ("templates", "rubbish".into()),
            ("list", "x".into()),
            ("control", "Package: second\n".into()),
        ];
        let (name, text) = random.pick(texts);
        self.beside
            .push(Entry::new(&format!("./{name}"), b'0', text.as_bytes()));
        format!("{name} {:?}", text.chars().take(60).collect::<String>())
    }

    fn odd_tar(&mut self, random: &mut Random) -> String {
        match random.below(9) {
            0 => {
                self.data_end = vec![0; *random.pick(&[0, 512, 10_240])];
                format!("data.tar ends with {} zeros", self.data_end.len())
            }
            1 => {
                self.data_end = random
                    .pick(&[&b"x"[..], &[b'x'; 512], &[b'x'; 700], &[0; 100]])
                    .to_vec();
                format!("data.tar ends with {} bytes", self.data_end.len())
            }
            2 => {
                self.data_end.extend_from_slice(&[b'x'; 600]);
                "bytes behind the end of data.tar".to_owned()
            }
            3 => {
                self.control_end = vec![0; *random.pick(&[0, 512, 10_240])];
                format!("control.tar ends with {} zeros", self.control_end.len())
            }
            4 => {
                self.files.truncate(4);
                "no files".to_owned()
            }
            5 => {
                self.files.remove(0);
                "no ./".to_owned()
            }
            6 => {
                self.beside
                    .push(Entry::new("./PaxHeaders/control", b'x', b"20 mtime=1700000.25\n"));
                "a pax header of a time in control.tar".to_owned()
            }
            7 => {
                let at = random.below(self.files.len());
                let mut entry = self.files.remove(at);
                self.patch(&mut entry, random);
                let oddity = format!("header {:?} {}", entry.patches, entry.break_checksum);
                self.files.insert(at, entry);
                oddity
            }
            _ => {
                let at = 124;
                let last = self.files.len() - 1;
                let size: &[u8] = random.pick::<&[u8]>(&[
                    &b"77777777777\0"[..],
                    b"00000000013 ",
                    b"          13",
                    b"\x80\0\0\0\0\0\0\0\0\0\0\x0b",
                    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                ]);
                self.files[last].patches.push((at, size.to_vec()));
                format!("size {size:?}")
            }
        }
    }

    fn odd_member(&mut self, random: &mut Random) -> String {
        let members = [
            "_gpgorigin",
            "_x",
            "extra",
            "debian-binary",
            "control.tar.gz",
            "data.tar",
            "_toolongfornames",
            "a/b",
            "",
        ];
        match random.below(6) {
            0..=2 => {
                let name = (*random.pick(&members)).to_owned();
                let at = random.below(4);
                let oddity = format!("member {name:?} at {at}");
                self.members.push((at, name, b"rubbish".to_vec()));
                oddity
            }
            3 => {
                self.format = random
                    .pick(&[
                        &b"2.1\n"[..],
                        b"2.0",
                        b"3.0\n",
                        b"2.0\nmore\n",
                        b"",
                        b"2\n",
                        b"2.x\n",
                        b" 2.0\n",
                        b"2.0 \n",
                    ])
                    .to_vec();
                format!("debian-binary {:?}", String::from_utf8_lossy(&self.format))
            }
            4 => {
                self.endings[1] = *random.pick(&[".bz2", ".lzma", ".Z", ".zip", ".gz2"]);
                format!("data.tar{}", self.endings[1])
            }
            _ => {
                self.endings[0] = *random.pick(&[".bz2", ".lzma", ".x"]);
                format!("control.tar{}", self.endings[0])
            }
        }
    }

    fn build(&self) -> Vec<u8> {
        let mut control = vec![Entry::new("./", b'5', b"")];
        let is_pax = |entry: &&Entry| entry.kind == b'x';
        control.extend(self.beside.iter().filter(is_pax).cloned());
        control.push(Entry::new("./control", b'0', &self.control));
        control.extend(self.beside.iter().filter(|entry| !is_pax(entry)).cloned());
        let [control_ending, data_ending] = self.endings;
        let mut members = vec![
            ("debian-binary".to_owned(), self.format.clone()),
            (
                format!("control.tar{control_ending}"),
                pack(control_ending, &tar(&control, false, &self.control_end)),
            ),
            (
                format!("data.tar{data_ending}"),
                pack(data_ending, &tar(&self.files, self.ustar, &self.data_end)),
            ),
        ];
        for (at, name, bytes) in &self.members {
            members.insert(*at, (name.clone(), bytes.clone()));
        }
        ar(&members)
    }
}
