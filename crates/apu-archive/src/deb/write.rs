//! Writing a .deb: the same input gives the same bytes, on every machine and on every day.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use apu_debian::hex;
use liblzma::write::XzEncoder;
use md5::{Digest, Md5};
use thiserror::Error;

use super::ar;
use super::control::Control;

/// Why a .deb could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// A path that dpkg would not take, or that is longer than a tar header holds.
    #[error("{0:?} cannot be a path in a package")]
    Path(String),
    /// The compressor.
    #[error("cannot compress")]
    Compress(#[from] io::Error),
}

struct PackagedFile {
    mode: u32,
    bytes: Vec<u8>,
}

/// A package in the making.
pub struct DebWriter {
    control: Control,
    mtime: u64,
    files: BTreeMap<String, PackagedFile>,
    scripts: BTreeMap<&'static str, String>,
}

impl DebWriter {
    /// A package with this control file (Installed-Size is added); every file gets `mtime`.
    #[must_use]
    pub fn new(control: Control, mtime: u64) -> Self {
        Self {
            control,
            mtime,
            files: BTreeMap::new(),
            scripts: BTreeMap::new(),
        }
    }

    /// Adds a file; `path` is below the root and has no leading slash. What lies in `etc/` is a conffile.
    pub fn file(&mut self, path: &str, mode: u32, bytes: Vec<u8>) -> Result<(), WriteError> {
        let parts_are_plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        // "./" before it and a header's name field of 100 bytes.
        if !parts_are_plain || path.len() > 97 || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WriteError::Path(path.to_owned()));
        }
        self.files.insert(path.to_owned(), PackagedFile { mode, bytes });
        Ok(())
    }

    /// Adds a maintainer script: preinst, postinst, prerm or postrm.
    pub fn script(&mut self, name: &'static str, text: impl Into<String>) {
        self.scripts.insert(name, text.into());
    }

    /// The package's bytes.
    pub fn build(&self) -> Result<Vec<u8>, WriteError> {
        let mut out = ar::start();
        ar::append(&mut out, "debian-binary", self.mtime, b"2.0\n");
        ar::append(&mut out, "control.tar.xz", self.mtime, &xz(&self.control_tar()?)?);
        ar::append(&mut out, "data.tar.xz", self.mtime, &xz(&self.data_tar()?)?);
        Ok(out)
    }

    fn directories(&self) -> BTreeSet<String> {
        let mut directories = BTreeSet::new();
        for path in self.files.keys() {
            directories.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        }
        directories
    }

    fn control_text(&self) -> String {
        // As dpkg-gencontrol counts: files in whole KiB, one for everything else.
        let files: usize = self
            .files
            .values()
            .map(|file| file.bytes.len().div_ceil(1024))
            .sum();
        let size = files + self.directories().len() + 1;
        let mut text = String::new();
        for (name, value) in self
            .control
            .fields()
            .filter(|(name, _)| *name != "Installed-Size")
        {
            // Description stands last, as dpkg-gencontrol does it.
            if name == "Description" {
                text.push_str(&format!("Installed-Size: {size}\n"));
            }
            text.push_str(&format!("{name}: {value}\n"));
        }
        text
    }

    fn control_tar(&self) -> Result<Vec<u8>, WriteError> {
        let mut tar = self.tar()?;
        let conffiles: String = self
            .files
            .keys()
            .filter(|path| path.starts_with("etc/"))
            .map(|path| format!("/{path}\n"))
            .collect();
        if !conffiles.is_empty() {
            self.append(&mut tar, "conffiles", 0o644, conffiles.as_bytes())?;
        }
        self.append(&mut tar, "control", 0o644, self.control_text().as_bytes())?;
        let sums: String = self
            .files
            .iter()
            .filter(|(path, _)| !path.starts_with("etc/"))
            .map(|(path, file)| format!("{}  {path}\n", hex::encode(&Md5::digest(&file.bytes))))
            .collect();
        self.append(&mut tar, "md5sums", 0o644, sums.as_bytes())?;
        for (name, text) in &self.scripts {
            self.append(&mut tar, name, 0o755, text.as_bytes())?;
        }
        Ok(tar.into_inner()?)
    }

    fn data_tar(&self) -> Result<Vec<u8>, WriteError> {
        let mut tar = self.tar()?;
        let files = self.files.iter().map(|(path, file)| (path.clone(), Some(file)));
        let directories = self
            .directories()
            .into_iter()
            .map(|path| (format!("{path}/"), None));
        // Sorted by name, so that a directory stands before what is in it.
        for (path, file) in files.chain(directories).collect::<BTreeMap<_, _>>() {
            match file {
                Some(file) => self.append(&mut tar, &path, file.mode, &file.bytes)?,
                None => self.append(&mut tar, &path, 0o755, b"")?,
            }
        }
        Ok(tar.into_inner()?)
    }

    fn tar(&self) -> Result<tar::Builder<Vec<u8>>, WriteError> {
        let mut tar = tar::Builder::new(Vec::new());
        self.append(&mut tar, "", 0o755, b"")?;
        Ok(tar)
    }

    /// One entry; an empty path or a final slash is a directory.
    fn append(
        &self,
        tar: &mut tar::Builder<Vec<u8>>,
        path: &str,
        mode: u32,
        bytes: &[u8],
    ) -> Result<(), WriteError> {
        let mut header = tar::Header::new_gnu();
        let name = format!("./{path}");
        // The tar crate's own set_path would drop the "./" that dpkg-deb writes.
        if let Some(gnu) = header.as_gnu_mut() {
            gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        }
        let is_directory = path.is_empty() || path.ends_with('/');
        header.set_entry_type(if is_directory {
            tar::EntryType::Directory
        } else {
            tar::EntryType::Regular
        });
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        header.set_mtime(self.mtime);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        Ok(tar.append(&header, bytes)?)
    }
}

