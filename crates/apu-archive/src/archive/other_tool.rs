//! Archives that another tool made. It has its .debs elsewhere, and its own records of them: publishing over it would take
//! packages away from its clients, and each tool would undo what the other does.

use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::layout::{Layout, release_dir};
use super::{ArchiveError, OWN};
use crate::folder::Folder;

/// The fields of a Release that apu writes, in their order.
const FLAT: &[&str] = &[
    "Origin",
    "Label",
    "Suite",
    "Date",
    "Valid-Until",
    "Acquire-By-Hash",
    "SHA256",
];
const SUITE: &[&str] = &[
    "Origin",
    "Label",
    "Suite",
    "Codename",
    "Architectures",
    "No-Support-for-Architecture-all",
    "Components",
    "Date",
    "Valid-Until",
    "Acquire-By-Hash",
    "SHA256",
];

/// Hashes that other tools write, and apu never does.
const OTHER_HASHES: [&str; 3] = ["MD5Sum", "SHA1", "SHA512"];

/// Refuses a directory where the archive in it, or the suite, is another tool's.
pub(super) fn refuse(root: &Folder, dir: &Path, layout: &Layout) -> Result<(), ArchiveError> {
    let mut releases = vec![release_dir(layout.suite())];
    if *layout == Layout::Flat {
        let suites = root.folder(Path::new("dists")).and_then(|dists| dists.list());
        let suites = suites.unwrap_or_default().into_iter();
        releases.extend(suites.map(|(name, _)| Path::new("dists").join(name)));
    }
    for folder in releases {
        if let Some(path) = others_release(root, &folder) {
            return Err(other(dir, &path, layout));
        }
    }
    let conf = Path::new("conf/distributions");
    let is_reprepros = root
        .look(conf)
        .is_ok_and(|about| about.kind() == FileType::RegularFile);
    if is_reprepros {
        return Err(other(dir, conf, layout));
    }
    Ok(())
}

fn other(dir: &Path, path: &Path, layout: &Layout) -> ArchiveError {
    ArchiveError::OtherTool {
        path: dir.join(path).display().to_string(),
        suite: layout.suite().map(str::to_owned),
    }
}

/// The Release, or InRelease, in `folder` that apu did not write.
fn others_release(root: &Folder, folder: &Path) -> Option<PathBuf> {
    let ours = Path::new(OWN).join(folder).join("generations");
    for name in ["Release", "InRelease"] {
        let path = folder.join(name);
        let Ok(bytes) = root.read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let fields = fields(&text);
        if fields == FLAT || fields == SUITE {
            return None;
        }
        let has = |hash: &&str| fields.contains(hash);
        // A Release of apu's may be damaged.
        let is_ours = root.look(&ours).is_ok() && !OTHER_HASHES.iter().any(has);
        if !is_ours && (has(&"SHA256") || OTHER_HASHES.iter().any(has)) {
            return Some(path);
        }
    }
    None
}

/// The names of the fields, also where the text is signed as in InRelease.
fn fields(text: &str) -> Vec<&str> {
    let text = match text.strip_prefix("-----BEGIN PGP SIGNED MESSAGE-----") {
        Some(signed) => signed.split_once("\n\n").map_or("", |(_, text)| text),
        None => text,
    };
    let text = text.split("-----BEGIN PGP SIGNATURE-----").next().unwrap_or(text);
    let lines = text.lines().filter(|line| !line.starts_with(' '));
    lines.filter_map(|line| Some(line.split_once(':')?.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::{FLAT, fields};

    #[test]
    fn the_fields_are_the_same_in_a_signed_text() {
        let text = "Origin: a\nLabel: b: c\nSuite: c\nDate: d\nValid-Until: e\nAcquire-By-Hash: yes\nSHA256:\n ab 1 P\n";
        let signed = format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{text}-----BEGIN PGP SIGNATURE-----\n\nab:\n"
        );
        assert_eq!(fields(text), FLAT);
        assert_eq!(fields(&signed), FLAT);
    }
}
