//! What a client says of itself when asked for its status.

use std::collections::BTreeSet;

use apu_debian::PackageKey;
use serde::{Deserialize, Serialize};

use crate::bounded::{first, is_zero};
use crate::hold::{Hold, MAX_HOLDS};

/// A client's state at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// From os-release: `ID`, such as `debian`.
    pub distribution: String,
    /// From os-release: `VERSION_ID`, such as `12`; empty in testing.
    pub release: String,
    /// From os-release: `VERSION_CODENAME`, such as `bookworm`.
    pub codename: String,
    /// dpkg's architecture, such as `amd64`.
    pub architecture: String,
    /// What an upgrade of everything could bring, by the lists that are there.
    pub pending: Vec<Pending>,
    /// Packages with a newer version that an upgrade would not bring, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept_back: Vec<String>,
    /// Packages on hold.
    pub held: Vec<PackageKey>,
    /// Those of them that the operation `hold` has put on it, with their reason; at most [`MAX_HOLDS`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_HOLDS>"
    )]
    pub holds: Vec<Hold>,
    /// Packages that are neither installed nor gone.
    pub broken: Vec<Broken>,
    /// Whether the machine asks for a reboot.
    pub reboot_required: bool,
    /// The running kernel's release.
    pub kernel: String,
    /// The release of the kernel that a reboot would start: the newest of the running one's flavour. None where no
    /// kernel of that flavour is installed, as in a container.
    pub newest_kernel: Option<String>,
    /// The kernel's random id of this boot.
    pub boot_id: String,
    /// Seconds since the archive that was fetched least recently was fetched; none where no list ever was.
    pub lists_age: Option<u64>,
    /// Free space where packages go.
    pub free: Vec<FreeSpace>,
    /// The version of apu-client.
    pub client: String,
    /// The installed version of apu-data.
    pub data: Option<String>,
    /// Sources of apu-data that apt does not read beside the machine's own, and so are not used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources_left_out: Vec<SourceLeftOut>,
    /// When each archive's lists were made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<ReleaseDate>,
    /// The installed packages that no archive has, where the request asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obsolete: Option<Obsolete>,
}

/// The most packages that [`Obsolete`] names.
pub const MAX_OBSOLETE: usize = 500;

/// Installed packages that are in none of a machine's lists, in any version: apt's `?obsolete`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Obsolete {
    /// The packages, sorted, at most [`MAX_OBSOLETE`].
    #[serde(deserialize_with = "first::<_, _, MAX_OBSOLETE>")]
    pub packages: Vec<PackageKey>,
    /// How many there are beyond those that are named.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
}

impl Obsolete {
    /// As many of these as are named, and the number of the others.
    #[must_use]
    pub fn new(packages: BTreeSet<PackageKey>) -> Self {
        Self {
            more: packages.len().saturating_sub(MAX_OBSOLETE),
            packages: packages.into_iter().take(MAX_OBSOLETE).collect(),
        }
    }
}

/// A source that does not go with the machine's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceLeftOut {
    /// Its address and suite, or what was left out instead.
    pub source: String,
    /// The machine's own files that name it otherwise, with their lines; empty where they are not known.
    pub files: String,
    /// What apt says.
    pub words: String,
}

/// When the lists of an archive that a client has were made, as their Release file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseDate {
    /// The archive's address, without a slash at its end.
    pub uri: String,
    /// Its suite, or its path where it is flat, such as `./`.
    pub suite: String,
    /// `Date`, in seconds since 1970; none where the file does not say it in a form that is understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<u64>,
    /// `Valid-Until`, as it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
    /// Whether apu-data calls it one of the site's own archives.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
}

/// A newer version that a source offers for an installed package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The package.
    pub package: PackageKey,
    /// The installed version.
    pub old: String,
    /// The candidate.
    pub new: String,
    /// Where it comes from, as apt names it.
    pub origin: String,
    /// Whether a security archive offers it.
    pub security: bool,
}

/// A package that is neither installed nor gone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Broken {
    /// The package.
    pub package: PackageKey,
    /// As dpkg says it, such as `install ok half-configured`.
    pub state: String,
}

/// A file system's room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreeSpace {
    /// A path on it.
    pub path: String,
    /// What root may still use.
    pub bytes: u64,
}
