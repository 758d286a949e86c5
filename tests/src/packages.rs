//! The test packages: `tests/packages/NAME/` becomes one .deb for each line of its `releases`.
//!
//! `control`, maintainer scripts and `templates` lie in the folder itself, the package's files below `files/`. In all of
//! them, names included, `@NAME@`, `@VERSION@`, `@ARCH@` and each `@WORD@` of the line stand for their values. A line with
//! `BYTES=…` makes a package that is as large.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::tool;

/// Where the sources lie.
pub(crate) const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packages");

/// Builds every release of every package into a folder.
pub fn build_all(into: &Path) -> Result<()> {
    let architecture = tool::run(Command::new("dpkg").arg("--print-architecture"))?;
    for source in fs::read_dir(SOURCES).with_context(|| format!("cannot read {SOURCES}"))? {
        let source = source?.path();
        let releases = source.join("releases");
        let text =
            fs::read_to_string(&releases).with_context(|| format!("cannot read {}", releases.display()))?;
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let release = Release::parse(line, architecture.trim())
                .with_context(|| format!("{}: not a release: {line}", releases.display()))?;
            build(&source, &release, into)?;
        }
    }
    Ok(())
}

/// The bytes of a package that a test brings along itself, built by dpkg-deb: `control` is its control file, and it holds
/// one file, `/usr/share/NAME/version`.
///
/// # Errors
/// For a control file that dpkg-deb does not take.
pub fn deb(control: &str) -> Result<Vec<u8>> {
    let field = |name: &str| {
        let value = control.lines().find_map(|line| line.strip_prefix(name));
        value
            .map(str::trim)
            .with_context(|| format!("no {name} in {control}"))
    };
    let tree = tempfile::tempdir()?;
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755))?;
    let share = tree.path().join("root/usr/share").join(field("Package:")?);
    fs::create_dir_all(&share)?;
    fs::write(share.join("version"), field("Version:")?)?;
    let root = tree.path().join("root");
    fs::create_dir(root.join("DEBIAN"))?;
    fs::write(root.join("DEBIAN/control"), control)?;
    let to = tree.path().join("made.deb");
    let mut dpkg_deb = Command::new("dpkg-deb");
    dpkg_deb
        .args(["--root-owner-group", "--build", "-Zxz", "-z0"])
        .arg(&root)
        .arg(&to);
    tool::run(&mut dpkg_deb)?;
    Ok(fs::read(to)?)
}

/// What `@WORD@` stands for in one release.
struct Release(Vec<(String, String)>);

impl Release {
    fn parse(line: &str, architecture: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let own = |word: &str, value: &str| (format!("@{word}@"), value.to_owned());
        let mut values = vec![
            own("NAME", words.next()?),
            own("VERSION", words.next()?),
            own("ARCH", architecture),
        ];
        for word in words {
            let (word, value) = word.split_once('=')?;
            values.push(own(word, value));
        }
        Some(Self(values))
    }

    fn value(&self, word: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == word);
        found.map(|(_, value)| value.as_str())
    }

    fn fill_in(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
    }
}

fn build(source: &Path, release: &Release, into: &Path) -> Result<()> {
    let tree = tempfile::tempdir()?;
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755))?;
    let control = tree.path().join("DEBIAN");
    fs::create_dir(&control)?;
    for entry in fs::read_dir(source)? {
        let path = entry?.path();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("releases") | None => {}
            Some("files") => copy_filled_in(&path, tree.path(), release)?,
            Some(name) => {
                let script = !matches!(name, "control" | "templates");
                copy_file(&path, &control.join(name), release, script)?;
            }
        }
    }
    if let Some(size) = release.value("@BYTES@") {
        let size = size.parse().context("BYTES is no number")?;
        let folder = tree.path().join("usr/share/ballast");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(release.fill_in("@NAME@")), noise(size))?;
    }
    let etc = tree.path().join("etc");
    if etc.exists() {
        let files: Vec<_> = files_below(&etc)?
            .iter()
            .map(|file| name_in_package(file, tree.path()))
            .collect();
        fs::write(control.join("conffiles"), files.concat())?;
    }
    let mut dpkg_deb = Command::new("dpkg-deb");
    dpkg_deb
        .args(["--root-owner-group", "--build", "-Zxz", "-z0"])
        .arg(tree.path())
        .arg(into);
    tool::run(&mut dpkg_deb)?;
    Ok(())
}

/// So many bytes that no compression makes fewer: xorshift64 from a constant seed.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn copy_filled_in(from: &Path, to: &Path, release: &Release) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = release.fill_in(&entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(to.join(&name))?;
            copy_filled_in(&entry.path(), &to.join(name), release)?;
        } else {
            copy_file(&entry.path(), &to.join(name), release, false)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path, release: &Release, script: bool) -> Result<()> {
    fs::write(to, release.fill_in(&fs::read_to_string(from)?))?;
    let mode = if script { 0o755 } else { 0o644 };
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn name_in_package(file: &Path, tree: &Path) -> String {
    format!("/{}\n", file.strip_prefix(tree).unwrap_or(file).display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_fills_in_its_words() {
        let release = Release::parse("needs 2.0 NEEDS=other", "amd64").unwrap();
        assert_eq!(
            release.fill_in("@NAME@ @VERSION@ @ARCH@ @NEEDS@"),
            "needs 2.0 amd64 other"
        );
        assert_eq!(release.value("@NEEDS@"), Some("other"));
        assert_eq!(release.value("@BYTES@"), None);
    }

    #[test]
    fn noise_has_its_size() {
        assert_eq!(noise(13).len(), 13);
        assert_eq!(noise(13), noise(20)[..13]);
    }
}
