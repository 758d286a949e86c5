//! The Packages file: one paragraph for each .deb, as apt reads it.

use std::cmp::Ordering;

use apu_debian::compare;

use super::scan::Stamp;
use crate::deb::Deb;

/// One .deb of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Relative to the archive.
    pub path: String,
    /// What it holds.
    pub deb: Deb,
    pub(super) stamp: Stamp,
}

impl Entry {
    /// NAME VERSION ARCHITECTURE, for people.
    #[must_use]
    pub fn name(&self) -> String {
        let control = &self.deb.control;
        format!(
            "{} {} {}",
            control.package(),
            control.version(),
            control.architecture()
        )
    }

    /// The order of an index: by name, newer versions later, then by architecture.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let (a, b) = (&self.deb.control, &other.deb.control);
        a.package()
            .cmp(b.package())
            .then_with(|| compare(a.version(), b.version()))
            // 1.0 and 1.00 are equal, and yet two versions.
            .then_with(|| a.version().cmp(b.version()))
            .then_with(|| a.architecture().cmp(b.architecture()))
            .then_with(|| self.path.cmp(&other.path))
    }

    /// Whether both claim to be the same version of the same package.
    pub(super) fn is_named_like(&self, other: &Self) -> bool {
        let (a, b) = (&self.deb.control, &other.deb.control);
        (a.package(), a.version(), a.architecture()) == (b.package(), b.version(), b.architecture())
    }

    fn paragraph(&self, out: &mut String) {
        let control = &self.deb.control;
        out.extend(["Package: ", control.package(), "\n"]);
        for (name, lines) in control.lines() {
            if !is_ours(name) {
                out.push_str(lines);
            }
        }
        let size = self.deb.size.to_string();
        let fields = [
            ("Filename", &self.path),
            ("Size", &size),
            ("SHA256", &self.deb.sha256),
        ];
        for (name, value) in fields {
            out.extend([name, ": ", value, "\n"]);
        }
        out.push('\n');
    }
}

/// Whether a field of that name has another place in an index, or a value of its own.
fn is_ours(name: &str) -> bool {
    let ours: &[&str] = match name.len() {
        4 => &["Size", "SHA1"],
        6 => &["MD5sum", "SHA256", "SHA512", "Status"],
        7 => &["Package"],
        8 => &["Filename"],
        _ => return false,
    };
    ours.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// The text of Packages.
pub(super) fn packages(entries: &[&Entry]) -> Vec<u8> {
    // The fields that are ours have less than 128 bytes beside the path.
    let length = entries
        .iter()
        .map(|entry| entry.deb.control.text().len() + entry.path.len() + 128);
    let mut text = String::with_capacity(length.sum());
    for entry in entries {
        entry.paragraph(&mut text);
    }
    text.into_bytes()
}
