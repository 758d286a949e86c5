//! The report of `apu readiness`: the releases and their ends, who is ready, and what is in the way, equal things together.

use std::fmt::Write as _;

use apu_archive::quote;
use apu_debian::PackageKey;
use apu_fleet::HostName;
use jiff::civil::Date;

use super::clean::clean;
use super::groups::{groups, set};
use super::paint::Paint;
use super::size::size;
use crate::readiness::findings::Finding;
use crate::readiness::releases::Release;
use crate::readiness::suites::Suite;

/// The most packages that a line names.
const NAMED: usize = 10;

/// What is known of a host.
#[derive(Debug)]
pub(crate) enum Told {
    /// What is between it and the release.
    Findings(Vec<Finding>),
    /// It did not say; why.
    Nothing(String),
}

impl Told {
    /// Whether nothing is in its way.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Findings(findings) => !findings.iter().any(Finding::is_in_the_way),
            Self::Nothing(_) => false,
        }
    }
}

/// A release and the dates of it.
pub(crate) fn release(release: &Release, today: Date) -> String {
    let mut parts = vec![match release.released {
        Some(date) if date > today => format!("to be released on {date}"),
        Some(date) => format!("released on {date}"),
        None => "not released".to_owned(),
    }];
    let mut until = |what: &str, date: Option<Date>| {
        if let Some(date) = date {
            let word = if date < today { "ended on" } else { "until" };
            parts.push(format!("{what} {word} {date}"));
        }
    };
    until("support", release.supported_until);
    until("long-term support", release.long_term_until);
    let version = match release.version.as_str() {
        "" => String::new(),
        version => format!(" ({version})"),
    };
    format!("{}{version}: {}", release.series, parts.join(", "))
}

/// Who is ready, and what is in the way of the others.
pub(crate) fn report(told: &[(HostName, Told)], paint: Paint) -> String {
    let with = |is_ready: bool| -> Vec<&HostName> {
        let hosts = told.iter().filter(|(_, told)| told.is_ready() == is_ready);
        hosts.map(|(host, _)| host).collect()
    };
    let (ready, others) = (with(true), with(false));
    let mut text = String::new();
    if !ready.is_empty() {
        let _ = writeln!(text, "{} {}", paint.strong("ready:"), set(&ready));
    }
    if !others.is_empty() {
        let _ = writeln!(text, "{} {}", paint.warn("not ready:"), set(&others));
    }
    let silent = told.iter().filter_map(|(host, told)| match told {
        Told::Nothing(why) => Some((host, why.clone())),
        Told::Findings(_) => None,
    });
    let of_kind = |in_the_way: bool| {
        let all = told.iter().flat_map(|(host, told)| match told {
            Told::Findings(findings) => findings.iter().map(move |found| (host, found)).collect(),
            Told::Nothing(_) => Vec::new(),
        });
        let of_kind = all.filter(|(_, finding)| finding.is_in_the_way() == in_the_way);
        groups(of_kind.map(|(host, finding)| (host, finding.clone())))
    };
    let mut lines: Vec<(String, Vec<&HostName>)> = groups(silent);
    lines.extend(
        of_kind(true)
            .into_iter()
            .map(|(one, hosts)| (finding(&one), hosts)),
    );
    block(&mut text, "in the way", lines, paint);
    let look = of_kind(false).into_iter();
    block(
        &mut text,
        "to look at",
        look.map(|(one, hosts)| (finding(&one), hosts)).collect(),
        paint,
    );
    paint.letters(text)
}

fn block(text: &mut String, head: &str, lines: Vec<(String, Vec<&HostName>)>, paint: Paint) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{}", paint.strong(&format!("{head}:")));
    for (line, hosts) in lines {
        let line = line.replace("HOSTS", &quote(&set(&hosts)));
        let _ = writeln!(text, "  {}: {line}", set(&hosts));
    }
}

