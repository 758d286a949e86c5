//! Has dpkg put packages on hold and take them off; apt, unattended-upgrades and dselect go by the same selections.
//!
//! `apt-mark hold` calls the same `dpkg --set-selections`, but takes names as patterns. dpkg takes exact names.

use std::fmt::Write;
use std::io;
use std::time::Duration;

use apu_debian::PackageKey;

use super::environment::ENVIRONMENT;
use crate::dpkg::{DPKG, Database};
use crate::os::spawn;

/// Time limit for dpkg to write its database; far more than it needs.
const TIMEOUT: Duration = Duration::from_secs(120);

/// By this, dpkg does not take the frontend lock, which the caller holds.
const FRONTEND_LOCKED: &str = "DPKG_FRONTEND_LOCKED=true";

/// What dpkg is to do with a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selection {
    /// Leave it as it is.
    Hold,
    /// Have it installed, and upgrade it.
    Install,
}

/// Sets the selection of installed packages, of all of them or of none. The caller holds dpkg's frontend lock, and looks into the
/// database afterwards: dpkg passes over a name that it does not know.
pub(crate) fn set_selections(
    database: &Database,
    packages: &[PackageKey],
    selection: Selection,
) -> io::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let environment: Vec<&str> = ENVIRONMENT.into_iter().chain([FRONTEND_LOCKED]).collect();
    let lines = lines(database, packages, selection);
    let captured = spawn::capture_fed(DPKG, &["--set-selections"], &environment, TIMEOUT, &lines)?;
    if captured.succeeded() {
        return Ok(());
    }
    let why = captured.stderr.trim();
    Err(io::Error::other(format!("dpkg --set-selections: {why}")))
}

/// The lines that dpkg reads.
fn lines(database: &Database, packages: &[PackageKey], selection: Selection) -> String {
    let word = match selection {
        Selection::Hold => "hold",
        Selection::Install => "install",
    };
    let mut lines = String::new();
    for package in packages {
        let _ = writeln!(lines, "{} {word}", database.dpkg_name(package));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dpkg_is_given_the_one_name_that_it_has() {
        let text = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\
                    Package: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 1\n\n\
                    Package: adduser\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n";
        let database = Database::parse([text]).unwrap();
        let packages = ["adduser:amd64", "libc6:i386"].map(|key| key.parse().unwrap());
        assert_eq!(
            lines(&database, &packages, Selection::Hold),
            "adduser:all hold\nlibc6:i386 hold\n"
        );
        assert_eq!(
            lines(&database, &packages[1..], Selection::Install),
            "libc6:i386 install\n"
        );
    }
}
