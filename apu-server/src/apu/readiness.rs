//! `apu readiness`: which machines could be upgraded to another release, and what would be in the way.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use apu_debian::nearest;
use apu_fleet::{Ending, HostName};
use apu_proto::{Operation, Request, RequestOption, Status};
use apu_site::{Failure, say};
use jiff::Zoned;
use jiff::civil::Date;
use serde::Serialize;

use super::recorded::say_json;
use super::remote::{INTERRUPTED, all_hosts, asked, wait};
use crate::context::Context;
use crate::failure;
use crate::readiness::findings::{Finding, findings, wanted_suites};
use crate::readiness::releases::{Release, Releases};
use crate::readiness::suites::{Had, Suite, ask, bounded};
use crate::view::body::{Body, HOST};
use crate::view::paint::Paint;
use crate::view::readiness::{Told, release, report};

/// How long all archives together may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Report which machines could be upgraded to another release, such as trixie, and what would be in the way; nothing is upgraded.
///
/// Each host tells its state and which of its packages are in no archive. The archives of its sources are asked from this server, by apt's
/// own means, whether they have the release. Dates come from the package distro-info-data. Exit status 1 if something is in the way of
/// a host, or one does not answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo apu readiness trixie
  sudo apu readiness trixie web db1
  sudo apu readiness trixie --json | jq -r 'select(.ready).host'")]
pub(super) struct Args {
    /// The release, by its name in sources, such as trixie or noble.
    release: String,

    /// Classes, hosts and ranges; !WORD leaves out, @FILE and - are lists. Without it, all hosts of all classes.
    target: Vec<String>,

    /// Leave these classes and hosts out.
    #[arg(long, value_name = "TARGET", requires = "target")]
    exclude: Vec<String>,

    /// Print JSON, a host a line.
    #[arg(long)]
    json: bool,
}

/// A host as a line of JSON.
#[derive(Debug, Serialize)]
struct HostFacts<'a> {
    host: &'a HostName,
    ready: bool,
    /// Its release; none where it did not answer.
    from: Option<&'a str>,
    /// The release that is asked for.
    to: &'a str,
    /// Why it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "<[Finding]>::is_empty")]
    findings: &'a [Finding],
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let (releases, to) = find_release(&context.site.at(Path::new("/")), &args.release)?;
    let hosts = if args.target.is_empty() {
        all_hosts(context)?
    } else {
        let hosts = context.inventory()?.resolve(&args.target, &args.exclude);
        hosts.map_err(|error| failure::target(&context.site, error))?
    };
    let request = Request::status()
        .with([RequestOption::Obsolete])
        .map_err(|error| {
            Failure::machine("apu made a request that no client would take, which is a bug").why(error)
        })?;
    let ssh = context.ssh()?;
    let answers = wait(async { asked(&ssh, &hosts, context, &request).await })?;
    let Some(endings) = answers else {
        return Ok(INTERRUPTED);
    };
    let wanted = (endings.iter().filter_map(|(_, ending)| status_of(ending)))
        .filter(|status| status.distribution == releases.distribution)
        .flat_map(|status| wanted_suites(status, &args.release))
        .collect();
    let had = ask_archives(context, wanted);
    let told: Vec<(HostName, Told)> = (endings.iter())
        .map(|(host, ending)| {
            let told = match status_of(ending) {
                Some(status) => Told::Findings(findings(status, &releases, to, &had)),
                None => {
                    let body = Body::of(Operation::Status, ending);
                    Told::Nothing(body.headline.replace(HOST, host.as_str()))
                }
            };
            (host.clone(), told)
        })
        .collect();
    if args.json {
        for ((host, told), (_, ending)) in told.iter().zip(&endings) {
            let (findings, why) = match told {
                Told::Findings(findings) => (&findings[..], None),
                Told::Nothing(why) => (&[][..], Some(why.as_str())),
            };
            let facts = HostFacts {
                host,
                ready: told.is_ready(),
                from: status_of(ending).map(|status| status.codename.as_str()),
                to: &args.release,
                why,
                findings,
            };
            say_json(context, &facts)?;
        }
    } else {
        let paint = Paint::for_stream(context.ui.stdout());
        for line in release_lines(&releases, to, &endings, Zoned::now().date()) {
            say!(context.ui, "{line}");
        }
        say!(context.ui, "");
        context.ui.show(&report(&told, paint));
    }
    Ok(u8::from(told.iter().any(|(_, told)| !told.is_ready())))
}

