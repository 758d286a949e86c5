//! Base roots: a real Debian of each suite, by mmdebstrap from wherever this machine gets its own packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::store::{self, Inputs};
use crate::tool;

/// A Debian release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Suite {
    /// Debian 11: apt 2.2, OpenSSH 8.4.
    Bullseye,
    /// Debian 12: apt 2.6, OpenSSH 9.2.
    #[default]
    Bookworm,
    /// Debian 13: apt 3.0, OpenSSH 10.0, sqv.
    Trixie,
    /// What is to be the next one, whose apt and dpkg are the newest; no suite that apu supports.
    Unstable,
}

impl Suite {
    /// Every suite that apu supports.
    pub const ALL: [Self; 3] = [Self::Bullseye, Self::Bookworm, Self::Trixie];

    /// The suite of a root for apu-server, whose package needs the libraries of the machine that built it.
    pub(crate) fn of_server() -> Result<Self> {
        let release = std::fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
        let codename = release
            .lines()
            .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let own = Self::ALL.into_iter().find(|suite| Some(suite.name()) == codename);
        Ok(own.unwrap_or_default())
    }

    /// Its code name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bullseye => "bullseye",
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
            Self::Unstable => "unstable",
        }
    }

    /// Settings of apt for the making of a root alone. A copy of the archive may be older than its Release of unstable is valid.
    const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Unstable => &["--aptopt=Acquire::Check-Valid-Until \"false\""],
            _ => &[],
        }
    }
}

/// What a root has beside the base system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Flavour {
    /// sshd and sudo; sysvinit, though a small shell stands in as PID 1.
    #[default]
    Plain,
    /// systemd as PID 1, with dbus and logind.
    Systemd,
    /// Python, for the peers of the benchmark that need it on the other side.
    Python,
}

impl Flavour {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Systemd => "systemd",
            Self::Python => "python",
        }
    }

    const fn packages(self) -> &'static str {
        match self {
            // The server needs SQLite, and fetches nothing when it is installed.
            Self::Plain => "openssh-server,sudo,adduser,whiptail,sysvinit-core,libsqlite3-0",
            Self::Systemd => {
                "openssh-server,sudo,adduser,whiptail,systemd-sysv,dbus,libpam-systemd,libsqlite3-0"
            }
            Self::Python => "openssh-server,sudo,adduser,whiptail,sysvinit-core,python3",
        }
    }
}

/// The root's folder, a lower layer that nobody writes to. The first call for a suite takes about a minute.
pub(crate) fn base(suite: Suite, flavour: Flavour) -> Result<PathBuf> {
    let inputs = Inputs::of(flavour.packages()).and("recipe 1");
    let name = format!("{}-{}", suite.name(), flavour.name());
    let entry = store::entry("roots", &name, &inputs, |draft| bootstrap(suite, flavour, draft))?;
    Ok(entry.join("root"))
}

fn bootstrap(suite: Suite, flavour: Flavour, draft: &Path) -> Result<()> {
    let archive = own_archive()?;
    eprintln!(
        "bootstrapping a {} root ({}): about a minute, once",
        suite.name(),
        flavour.name()
    );
    let mut mmdebstrap = Command::new("mmdebstrap");
    mmdebstrap
        .args([
            "--quiet",
            "--mode=root",
            "--variant=minbase",
            "--aptopt=Acquire::Retries \"3\"",
        ])
        .args(suite.settings())
        // Documentation is a third of a root, and no test reads it.
        .args([
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/man/*",
        ])
        .args(["--dpkgopt=path-exclude=/usr/share/locale/*"])
        .arg(format!("--include={}", flavour.packages()))
        // Every client makes its own.
        .arg("--customize-hook=rm -f \"$1\"/etc/ssh/ssh_host_*")
        .arg("--customize-hook=rm -f \"$1\"/etc/dpkg/dpkg.cfg.d/99mmdebstrap")
        .arg(suite.name())
        .arg(draft.join("root"))
        .arg(archive);
    tool::run(&mut mmdebstrap)?;
    Ok(())
}

/// The address of the Debian archive that this machine's own apt uses.
pub(crate) fn own_archive() -> Result<String> {
    let targets = tool::run(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
    ]))?;
    archive_among(&targets)
        .context("this machine's apt sources name no Debian archive with a suite and `main`")
}

/// The first archive with a suite that is neither updates nor security: the one that has whole suites.
fn archive_among(targets: &str) -> Option<String> {
    targets.lines().find_map(|line| {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            [uri, release, "main"] if release.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                uri.contains("debian").then(|| uri.to_owned())
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_the_one_with_whole_suites() {
        let targets = "https://other.example.org/apt/ cloud main\n\
            http://mirror.example.org/debian-security/ bookworm-security main\n\
            http://mirror.example.org/debian/ bookworm main\n";
        assert_eq!(
            archive_among(targets).as_deref(),
            Some("http://mirror.example.org/debian/")
        );
    }
}
