//! The archive that stands for Debian's mirror: the test packages, signed by gpg, indexed by apt-ftparchive.
//!
//! Made by Debian's own tools and not by apu's, so that a fault of apu's archive code cannot hide here.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use crate::gpg::Gpg;
use crate::packages::{self, SOURCES};
use crate::store::{self, Inputs, word};
use crate::tool::run;

/// What the archive offers at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stage {
    /// Every package in version 1.0.
    #[default]
    Before,
    /// Version 2.0 as well; that of `pkg-e` is a security update.
    After,
    /// As after, with version 2.0 of `pkg-a` built again: the same name and version, and other bytes.
    Republished,
    /// As after, and a package that calls itself essential.
    Essential,
    /// Version 4.0 of what every client has, 8 MB in all.
    Heavy,
}

impl Stage {
    const ALL: [Self; 5] = [
        Self::Before,
        Self::After,
        Self::Republished,
        Self::Essential,
        Self::Heavy,
    ];

    pub(crate) const fn folder(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Republished => "republished",
            Self::Essential => "essential",
            Self::Heavy => "heavy",
        }
    }

    /// The versions that it has.
    const fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Before => &["1.0"],
            Self::After | Self::Republished => &["1.0", "2.0"],
            Self::Essential => &["1.0", "2.0", "3.0"],
            Self::Heavy => &["1.0", "4.0"],
        }
    }
}

/// A folder with `archive.gpg` and one archive for each stage, below the stage's name.
pub(crate) fn archive() -> Result<PathBuf> {
    let inputs = Inputs::of("recipe 5").and_tree(Path::new(SOURCES))?;
    store::entry("upstream", "archive", &inputs, |draft| {
        let debs = draft.join("debs");
        fs::create_dir(&debs)?;
        packages::build_all(&debs)?;
        let gpg = Gpg::generate(&draft.join("gnupg"), "upstream@example.org")?;
        gpg.export(&draft.join("archive.gpg"))?;
        for stage in Stage::ALL {
            publish(&debs, stage, &draft.join(stage.folder()), &gpg)?;
        }
        Ok(())
    })
}

/// The sources that a client needs to follow it, in deb822.
pub(crate) fn sources(site: &str) -> String {
    let source = |suite: &str| {
        format!(
            "Types: deb\nURIs: {site}\nSuites: {suite}\nComponents: main\nSigned-By: /usr/share/keyrings/upstream.gpg\n"
        )
    };
    format!("{}\n{}", source("stable"), source("stable-security"))
}

fn publish(debs: &Path, stage: Stage, archive: &Path, gpg: &Gpg) -> Result<()> {
    for (suite, label) in [("stable", "Debian"), ("stable-security", "Debian-Security")] {
        let pool = archive.join("pool").join(suite);
        fs::create_dir_all(&pool)?;
        for deb in fs::read_dir(debs)? {
            let deb = deb?;
            let name = word(deb.file_name());
            if belongs(&name, stage) && (suite == "stable-security") == name.starts_with("pkg-e_2.0") {
                if stage == Stage::Republished && name.starts_with("pkg-a_2.0") {
                    build_again(&deb.path(), &pool.join(name))?;
                } else {
                    fs::hard_link(deb.path(), pool.join(name))?;
                }
            }
        }
        let dist = archive.join("dists").join(suite);
        let binary = dist.join("main/binary-amd64");
        fs::create_dir_all(&binary)?;
        let relative = format!("pool/{suite}");
        let packages = run(Command::new("apt-ftparchive")
            .args(["packages", &relative])
            .current_dir(archive))
        .context("apt-ftparchive is in apt-utils")?;
        fs::write(binary.join("Packages"), packages)?;
        let mut release = Command::new("apt-ftparchive");
        for (field, value) in [
            ("Origin", "Debian"),
            ("Label", label),
            ("Suite", suite),
            ("Codename", suite),
            ("Architectures", "amd64"),
            ("Components", "main"),
            ("Acquire-By-Hash", "yes"),
        ] {
            release.args(["-o", &format!("APT::FTPArchive::Release::{field}={value}")]);
        }
        let text = run(release.args(["release", "."]).current_dir(&dist))?;
        fs::write(dist.join("Release"), text)?;
        // As Debian has it, under the strongest hash, which apt asks for; never in Release itself.
        let packages = binary.join("Packages");
        let sum = run(Command::new("sha512sum").arg(&packages))?;
        let by_hash = binary.join("by-hash/SHA512");
        fs::create_dir_all(&by_hash)?;
        fs::copy(&packages, by_hash.join(sum.split(' ').next().context("no sum")?))?;
        gpg.clearsign(&dist.join("Release"), &dist.join("InRelease"))?;
        for changing in [
            binary.join("Packages"),
            dist.join("Release"),
            dist.join("InRelease"),
        ] {
            File::options()
                .write(true)
                .open(changing)?
                .set_modified(published_at(stage))?;
        }
    }
    Ok(())
}

/// Builds a .deb's contents again, with a file more.
fn build_again(deb: &Path, to: &Path) -> Result<()> {
    let tree = tempfile::tempdir()?;
    run(Command::new("dpkg-deb").arg("-R").arg(deb).arg(tree.path()))?;
    fs::write(tree.path().join("built-again"), "")?;
    run(Command::new("dpkg-deb")
        .args(["-Zgzip", "--root-owner-group", "-b"])
        .args([tree.path(), to]))?;
    Ok(())
}

/// HTTP tells versions of a file apart by the second, and these are all made within one: an hour lies between two stages.
fn published_at(stage: Stage) -> SystemTime {
    let later = Stage::ALL.iter().rev().position(|&other| other == stage);
    SystemTime::now() - Duration::from_secs(3600 * (1 + later.unwrap_or_default() as u64))
}

/// Whether a stage has the .deb `NAME_VERSION_ARCH.deb`.
fn belongs(file_name: &str, stage: Stage) -> bool {
    file_name
        .split('_')
        .nth(1)
        .is_some_and(|version| stage.versions().contains(&version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_has_its_versions_and_no_others() {
        assert!(belongs("pkg-a_1.0_amd64.deb", Stage::After));
        assert!(!belongs("pkg-a_2.0_amd64.deb", Stage::Before));
        assert!(!belongs("essential_3.0_all.deb", Stage::After));
        assert!(!belongs("essential_3.0_all.deb", Stage::Heavy));
    }

    #[test]
    fn stages_follow_each_other_by_the_hour() {
        let ages = Stage::ALL.map(published_at);
        assert!(ages.is_sorted() && ages[3] <= SystemTime::now());
    }
}
