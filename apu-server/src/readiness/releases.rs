//! The releases of Debian and Ubuntu with their dates, from the tables of the package distro-info-data.
//!
//! The format is that of the files in `/usr/share/distro-info`: values between commas, with names in the first line; trailing values may be
//! missing. Dates are years, months and days.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use jiff::civil::Date;

/// The most bytes of a table that are read. Those of 2026 have less than 4000.
const LONGEST: u64 = 1 << 20;

/// A release of a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    /// Its number, such as `13`; empty where it has none, as unstable.
    pub(crate) version: String,
    /// Its name in sources, such as `trixie`.
    pub(crate) series: String,
    /// When it was or is released; none where that is not known.
    pub(crate) released: Option<Date>,
    /// Until when the distribution supports it.
    pub(crate) supported_until: Option<Date>,
    /// Until when it has long-term support: Debian LTS, or Ubuntu's of servers.
    pub(crate) long_term_until: Option<Date>,
}

/// The releases of a distribution, in the order in which they follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Releases {
    /// As `ID` in os-release: `debian` or `ubuntu`.
    pub(crate) distribution: String,
    pub(crate) releases: Vec<Release>,
}

impl Releases {
    /// Reads the table of a distribution below `root`; none where the machine has no such table.
    ///
    /// # Errors
    /// Where it cannot be read or is not understood.
    pub(crate) fn read(root: &Path, distribution: &str) -> io::Result<Option<Self>> {
        let path = root.join(format!("usr/share/distro-info/{distribution}.csv"));
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text)?;
        let releases =
            parse(&text).ok_or_else(|| io::Error::other(format!("{} is not understood", path.display())))?;
        Ok(Some(Self {
            distribution: distribution.to_owned(),
            releases,
        }))
    }

    /// Which place a release has among them, by its name.
    pub(crate) fn place(&self, series: &str) -> Option<usize> {
        self.releases.iter().position(|release| release.series == series)
    }

    /// The releases that lie between two.
    pub(crate) fn between(&self, from: usize, to: usize) -> &[Release] {
        self.releases.get(from + 1..to).unwrap_or_default()
    }
}

/// Parses a table; none where it is no such table.
fn parse(text: &str) -> Option<Vec<Release>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next()?.split(',').collect();
    let place = |name: &str| names.iter().position(|other| *other == name);
    let (version, series) = (place("version")?, place("series")?);
    let (released, until) = (place("release")?, place("eol")?);
    let long_term = place("eol-lts").or_else(|| place("eol-server"));
    let release = |line: &str| {
        let values: Vec<&str> = line.split(',').collect();
        let value = |place: usize| values.get(place).copied().unwrap_or_default();
        let date = |place: usize| match value(place) {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        Some(Release {
            version: value(version).to_owned(),
            series: Some(value(series)).filter(|name| !name.is_empty())?.to_owned(),
            released: date(released)?,
            supported_until: date(until)?,
            long_term_until: long_term.map_or(Some(None), date)?,
        })
    };
    lines.filter(|line| !line.is_empty()).map(release).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
version,codename,series,created,release,eol,eol-lts,eol-elts
12,Bookworm,bookworm,2021-08-14,2023-06-10,2026-06-10,2028-06-30,2033-06-30
13,Trixie,trixie,2023-06-10,2025-08-09,2028-08-09,2030-06-30,2035-06-30
14,Forky,forky,2025-08-09
,Sid,sid,1993-08-16
";

    #[test]
    fn a_table_is_read_by_the_names_in_its_first_line() {
        let releases = parse(TABLE).unwrap();
        let dates = |release: &Release| {
            [release.released, release.supported_until, release.long_term_until]
                .map(|date| date.map(|date| date.to_string()))
        };
        assert_eq!(releases[1].series, "trixie");
        assert_eq!(releases[1].version, "13");
        let known = ["2025-08-09", "2028-08-09", "2030-06-30"].map(|date| Some(date.to_owned()));
        assert_eq!(dates(&releases[1]), known);
        assert_eq!(dates(&releases[2]), [None, None, None]);
        assert_eq!(releases[3].version, "");
        let ubuntu = "version,codename,series,created,release,eol,eol-server\n24.04 LTS,N,noble,2023-10-12,2024-04-25,2029-05-31,2029-05-31\n";
        assert_eq!(parse(ubuntu).unwrap()[0].version, "24.04 LTS");
    }

    #[test]
    fn what_is_no_such_table_is_not_understood() {
        for text in [
            "",
            "a,b,c\n1,2,3\n",
            "version,series,release,eol\n12,,2023-06-10,2026-06-10\n",
            "version,series,release,eol\n12,bookworm,soon,2026-06-10\n",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_tables_of_this_machine_are_understood() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Releases::read(root.path(), "debian").unwrap(), None);
        // Where they are installed; the fleet has them for certain.
        for distribution in ["debian", "ubuntu"] {
            if let Some(releases) = Releases::read(Path::new("/"), distribution).unwrap() {
                assert!(releases.releases.len() > 10, "{distribution}");
            }
        }
    }

    #[test]
    fn releases_follow_each_other() {
        let releases = Releases {
            distribution: "debian".into(),
            releases: parse(TABLE).unwrap(),
        };
        let place = |series: &str| releases.place(series).unwrap();
        let between = |from: &str, to: &str| {
            let between = releases.between(place(from), place(to)).iter();
            between.map(|release| release.series.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(between("bookworm", "trixie"), [""; 0]);
        assert_eq!(between("bookworm", "forky"), ["trixie"]);
        assert_eq!(between("trixie", "bookworm"), [""; 0]);
        assert_eq!(releases.place("warty"), None);
    }
}
