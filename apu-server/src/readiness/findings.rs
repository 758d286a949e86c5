//! Decides what is in the way of a machine's upgrade to another release, from its status and from what archives have.

use std::collections::{BTreeSet, HashMap};

use apu_debian::PackageKey;
use apu_proto::Status;
use serde::Serialize;

use super::releases::Releases;
use super::suites::{Had, Suite, for_release};

/// The least free space in `/boot` and in other file systems, in bytes: what Debian's release notes ask to look at, with room for two
/// kernels, and for the .debs and files of a small server.
const LEAST_BOOT: u64 = 256 << 20;
const LEAST_OTHER: u64 = 3 << 30;

/// Something that an administrator should know before a machine is upgraded to another release.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub(crate) enum Finding {
    /// It runs another distribution.
    OtherDistribution {
        /// Which.
        distribution: String,
    },
    /// Its release is not in the table.
    UnknownRelease {
        /// Which.
        series: String,
    },
    /// It has that release or a newer one.
    NotOlder {
        /// Which it has.
        series: String,
    },
    /// Releases are never skipped: these come first.
    Between {
        /// The releases.
        series: Vec<String>,
    },
    /// Packages are neither installed nor gone.
    Broken {
        /// The packages.
        packages: Vec<PackageKey>,
    },
    /// Packages are on hold.
    Held {
        /// The packages.
        packages: Vec<PackageKey>,
    },
    /// The release that it has is not up to date.
    Pending {
        /// How many packages have a newer version.
        packages: usize,
    },
    /// A reboot is still to come.
    RebootRequired,
    /// A file system has little space.
    LittleSpace {
        /// Where.
        path: String,
        /// What it has, in bytes.
        bytes: u64,
        /// What it should have, in bytes.
        least: u64,
    },
    /// An archive has no suite for the release.
    SuiteMissing {
        /// The suite.
        #[serde(flatten)]
        suite: Suite,
    },
    /// Whether an archive has a suite for the release is not known.
    SuiteUnknown {
        /// The suite.
        #[serde(flatten)]
        suite: Suite,
        /// Why.
        why: String,
    },
    /// A source names a suite that is not bound to a release.
    SuiteNotBound {
        /// The suite.
        #[serde(flatten)]
        suite: Suite,
    },
    /// Installed packages are in no archive.
    Obsolete {
        /// The packages.
        packages: Vec<PackageKey>,
        /// How many more.
        more: usize,
    },
    /// Which installed packages are in no archive is not known.
    ObsoleteUnknown,
}

impl Finding {
    /// Whether it has to be mended first; else it is for an administrator to look at.
    pub(crate) const fn is_in_the_way(&self) -> bool {
        match self {
            Self::OtherDistribution { .. }
            | Self::UnknownRelease { .. }
            | Self::NotOlder { .. }
            | Self::Between { .. }
            | Self::Broken { .. }
            | Self::Held { .. }
            | Self::Pending { .. }
            | Self::RebootRequired
            | Self::LittleSpace { .. }
            | Self::SuiteMissing { .. }
            | Self::SuiteUnknown { .. } => true,
            Self::SuiteNotBound { .. } | Self::Obsolete { .. } | Self::ObsoleteUnknown => false,
        }
    }
}

/// The suites that a machine's sources would name for the release, apart from the site's own archives.
pub(crate) fn wanted_suites(status: &Status, to: &str) -> BTreeSet<Suite> {
    let suites = sources(status);
    suites
        .filter_map(|suite| for_release(&suite, &status.codename, to))
        .collect()
}

/// The suites of its sources, apart from the site's own archives.
fn sources(status: &Status) -> impl Iterator<Item = Suite> {
    let foreign = status.releases.iter().filter(|release| !release.own);
    foreign.map(|release| Suite {
        uri: release.uri.trim_end_matches('/').to_owned(),
        suite: release.suite.clone(),
    })
}

