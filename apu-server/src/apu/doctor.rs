//! `apu doctor`: what would surprise an administrator one day, said before that day.

mod clients;
mod hooks;
mod settings;

use std::fs;
use std::num::NonZeroU16;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use apu_archive::Keyring;
use apu_archive::{Checked, newest_version};
use apu_fleet::{HostName, fold};
use apu_site::{Failure, KeyKind, Rotation, Settings, archive_key_at, say};

use super::key::lasts;
use super::remote::INTERRUPTED;
use crate::context::Context;

/// Look for what would surprise you one day: keys that expire, signatures that run out, hosts without a pinned key.
///
/// Nothing is changed. With a target its hosts are asked too: whether apt and dpkg work there, and whether they use all
/// sources of apu-data. Exit status: 0 all is well, 1 something needs a hand.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ask these classes, hosts and ranges too.
    target: Vec<String>,

    /// Say only what needs a hand, as for cron.
    #[arg(short, long)]
    quiet: bool,
}

/// What was looked at, and what to do about it where that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    what: String,
    /// None where all is well.
    advice: Option<String>,
}

fn well(what: impl Into<String>) -> Finding {
    Finding {
        what: what.into(),
        advice: None,
    }
}

fn wrong(what: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding {
        what: what.into(),
        advice: Some(advice.into()),
    }
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let mut findings = vec![push_key(context), archive_key(context)];
    findings.extend(rotations(context));
    findings.extend(archives(context));
    findings.push(apu_data(context));
    findings.extend(hosts(context));
    findings.extend(hooks::hooks(context));
    findings.extend(settings::settings(context));
    if !args.target.is_empty() {
        match clients::findings(context, &args.target)? {
            Some(found) => findings.extend(found),
            None => return Ok(INTERRUPTED),
        }
    }
    for finding in &findings {
        match &finding.advice {
            Some(advice) => say!(context.ui, "WARN  {}\n      try: {advice}", finding.what),
            None if !args.quiet => say!(context.ui, "ok    {}", finding.what),
            None => {}
        }
    }
    Ok(u8::from(findings.iter().any(|finding| finding.advice.is_some())))
}

fn push_key(context: &Context) -> Finding {
    let path = context.push_key();
    let shown = path.display();
    match fs::metadata(&path) {
        Err(error) => wrong(format!("push key {shown}: {error}"), "sudo apu setup"),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => wrong(
            format!("push key {shown}: others than root may read it"),
            format!("sudo chmod 600 {shown}, and sudo apu key rotate --ssh if one of them may have read it"),
        ),
        Ok(_) => well(format!("push key {shown}: for root alone")),
    }
}

fn archive_key(context: &Context) -> Finding {
    let path = context.site.archive_key();
    let key = match archive_key_at(&path) {
        Ok(key) => key,
        Err(failure) => return wrong(failure.to_string(), "sudo apu setup"),
    };
    let (until, early) = lasts(key.expires(), SystemTime::now());
    let what = format!("archive key {}: {until}", path.display());
    if early && !is_under_way(context, KeyKind::Archive) {
        wrong(what, "sudo apu key rotate --archive")
    } else {
        well(what)
    }
}

fn is_under_way(context: &Context, kind: KeyKind) -> bool {
    Rotation::of(&context.site, &context.settings, kind).is_under_way()
}

fn rotations(context: &Context) -> Vec<Finding> {
    let kinds = [
        (KeyKind::Push, "push", "--ssh"),
        (KeyKind::Archive, "archive", "--archive"),
    ];
    let going = kinds
        .into_iter()
        .filter(|(kind, ..)| is_under_way(context, *kind));
    let finding = |(_, name, option)| {
        wrong(
            format!("{name} key: the next one waits to take the place of the old one"),
            format!("sudo apu key rotate {option}"),
        )
    };
    going.map(finding).collect()
}

/// Every archive that lies here, checked as its clients would.
fn archives(context: &Context) -> Vec<Finding> {
    let path = context.site.archive_gpg();
    let keyring = fs::read(&path).ok().and_then(|bytes| Keyring::parse(&bytes).ok());
    let Some(keyring) = keyring else {
        return vec![wrong(
            format!("{}: no usable keyring", path.display()),
            "sudo apu setup",
        )];
    };
    let days = u32::from(context.settings.archive.valid_days.get());
    directories(&context.settings, context)
        .iter()
        .map(|(directory, suite)| {
            let checked = apu_archive::check_suite(directory, suite.as_deref(), &keyring);
            let left = checked.valid_until.map(|until| {
                SystemTime::from(until)
                    .duration_since(SystemTime::now())
                    .unwrap_or_default()
            });
            let suite = suite.as_ref().map(|suite| format!(" --suite {suite}"));
            let shown = format!("{}{}", directory.display(), suite.unwrap_or_default());
            archive_finding(&shown, &checked, left, days)
        })
        .collect()
}

