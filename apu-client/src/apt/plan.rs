//! Parses a simulation: the output of `apt-get -s`.

use apu_debian::PackageKey;
use apu_proto::{ApprovedAnswer, HeldBack, Sizes, Step, Transaction};
use serde::{Deserialize, Serialize};

use super::downloads::{Download, Downloads};

/// A line of a simulation that begins as a step does and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a step of apt's simulation is not understood: {0}")]
pub(crate) struct UnknownStep(pub(crate) String);

/// What apt would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// Names of packages that have a newer version and that apt would not upgrade.
    pub(crate) kept_back: Vec<String>,
    /// Names of packages that apt would remove, even if it then refuses to.
    pub(crate) removed: Vec<String>,
    /// How much would be downloaded, where apt was asked.
    pub(crate) sizes: Option<Sizes>,
    /// Packages that the request keeps from coming, by name, and what it keeps though no installed package is named so.
    #[serde(default)]
    pub(crate) held: Vec<String>,
    #[serde(default)]
    pub(crate) held_nothing: Vec<String>,
    /// Packages that stay at their version for their configuration files.
    #[serde(default)]
    pub(crate) held_back: Vec<HeldBack>,
    /// Packages that stay at their version, so that apt plans these steps and no others.
    #[serde(default)]
    pub(crate) stay: Vec<PackageKey>,
    /// The .debs of the steps, where apt was asked for their checksums.
    pub(crate) debs: Vec<Download>,
    /// The server's answers to questions of its packages; each request brings its own.
    #[serde(skip)]
    pub(crate) answers: Vec<ApprovedAnswer>,
}

impl Plan {
    /// Parses the output of `apt-get -s`; `native` is the architecture that apt omits from names.
    ///
    /// # Errors
    /// The first line of a step that is not understood: a step that is left out is one that nobody approves.
    pub(crate) fn parse(text: &str, native: &str) -> Result<Self, UnknownStep> {
        let mut plan = Self::default();
        let mut list: Option<List> = None;
        for line in text.lines() {
            if let Some(names) = line.strip_prefix("  ") {
                // apt marks a package that it purges with a star.
                let names = names
                    .split_whitespace()
                    .map(|name| name.trim_end_matches('*').to_owned());
                match list {
                    Some(List::KeptBack) => plan.kept_back.extend(names),
                    Some(List::Removed) => plan.removed.extend(names),
                    None => {}
                }
                continue;
            }
            list = List::headed(line);
            plan.steps.extend(step(line, native)?);
        }
        Ok(plan)
    }

    /// Adds the checksum of each .deb.
    ///
    /// # Errors
    /// The first package whose .deb has none: what would be installed is not known then.
    pub(crate) fn add_checksums(&mut self, downloads: &Downloads) -> Result<(), PackageKey> {
        for step in &mut self.steps {
            if let Step::Install {
                package, new, sha256, ..
            } = step
            {
                let deb = downloads.deb(package, new).ok_or_else(|| package.clone())?;
                *sha256 = Some(deb.sha256);
                self.debs.push(deb.clone());
            }
        }
        Ok(())
    }

    /// Returns the changes in the form that can be compared between machines.
    pub(crate) fn transaction(&self) -> Transaction {
        Transaction::new(self.steps.clone()).answered(self.answers.clone())
    }

    /// Returns the version that a package would get, and its origin.
    pub(crate) fn coming(&self, key: &str) -> Option<(&str, &str)> {
        self.steps.iter().find_map(|step| match step {
            Step::Install {
                package, new, origin, ..
            } if package == key => Some((new.as_str(), origin.as_str())),
            _ => None,
        })
    }
}

/// The lists of names that apt prints indented below a heading.
#[derive(Debug, Clone, Copy)]
enum List {
    KeptBack,
    Removed,
}

impl List {
    fn headed(line: &str) -> Option<Self> {
        match line {
            "The following packages have been kept back:"
            | "The following upgrades have been deferred due to phasing:" => Some(Self::KeptBack),
            "The following packages will be REMOVED:" => Some(Self::Removed),
            _ => None,
        }
    }
}

/// Parses the line of a step; none for any other line.
fn step(line: &str, native: &str) -> Result<Option<Step>, UnknownStep> {
    match line.split(' ').next() {
        Some(kind @ ("Inst" | "Remv" | "Purg")) => match parse_step(kind, &line[kind.len()..], native) {
            None => Err(UnknownStep(line.to_owned())),
            step => Ok(step),
        },
        _ => Ok(None),
    }
}