/// A finding as a line, with `HOSTS` for the hosts in a command.
fn finding(finding: &Finding) -> String {
    match finding {
        Finding::OtherDistribution { distribution } => {
            format!("runs {}, another distribution", clean(distribution))
        }
        Finding::UnknownRelease { series } => format!(
            "runs {:?}, which distro-info-data does not know; upgrade that package on this server",
            clean(series)
        ),
        Finding::NotOlder { series } => format!("has {} already", clean(series)),
        Finding::Between { series } => {
            format!("{} comes first: releases are not skipped", series.join(", then "))
        }
        Finding::Broken { packages } => {
            format!("broken: {}; try: apt-all HOSTS check", named(packages, 0))
        }
        Finding::Held { packages } => format!("on hold: {}; try: apt-all HOSTS showhold", named(packages, 0)),
        Finding::Pending { packages } => format!(
            "not up to date: {packages} package{}; try: apt-all HOSTS dist-upgrade",
            if *packages == 1 { "" } else { "s" }
        ),
        Finding::RebootRequired => "needs a reboot; try: apt-all HOSTS reboot".into(),
        Finding::LittleSpace { path, bytes, least } => {
            format!(
                "{} has {} free, and should have {}",
                clean(path),
                size(*bytes),
                size(*least)
            )
        }
        Finding::SuiteMissing { suite } => format!("there is no {}", words(suite)),
        Finding::SuiteUnknown { suite, why } => {
            format!(
                "it is not known whether there is {}: {}",
                words(suite),
                clean(why)
            )
        }
        Finding::SuiteNotBound { suite } => {
            format!(
                "{} stays as it is; ask its vendor whether it is for the release",
                words(suite)
            )
        }
        Finding::Obsolete { packages, more } => format!("in no archive: {}", named(packages, *more)),
        Finding::ObsoleteUnknown => "which packages are in no archive is not known".into(),
    }
}

fn words(suite: &Suite) -> String {
    clean(&format!("{} {}", suite.uri, suite.suite))
}

/// The first of the packages, and how many more there are.
fn named(packages: &[PackageKey], more: usize) -> String {
    let names: Vec<&str> = packages.iter().take(NAMED).map(PackageKey::as_str).collect();
    match packages.len().saturating_sub(NAMED) + more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint {
        colour: false,
        unicode: true,
    };

    #[test]
    fn equal_things_stand_once_and_what_is_in_the_way_comes_first() {
        let suite = Suite {
            uri: "https://vendor.example.org/deb".into(),
            suite: "trixie".into(),
        };
        let missing = || Finding::SuiteMissing { suite: suite.clone() };
        let obsolete = |names: usize| Finding::Obsolete {
            packages: (0..names)
                .map(|n| format!("old{n}:amd64").parse().unwrap())
                .collect(),
            more: 0,
        };
        let host = |name: &str| name.parse::<HostName>().unwrap();
        let told = [
            (host("web1"), Told::Findings(vec![obsolete(1)])),
            (host("web2"), Told::Findings(vec![missing(), obsolete(1)])),
            (
                host("web3"),
                Told::Findings(vec![missing(), Finding::RebootRequired, obsolete(12)]),
            ),
            (
                host("db1"),
                Told::Nothing("unreachable: the connection timed out".into()),
            ),
            (
                host("odd"),
                Told::Findings(vec![Finding::OtherDistribution {
                    distribution: "x\u{1b}[2J".into(),
                }]),
            ),
        ];
        let text = report(&told, PLAIN);
        assert_eq!(
            text,
            "ready: web1\n\
             not ready: db1,odd,web[2-3]\n\n\
             in the way:\n  \
             db1: unreachable: the connection timed out\n  \
             web[2-3]: there is no https://vendor.example.org/deb trixie\n  \
             web3: needs a reboot; try: apt-all web3 reboot\n  \
             odd: runs x\u{fffd}[2J, another distribution\n\n\
             to look at:\n  \
             web[1-2]: in no archive: old0:amd64\n  \
             web3: in no archive: old0:amd64, old1:amd64, old2:amd64, old3:amd64, old4:amd64, old5:amd64, old6:amd64, \
             old7:amd64, old8:amd64, old9:amd64 and 2 more\n"
        );
    }

    #[test]
    fn a_release_is_told_with_its_ends() {
        let date = |text: &str| Some(text.parse::<Date>().unwrap());
        let bookworm = Release {
            version: "12".into(),
            series: "bookworm".into(),
            released: date("2023-06-10"),
            supported_until: date("2026-06-10"),
            long_term_until: date("2028-06-30"),
        };
        let today = "2026-11-30".parse().unwrap();
        assert_eq!(
            release(&bookworm, today),
            "bookworm (12): released on 2023-06-10, support ended on 2026-06-10, long-term support until 2028-06-30"
        );
        let next = Release {
            version: String::new(),
            released: None,
            supported_until: None,
            long_term_until: None,
            ..bookworm
        };
        assert_eq!(release(&next, today), "bookworm: not released");
    }
}