/// Finds what stands between a machine and a release, `to` by its place among the releases.
pub(crate) fn findings(
    status: &Status,
    releases: &Releases,
    to: usize,
    had: &HashMap<Suite, Had>,
) -> Vec<Finding> {
    let series = status.codename.clone();
    if status.distribution != releases.distribution {
        let distribution = status.distribution.clone();
        return vec![Finding::OtherDistribution { distribution }];
    }
    let Some(from) = releases.place(&series) else {
        return vec![Finding::UnknownRelease { series }];
    };
    if from >= to {
        return vec![Finding::NotOlder { series }];
    }
    let mut found = Vec::new();
    let between = releases.between(from, to);
    if !between.is_empty() {
        let series = between.iter().map(|release| release.series.clone());
        found.push(Finding::Between {
            series: series.collect(),
        });
    }
    let broken: Vec<PackageKey> = status.broken.iter().map(|one| one.package.clone()).collect();
    if !broken.is_empty() {
        found.push(Finding::Broken { packages: broken });
    }
    if !status.held.is_empty() {
        let packages = status.held.clone();
        found.push(Finding::Held { packages });
    }
    let pending = status.pending.len() + status.kept_back.len();
    if pending > 0 {
        found.push(Finding::Pending { packages: pending });
    }
    if status.reboot_required {
        found.push(Finding::RebootRequired);
    }
    for free in &status.free {
        let least = if free.path == "/boot" {
            LEAST_BOOT
        } else {
            LEAST_OTHER
        };
        if free.bytes < least {
            found.push(Finding::LittleSpace {
                path: free.path.clone(),
                bytes: free.bytes,
                least,
            });
        }
    }
    found.extend(of_sources(status, &releases.releases[to].series, had));
    match &status.obsolete {
        None => found.push(Finding::ObsoleteUnknown),
        Some(obsolete) if obsolete.packages.is_empty() && obsolete.more == 0 => {}
        Some(obsolete) => found.push(Finding::Obsolete {
            packages: obsolete.packages.clone(),
            more: obsolete.more,
        }),
    }
    found
}

