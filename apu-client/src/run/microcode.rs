//! Finds out whether a reboot would bring newer microcode to the processor.
//!
//! The kernel loads microcode early, so what a package brings takes effect with the next boot. A file counts only where it has
//! changed since the machine started: one that the processor or its settings did not take then would not be taken again either.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::os::paths::ClientPaths;

/// Maximal size of a file that is read, in bytes; the largest of Intel's have some 100 KB.
const MAX_SIZE: u64 = 4 * 1024 * 1024;

/// The size of the header of an Intel update, and of a whole one whose header names none.
const HEADER: usize = 48;
const DEFAULT_SIZE: usize = 2048;

/// Whether newer microcode was installed since the machine started. Never of a virtual machine, whose host loads it.
pub(crate) fn is_newer_installed(paths: &ClientPaths) -> bool {
    is_newer(paths).unwrap_or(false)
}

/// The same; none where it cannot be told.
fn is_newer(paths: &ClientPaths) -> Option<bool> {
    let processor = Processor::parse(&bounded(paths, "/proc/cpuinfo")?)?;
    let file = processor.file()?;
    let changed = fs::metadata(paths.path(&file.to_string_lossy())).ok()?.ctime();
    if changed <= booted(&bounded(paths, "/proc/stat")?)? {
        return Some(false);
    }
    if processor.vendor != "GenuineIntel" {
        // AMD's files are of a whole family.
        return Some(true);
    }
    let number = |name: &str| {
        let text = bounded(paths, &format!("/sys/devices/system/cpu/cpu0/microcode/{name}"))?;
        u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()
    };
    let mut bytes = Vec::new();
    let file = File::open(paths.path(&file.to_string_lossy())).ok()?;
    file.take(MAX_SIZE).read_to_end(&mut bytes).ok()?;
    let newest = newest_revision(&bytes, number("processor_flags")?)?;
    Some(newest > number("version")?)
}

fn bounded(paths: &ClientPaths, path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let file = File::open(paths.path(path)).ok()?;
    file.take(MAX_SIZE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// When the machine started, in seconds since 1970, by /proc/stat.
fn booted(stat: &str) -> Option<i64> {
    stat.lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()
}

/// The first processor of /proc/cpuinfo.
#[derive(Debug, PartialEq, Eq)]
struct Processor {
    vendor: String,
    family: u32,
    model: u32,
    stepping: u32,
}

impl Processor {
    /// None for other architectures, and in a virtual machine.
    fn parse(cpuinfo: &str) -> Option<Self> {
        let first = cpuinfo.split("\n\n").next()?;
        let field = |name: &str| {
            first.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                (key.trim() == name).then_some(value.trim())
            })
        };
        if field("flags")?.split(' ').any(|flag| flag == "hypervisor") {
            return None;
        }
        Some(Self {
            vendor: field("vendor_id")?.to_owned(),
            family: field("cpu family")?.parse().ok()?,
            model: field("model")?.parse().ok()?,
            stepping: field("stepping")?.parse().ok()?,
        })
    }

    /// Where the packages intel-microcode and amd64-microcode put its microcode.
    fn file(&self) -> Option<PathBuf> {
        let directory = "/lib/firmware";
        let (family, model, stepping) = (self.family, self.model, self.stepping);
        match self.vendor.as_str() {
            "GenuineIntel" => {
                Some(format!("{directory}/intel-ucode/{family:02x}-{model:02x}-{stepping:02x}").into())
            }
            "AuthenticAMD" if family < 0x15 => {
                Some(format!("{directory}/amd-ucode/microcode_amd.bin").into())
            }
            "AuthenticAMD" => {
                Some(format!("{directory}/amd-ucode/microcode_amd_fam{family:02x}h.bin").into())
            }
            _ => None,
        }
    }
}