/// Parses `Inst NAME [OLD] (NEW ORIGIN, ORIGIN [ARCHITECTURE])…` or `Remv NAME [OLD]…`, given without its first word.
fn parse_step(kind: &str, rest: &str, native: &str) -> Option<Step> {
    let (name, rest) = rest.strip_prefix(' ')?.split_once(' ')?;
    let package: PackageKey = match name.split_once(':') {
        // An installed package without an architecture counts as one of the machine's own.
        None | Some((_, "none")) => PackageKey::new(name.trim_end_matches(":none"), native),
        Some(_) => name.parse(),
    }
    .ok()?;
    let (old, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((old, rest)) => (Some(old.to_owned()), rest.trim_start()),
        None => (None, rest),
    };
    Some(match kind {
        "Inst" => {
            let (new, rest) = rest.strip_prefix('(')?.split_once(' ')?;
            let (origin, _) = rest.split_once("])")?;
            let (origin, _) = origin.rsplit_once('[')?;
            Step::Install {
                package,
                old,
                new: new.to_owned(),
                sha256: None,
                origin: origin.trim_end().to_owned(),
            }
        }
        _ => Step::Remove {
            package,
            old: old.unwrap_or_default(),
        },
    })
}

/// Whether one of a version's origins is a security archive.
pub(crate) fn is_security(origin: &str) -> bool {
    origin.split(", ").any(|origin| {
        let (label, archive) = origin.split_once(':').unwrap_or((origin, ""));
        label.to_ascii_lowercase().contains("security") || archive.ends_with("-security")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
Reading package lists...
The following packages have been kept back:
  lab-held lab-b
  lab-c
The following packages will be REMOVED:
  lab-old*
The following packages will be upgraded:
  libc6 base-files
3 upgraded, 1 newly installed, 1 to remove and 2 not upgraded.
Remv lab-old [0.9] [lab-b:amd64 ]
Inst libc6 [2.36-9+deb12u9] (2.36-9+deb12u10 Debian:12.11/stable, Debian-Security:12/stable-security [amd64]) [libc6-dev:amd64 ]
Inst libc6:i386 [1] (2 Site (a b):local [i386])
Inst lab-new (1:2.0 Site:local [all])
Conf libc6 (2.36-9+deb12u10 Debian:12.11/stable [amd64])
";

    #[test]
    fn steps_have_the_package_and_both_versions() {
        let lines: Vec<String> = Plan::parse(OUTPUT, "amd64")
            .unwrap()
            .steps
            .iter()
            .map(Step::to_string)
            .collect();
        assert_eq!(
            lines,
            [
                "remove lab-old:amd64 0.9",
                "install libc6:amd64 2.36-9+deb12u9 2.36-9+deb12u10 -",
                "install libc6:i386 1 2 -",
                "install lab-new:amd64 - 1:2.0 -",
            ]
        );
    }

    #[test]
    fn lists_end_with_their_indentation() {
        let plan = Plan::parse(OUTPUT, "amd64").unwrap();
        assert_eq!(plan.kept_back, ["lab-held", "lab-b", "lab-c"]);
        assert_eq!(plan.removed, ["lab-old"]);
        assert_eq!(plan.coming("lab-new:amd64"), Some(("1:2.0", "Site:local")));
        assert_eq!(
            plan.coming("libc6:amd64").map(|(_, origin)| origin),
            Some("Debian:12.11/stable, Debian-Security:12/stable-security")
        );
        assert_eq!(plan.coming("libc6:i386"), Some(("2", "Site (a b):local")));
        let without = Plan::parse("Remv noarch:none [1]\n", "amd64").unwrap();
        assert_eq!(without.steps[0].to_string(), "remove noarch:amd64 1");
        assert_eq!(plan.coming("lab-old:amd64"), None);
    }

    #[test]
    fn half_a_step_is_an_error_and_no_step_is_left_out() {
        for line in [
            "Inst",
            "Inst a",
            "Inst a (",
            "Inst a (1",
            "Inst a (1 x",
            "Inst a [1",
            "Inst a_(b (1 x [amd64])",
            "Remv",
            "Remv a",
            "Purg a:b:c [1]",
        ] {
            assert_eq!(step(line, "amd64"), Err(UnknownStep(line.to_owned())), "{line}");
        }
        for line in ["Conf a (1 x [amd64])", "Installing", ""] {
            assert_eq!(step(line, "amd64"), Ok(None), "{line}");
        }
    }

    #[test]
    fn a_security_archive_is_known_by_its_label_or_suite() {
        assert!(is_security("Debian-Security:12/stable-security"));
        assert!(is_security(
            "Debian:12.11/stable, Debian-Security:12/stable-security"
        ));
        assert!(is_security("Ubuntu:22.04/jammy-security"));
        assert!(!is_security("Debian:12.11/stable"));
        assert!(!is_security("apu:local"));
    }
}