/// Where the archives lie, and the suites of those that have any.
fn directories(settings: &Settings, context: &Context) -> Vec<(PathBuf, Option<String>)> {
    let others = settings.archives.iter().map(|archive| {
        let suite = archive.suite.as_ref().map(ToString::to_string);
        (&archive.path, suite)
    });
    let all = std::iter::once((&settings.archive.path, None)).chain(others);
    // One that another machine serves is that machine's.
    all.map(|(path, suite)| (context.site.at(path), suite))
        .filter(|(path, _)| path.is_dir())
        .collect()
}

/// A signature is made anew every day: with less than half of its time left, that has not happened for long.
///
/// `shown` is the archive in the words of `apu repo publish`.
fn archive_finding(shown: &str, checked: &Checked, left: Option<Duration>, days: u32) -> Finding {
    if let Some(fault) = checked.faults.first() {
        let more = match checked.faults.len() {
            1 => String::new(),
            count => format!(", and {} more faults", count - 1),
        };
        return wrong(
            format!("archive {shown}: {fault}{more}"),
            format!("sudo apu repo publish {shown}"),
        );
    }
    let left = left.unwrap_or_default();
    let what = format!(
        "archive {shown}: {} packages, signed for {} days more",
        checked.packages,
        left.as_secs() / 86_400
    );
    if left < Duration::from_secs(86_400) * days / 2 {
        wrong(
            format!("{what}, and nobody signs it again"),
            format!("sudo apu repo publish {shown}, and look at `systemctl status apu-publish.timer`"),
        )
    } else {
        well(what)
    }
}

fn apu_data(context: &Context) -> Finding {
    let archive = context.site.at(&context.settings.archive.path);
    match newest_version(&archive, "apu-data") {
        Ok(Some(version)) => well(format!("apu-data {version} is in the archive")),
        Ok(None) => wrong(
            "there is no apu-data for the clients yet",
            "sudo gen-apu-data-pkg",
        ),
        Err(failure) => wrong(failure.to_string(), "sudo gen-apu-data-pkg"),
    }
}

/// Classes that can be used, and hosts whose key is pinned.
fn hosts(context: &Context) -> Vec<Finding> {
    let inventory = match context.inventory() {
        Ok(inventory) => inventory,
        Err(failure) => {
            let advice = failure.advice().unwrap_or("apu hosts").to_owned();
            return vec![wrong(failure.to_string(), advice)];
        }
    };
    let known = context.known_hosts();
    let (mut findings, mut pinned, mut unpinned) = (Vec::new(), 0, Vec::<HostName>::new());
    for class in inventory.classes() {
        match inventory.class(class) {
            Err(error) => findings.push(wrong(
                format!("class {class}: {error}"),
                format!("apu hosts {class}"),
            )),
            Ok(listed) => {
                for host in listed {
                    if unpinned.contains(&host.name) {
                        continue;
                    }
                    let port = host.port.or(context.settings.ssh.port.map(NonZeroU16::get));
                    match known.knows(&host.name, port) {
                        Ok(true) => pinned += 1,
                        Ok(false) => unpinned.push(host.name),
                        Err(error) => {
                            let path = context.site.known_hosts();
                            let path = path.display();
                            findings.push(wrong(
                                format!("{path} cannot be read: {error}; nothing can be pushed"),
                                format!("sudo ls -ld {path}"),
                            ));
                            return findings;
                        }
                    }
                }
            }
        }
    }
    if unpinned.is_empty() {
        if pinned > 0 {
            findings.push(well("hosts: the key of each is pinned"));
        }
    } else {
        let names = fold(unpinned.iter().map(HostName::as_str));
        findings.push(wrong(
            format!("no key is pinned for {names}: nothing can be pushed there"),
            format!("sudo apu bootstrap {names}, or sudo apu host-key {names}"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use apu_archive::{Checked, Fault};

    use super::archive_finding;

    #[test]
    fn a_signature_that_was_not_renewed_is_told_before_it_runs_out() {
        let day = Duration::from_secs(86_400);
        let whole = Checked {
            packages: 3,
            ..Checked::default()
        };
        let finding = |days: u32| archive_finding("/a", &whole, Some(day * days), 30);
        assert_eq!(
            finding(29).what,
            "archive /a: 3 packages, signed for 29 days more"
        );
        assert_eq!(finding(15).advice, None);
        assert!(finding(14).advice.is_some());
        let damaged = Checked {
            faults: vec![Fault {
                path: "Packages".into(),
                what: "is another".into(),
            }],
            ..whole
        };
        let finding = archive_finding("/a", &damaged, Some(day * 29), 30);
        assert_eq!(finding.what, "archive /a: Packages: is another");
    }
}