fn status_of(ending: &Ending) -> Option<&Status> {
    ending.result.as_ref()?.status()
}

/// The release that is asked for, then those that hosts have.
fn release_lines(releases: &Releases, to: usize, endings: &[(HostName, Ending)], today: Date) -> Vec<String> {
    let had: BTreeSet<usize> = (endings.iter())
        .filter_map(|(_, ending)| releases.place(&status_of(ending)?.codename))
        .filter(|place| *place != to)
        .collect();
    let places = std::iter::once(to).chain(had.into_iter().rev());
    places
        .filter_map(|place| releases.releases.get(place))
        .map(|one: &Release| release(one, today))
        .collect()
}

/// The distribution that has a release of this name, and the place of the release.
fn find_release(root: &Path, series: &str) -> Result<(Releases, usize), Failure> {
    let mut names = Vec::new();
    for distribution in ["debian", "ubuntu"] {
        let read = Releases::read(root, distribution);
        let read = read.map_err(|error| {
            Failure::machine(format!("cannot read the releases of {distribution}"))
                .why(error)
                .advise("apt-get install --reinstall distro-info-data")
        })?;
        let Some(releases) = read else { continue };
        if let Some(place) = releases.place(series) {
            return Ok((releases, place));
        }
        names.extend(releases.releases.into_iter().map(|release| release.series));
    }
    if names.is_empty() {
        return Err(
            Failure::machine("this server does not know the releases of Debian and Ubuntu")
                .advise("apt-get install distro-info-data"),
        );
    }
    let failure = Failure::words(format!("{series:?} is no release of Debian or Ubuntu"));
    let near = nearest(series, names.iter().map(String::as_str)).map(str::to_owned);
    Err(match near {
        Some(near) => failure.advise(format!("apu readiness {near}")),
        None => {
            failure.advise("give its name in sources, such as trixie; a newer distro-info-data may know more")
        }
    })
}

/// Asks each archive once.
fn ask_archives(context: &Context, wanted: BTreeSet<Suite>) -> HashMap<Suite, Had> {
    let (suites, _) = bounded(wanted);
    let root: PathBuf = context.site.at(Path::new("/"));
    let begun = Instant::now();
    let answer = |suite: Suite| {
        let had = if begun.elapsed() < LIMIT {
            ask(&root, &suite)
        } else {
            let why = format!("the archives before it took {} s", LIMIT.as_secs());
            Had::Unknown { why }
        };
        (suite, had)
    };
    suites.into_iter().map(answer).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_release_is_found_by_its_name_and_a_misspelt_one_is_corrected() {
        let root = tempfile::tempdir().unwrap();
        let none = format!("{:?}", find_release(root.path(), "trixie").unwrap_err());
        assert!(none.contains("apt-get install distro-info-data"), "{none}");
        let tables = root.path().join("usr/share/distro-info");
        fs::create_dir_all(&tables).unwrap();
        let table = "version,codename,series,created,release,eol\n13,Trixie,trixie,2023-06-10,2025-08-09,2028-08-09\n";
        fs::write(tables.join("debian.csv"), table).unwrap();
        let (releases, place) = find_release(root.path(), "trixie").unwrap();
        assert_eq!((releases.distribution.as_str(), place), ("debian", 0));
        let wrong = format!("{:?}", find_release(root.path(), "trixy").unwrap_err());
        assert!(wrong.contains("apu readiness trixie"), "{wrong}");
        fs::write(tables.join("debian.csv"), "<html>").unwrap();
        assert!(find_release(root.path(), "trixie").is_err());
    }
}