/// The newest revision of a file of Intel's for a processor with these platform flags; none where the file is not understood, or
/// has none for it.
fn newest_revision(mut bytes: &[u8], platform: u32) -> Option<u32> {
    let mut newest = None;
    while !bytes.is_empty() {
        let field = |place: usize| {
            let bytes = bytes.get(place * 4..place * 4 + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        // The header has: version, revision, date, processor, checksum, loader, platforms, size of the data, size of all.
        let (version, revision, platforms, data, all) =
            (field(0)?, field(1)?, field(6)?, field(7)?, field(8)?);
        let size = match (data, all) {
            (0, _) => DEFAULT_SIZE,
            (_, all) => usize::try_from(all).ok()?,
        };
        if version != 1 || size < HEADER || size > bytes.len() {
            return None;
        }
        // A processor without platforms takes any.
        if platform == 0 || platforms & platform != 0 {
            newest = newest.max(Some(revision));
        }
        bytes = &bytes[size..];
    }
    newest
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPUINFO: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 142\nmodel name\t: x\n\
                           stepping\t: 10\nmicrocode\t: 0xf4\nflags\t\t: fpu vme\n\nprocessor\t: 1\n";

    fn update(revision: u32, platforms: u32, size: u32) -> Vec<u8> {
        let header = [
            1,
            revision,
            0x2024_0101,
            0x806ea,
            0,
            1,
            platforms,
            size - 48,
            size,
            0,
            0,
            0,
        ];
        let mut bytes: Vec<u8> = header
            .iter()
            .flat_map(|field: &u32| field.to_le_bytes())
            .collect();
        bytes.resize(size as usize, 0);
        bytes
    }

    /// A machine that started at this time, on a processor with revision 0xf4 for platform 0x80, and with this file.
    fn machine(btime: i64, cpuinfo: &str, file: &[u8]) -> (tempfile::TempDir, ClientPaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        for (path, bytes) in [
            ("/proc/cpuinfo", cpuinfo.as_bytes()),
            ("/proc/stat", format!("cpu 1 2\nbtime {btime}\n").as_bytes()),
            ("/sys/devices/system/cpu/cpu0/microcode/version", b"0xf4\n"),
            (
                "/sys/devices/system/cpu/cpu0/microcode/processor_flags",
                b"0x80\n",
            ),
            ("/lib/firmware/intel-ucode/06-8e-0a", file),
            ("/lib/firmware/amd-ucode/microcode_amd_fam19h.bin", b"x"),
        ] {
            fs::create_dir_all(paths.path(path).parent().unwrap()).unwrap();
            fs::write(paths.path(path), bytes).unwrap();
        }
        (root, paths)
    }

    #[test]
    fn microcode_counts_where_it_is_newer_for_this_platform_and_came_after_the_boot() {
        let both = [update(0xf6, 0x80, 2048), update(0xff, 0x02, 4096)].concat();
        let amd = CPUINFO
            .replace("GenuineIntel", "AuthenticAMD")
            .replace(": 6\n", ": 25\n");
        let guest = CPUINFO.replace("fpu vme", "fpu hypervisor vme");
        let later = i64::from(u32::MAX);
        for (btime, cpuinfo, file, expected) in [
            (1, CPUINFO, both.clone(), true),
            (later, CPUINFO, both.clone(), false),
            (1, CPUINFO, update(0xf4, 0x80, 2048), false),
            (1, CPUINFO, update(0xff, 0x02, 2048), false),
            (1, &guest, both.clone(), false),
            (1, &amd, both.clone(), true),
            (later, &amd, both.clone(), false),
            (1, CPUINFO, both[..3000].to_vec(), false),
            (1, "processor: 0\nBogoMIPS: 1\n", both, false),
        ] {
            let (_root, paths) = machine(btime, cpuinfo, &file);
            assert_eq!(is_newer_installed(&paths), expected, "{btime} {cpuinfo}");
        }
    }

    #[test]
    fn no_bytes_keep_the_reader_from_its_end() {
        for bytes in [&[0; 7][..], &[255; 4096], &[]] {
            assert_eq!(newest_revision(bytes, 1), None);
        }
        let mut endless = update(1, 1, 2048);
        endless[32..36].fill(0);
        assert_eq!(newest_revision(&endless, 1), None);
    }
}