fn of_sources(status: &Status, to: &str, had: &HashMap<Suite, Had>) -> Vec<Finding> {
    let suites: BTreeSet<Suite> = sources(status).collect();
    let finding = |suite: Suite| {
        let Some(wanted) = for_release(&suite, &status.codename, to) else {
            return Some(Finding::SuiteNotBound { suite });
        };
        match had.get(&wanted) {
            Some(Had::Yes) => None,
            Some(Had::No) => Some(Finding::SuiteMissing { suite: wanted }),
            Some(Had::Unknown { why }) => Some(Finding::SuiteUnknown {
                suite: wanted,
                why: why.clone(),
            }),
            None => Some(Finding::SuiteUnknown {
                suite: wanted,
                why: "it was not asked".to_owned(),
            }),
        }
    };
    suites.into_iter().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use apu_proto::{Broken, FreeSpace, Obsolete, ReleaseDate};

    use super::super::releases::Release;
    use super::*;

    fn releases() -> Releases {
        let release = |series: &str| Release {
            version: String::new(),
            series: series.into(),
            released: None,
            supported_until: None,
            long_term_until: None,
        };
        Releases {
            distribution: "debian".into(),
            releases: ["bullseye", "bookworm", "trixie", "sid"].map(release).to_vec(),
        }
    }

    fn well() -> Status {
        let release = |uri: &str, suite: &str, own: bool| ReleaseDate {
            uri: uri.into(),
            suite: suite.into(),
            own,
            date: None,
            valid_until: None,
        };
        Status {
            distribution: "debian".into(),
            codename: "bookworm".into(),
            releases: vec![
                release("http://deb.example.org/debian/", "bookworm", false),
                release("http://deb.example.org/debian", "bookworm-updates", false),
                release("http://apu.example.org/local", "./", true),
            ],
            free: vec![FreeSpace {
                path: "/".into(),
                bytes: LEAST_OTHER,
            }],
            obsolete: Some(Obsolete::default()),
            ..Status::default()
        }
    }

    fn had() -> HashMap<Suite, Had> {
        let suites = wanted_suites(&well(), "trixie").into_iter();
        suites.map(|suite| (suite, Had::Yes)).collect()
    }

    fn found(status: &Status, to: &str) -> Vec<Finding> {
        let releases = releases();
        findings(status, &releases, releases.place(to).unwrap(), &had())
    }

    #[test]
    fn a_machine_in_order_whose_archives_have_the_release_has_nothing_in_its_way() {
        let named: Vec<String> = wanted_suites(&well(), "trixie")
            .into_iter()
            .map(|suite| format!("{} {}", suite.uri, suite.suite))
            .collect();
        assert_eq!(
            named,
            [
                "http://deb.example.org/debian trixie",
                "http://deb.example.org/debian trixie-updates"
            ]
        );
        assert_eq!(found(&well(), "trixie"), []);
    }

    #[test]
    fn releases_follow_each_other_and_none_is_skipped() {
        let old = Status {
            codename: "bullseye".into(),
            releases: Vec::new(),
            ..well()
        };
        let between = |status: &Status, to: &str| found(status, to).into_iter().next();
        let series = vec!["bookworm".to_owned()];
        assert_eq!(between(&old, "trixie"), Some(Finding::Between { series }));
        assert_eq!(between(&old, "bookworm"), None);
        let series = "bookworm".to_owned();
        assert_eq!(
            between(&well(), "bookworm"),
            Some(Finding::NotOlder {
                series: series.clone()
            })
        );
        assert_eq!(between(&well(), "bullseye"), Some(Finding::NotOlder { series }));
        let other = Status {
            distribution: "ubuntu".into(),
            ..well()
        };
        assert!(matches!(
            between(&other, "trixie"),
            Some(Finding::OtherDistribution { .. })
        ));
        let odd = Status {
            codename: "odd".into(),
            ..well()
        };
        assert!(matches!(
            between(&odd, "trixie"),
            Some(Finding::UnknownRelease { .. })
        ));
    }

    #[test]
    fn whatever_is_not_in_order_is_in_the_way() {
        let package = || "foo:amd64".parse::<PackageKey>().unwrap();
        let mut status = well();
        status.broken = vec![Broken {
            package: package(),
            state: "half-installed".into(),
        }];
        status.held = vec![package()];
        status.kept_back = vec!["bar".into()];
        status.reboot_required = true;
        status.free.push(FreeSpace {
            path: "/boot".into(),
            bytes: LEAST_BOOT - 1,
        });
        let packages = vec![package()];
        assert_eq!(
            found(&status, "trixie"),
            [
                Finding::Broken {
                    packages: packages.clone()
                },
                Finding::Held { packages },
                Finding::Pending { packages: 1 },
                Finding::RebootRequired,
                Finding::LittleSpace {
                    path: "/boot".into(),
                    bytes: LEAST_BOOT - 1,
                    least: LEAST_BOOT
                },
            ]
        );
        assert!(found(&status, "trixie").iter().all(Finding::is_in_the_way));
    }

    #[test]
    fn an_archive_without_the_suite_is_in_the_way_and_so_is_one_that_cannot_be_asked() {
        let releases = releases();
        let suite = |name: &str| Suite {
            uri: "http://deb.example.org/debian".into(),
            suite: name.into(),
        };
        let why = || "down".to_owned();
        let mut had = HashMap::from([(suite("trixie"), Had::No)]);
        had.insert(suite("trixie-updates"), Had::Unknown { why: why() });
        let mut status = well();
        status.releases[2].own = false;
        let found = findings(&status, &releases, 2, &had);
        let flat = Suite {
            uri: "http://apu.example.org/local".into(),
            suite: "./".into(),
        };
        assert_eq!(
            found,
            [
                Finding::SuiteNotBound { suite: flat },
                Finding::SuiteMissing {
                    suite: suite("trixie")
                },
                Finding::SuiteUnknown {
                    suite: suite("trixie-updates"),
                    why: why()
                },
            ]
        );
        assert_eq!(
            found.iter().map(Finding::is_in_the_way).collect::<Vec<_>>(),
            [false, true, true]
        );
        let found = findings(&well(), &releases, 2, &HashMap::new());
        assert!(
            found
                .iter()
                .all(|one| matches!(one, Finding::SuiteUnknown { .. }))
                && found.len() == 2
        );
    }

    #[test]
    fn obsolete_packages_are_for_a_look_and_so_are_unknown_ones() {
        let mut status = well();
        status.obsolete = None;
        assert_eq!(found(&status, "trixie"), [Finding::ObsoleteUnknown]);
        status.obsolete = Some(Obsolete {
            packages: vec!["old:amd64".parse().unwrap()],
            more: 2,
        });
        let [one] = &found(&status, "trixie")[..] else {
            panic!("{status:?}");
        };
        assert!(matches!(one, Finding::Obsolete { more: 2, .. }) && !one.is_in_the_way());
    }
}