fn xz(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = XzEncoder::new(Vec::new(), 6);
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::DebWriter;

    fn writer() -> DebWriter {
        let control = "Package: apu-test\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\n\
                       Description: a test\n of the writer\n";
        let mut writer = DebWriter::new(control.parse().unwrap(), 1_700_000_000);
        writer
            .file("usr/share/apu-test/hello", 0o644, b"hello\n".to_vec())
            .unwrap();
        writer
            .file("etc/apu-test.conf", 0o644, b"x=1\n".to_vec())
            .unwrap();
        writer.script("postinst", "#!/bin/sh\nset -e\n");
        writer
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        assert_eq!(writer().build().unwrap(), writer().build().unwrap());
    }

    #[test]
    fn dpkg_deb_reads_what_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.deb");
        std::fs::write(&path, writer().build().unwrap()).unwrap();
        let dpkg_deb = |args: &[&str]| {
            let output = Command::new("dpkg-deb").args(args).arg(&path).output().unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8(output.stdout).unwrap()
        };
        let files = dpkg_deb(&["--contents"]);
        let names: Vec<&str> = files
            .lines()
            .filter_map(|line| line.split_whitespace().nth(5))
            .collect();
        assert_eq!(
            names,
            [
                "./",
                "./etc/",
                "./etc/apu-test.conf",
                "./usr/",
                "./usr/share/",
                "./usr/share/apu-test/",
                "./usr/share/apu-test/hello"
            ]
        );
        assert!(files.contains("drwxr-xr-x root/root"), "{files}");
        let control = dpkg_deb(&["--field"]);
        assert!(
            control.contains("Installed-Size: 7\nDescription: a test\n of the writer"),
            "{control}"
        );
        let sums = Command::new("dpkg-deb")
            .arg("--info")
            .arg(&path)
            .arg("md5sums")
            .output()
            .unwrap()
            .stdout;
        assert_eq!(
            String::from_utf8(sums).unwrap(),
            "b1946ac92492d2347c6235b4d2611184  usr/share/apu-test/hello\n"
        );
    }

    #[test]
    fn paths_that_leave_the_root_are_not_written() {
        for path in ["../x", "/etc/x", "usr//x", "usr/./x", "", "a b"] {
            assert!(writer().file(path, 0o644, Vec::new()).is_err(), "{path:?}");
        }
    }
}
