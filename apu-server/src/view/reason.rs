//! English for the reasons of clients: the one place that makes sentences of their causes.
//!
//! Every parameter is a client's word: what comes out of here is cleaned where it is shown.

use std::collections::BTreeMap;

use apu_debian::PackageKey;
use apu_debian::debconf::Misfit;
use apu_fleet::{Description, HostName, HostReason, ServerCause};
use apu_proto::{
    Action, ActiveRuns, Beside, Cause, ConffileFault, ExpiredArchive, Incomplete, MAX_PROVIDERS, Progress,
    Reason, WrongAnswer,
};
use jiff::Timestamp;

use super::server_reason::{server_advice_text, server_reason_lines};
use super::size::size;

/// What is said of a run that apu-client did not carry to its end.
pub(super) const CLIENT_ENDED: &str =
    "apu-client was ended while this run was at work; the rest is read from dpkg's database";

/// Any reason as lines. The first line says what happened and why, the others add details.
#[must_use]
pub fn host_reason_lines(reason: &HostReason) -> Vec<String> {
    match reason {
        HostReason::Server(reason) => {
            let mut lines = server_reason_lines(reason);
            // Why another host did not do its part may be that host's own word.
            if let ServerCause::NotFrozen {
                host: Some(host),
                why: Some(why),
                ..
            } = &reason.cause
            {
                lines.push(format!(
                    "{host}, asked last: {}",
                    host_reason_lines(why).join(": ")
                ));
            }
            lines
        }
        HostReason::Client(reason) => reason_lines(reason),
    }
}

/// A reason with what to try on this host, for lines of JSON.
#[must_use]
pub fn describe(host: &HostName, reason: &HostReason) -> Description {
    let advice = match reason {
        HostReason::Server(reason) => reason.advice.as_ref(),
        HostReason::Client(_) => None,
    };
    Description {
        text: host_reason_lines(reason).join("\n"),
        advice: advice.map_or_else(String::new, |advice| server_advice_text(advice, host.as_str())),
    }
}

/// A client's reason as lines. The first line says what happened and why, the others add details.
#[must_use]
pub fn reason_lines(reason: &Reason) -> Vec<String> {
    let mut lines = lines(&reason.cause, &reason.detail);
    if lines.is_empty() {
        lines.push("it gave no cause".to_owned());
    }
    lines
}

/// Why an answer does not fit its question.
fn wrong_answer(answer: &WrongAnswer) -> String {
    let question = &answer.question;
    match answer.why {
        Misfit::NoQuestion => format!("{question}: no package that changes here has this question"),
        Misfit::OtherType => format!("{question} is of another type"),
        Misfit::NoBoolean => format!("{question} is answered with true or false"),
        Misfit::NoChoice => format!(
            "{question} takes only what it offers: {}",
            answer.choices.join(", ")
        ),
        Misfit::NoValue | Misfit::Unknown => format!("{question} does not take its value"),
    }
}

fn lines(cause: &Cause, detail: &[String]) -> Vec<String> {
    // A cause with lines of its own returns them; for any other the detail follows a sentence.
    let sentence = match cause {
        Cause::Malformed | Cause::AptFailed | Cause::LockedForApt => return detail.to_vec(),
        Cause::ListsNotFetched { exit: None } => return detail.to_vec(),
        // What apt and dpkg said comes first, then what became of it.
        Cause::Incomplete(left) => return [detail, &incomplete(left)].concat(),
        Cause::PackagesBroken(left) => return [&incomplete(left), detail].concat(),
        Cause::NoCandidate { providers } => return [detail, &provided(providers)].concat(),
        Cause::UnknownPackage { package, providers } => {
            let unknown = format!("no source of this client has a package {package}");
            return [&[unknown][..], detail, &provided(providers)].concat();
        }
        Cause::OnHold => {
            let held = "this would change packages that are on hold here".to_owned();
            return [&[held], detail].concat();
        }
        Cause::ChangesHeld { packages } => {
            format!(
                "this would change packages that are held for this run: {}",
                names(packages)
            )
        }
        Cause::NotDownloaded { files } => {
            return [&[format!("not fetched: {}", files.join(", "))], detail].concat();
        }
        Cause::Downgrades => return [&["this would downgrade packages".to_owned()], detail].concat(),
        Cause::NotRestarted { services } => {
            let sentence = format!(
                "services of this client were not restarted, or do not run with the new files: {}",
                services.join(", ")
            );
            return [&[sentence], detail].concat();
        }
        Cause::ChecksFailed { checks } => {
            let sentence = format!("checks of this client fail: {}", checks.join(", "));
            return [&[sentence], detail].concat();
        }
        Cause::ChecksInconclusive { checks } => {
            let sentence = format!("checks of this client cannot tell: {}", checks.join(", "));
            return [&[sentence], detail].concat();
        }
        Cause::ListsExpired { archives } => {
            let archives: Vec<String> = archives.iter().map(expired).collect();
            return headed("the package lists have expired", &archives);
        }
        Cause::ClientEnded { progress, left } => {
            let begun = match progress {
                Progress::NotBegun => Some("what was asked for was not begun"),
                Progress::PlanNotUnderstood => {
                    Some("its plan is not understood, so whether all of it was done is not known")
                }
                Progress::Planned | Progress::Unknown => None,
            };
            let ended = [CLIENT_ENDED].into_iter().chain(begun).map(str::to_owned);
            return ended.chain(incomplete(left)).collect();
        }
        Cause::NoRequest { seconds } => format!("no request came within {seconds} s"),
        Cause::UnendedLine => "the request's line has no end".into(),
        Cause::MoreThanALine => "there is more after the request's line".into(),
        Cause::OtherCaller => "only user apu and root may ask".into(),
        Cause::RunAtWork(runs) => format!(
            "{}; whether packages are broken can be checked when it has ended",
            at_work(runs)
        ),
        Cause::TooManyRuns { unfinished } => {
            format!("{unfinished} runs are at work or wait here already")
        }
        Cause::TooManyRequests => "too many requests of the push key are being answered here already".into(),
        Cause::LockHeld {
            lock,
            holder,
            shutting_down,
        } => {
            let why = if *shutting_down {
                "this machine is shutting down, and "
            } else {
                ""
            };
            let holder = if holder.is_empty() {
                "another process"
            } else {
                holder
            };
            format!("{why}{lock} is held by {holder}")
        }
        Cause::RemovalWithoutPlan => {
            "the push key may remove packages only as a plan says, and this request has no plan's hash".into()
        }
        Cause::RemovalNotAllowed { packages } => format!(
            "this would remove {}, and the request does not allow that",
            packages.join(", ")
        ),
        Cause::RemovesProtected { package } => {
            format!("this would remove {package}, which keeps this client reachable")
        }
        Cause::NotInstalled { packages } => {
            format!("not installed on this client: {}", packages.join(", "))
        }
        Cause::HoldsProtected { package } => {
            format!("{package} is never put on hold, since it brings this client the server's next key")
        }
        Cause::HoldIsOver { until, now } => format!(
            "this hold would be over already: it ends at {}, and by this client's clock it is {}",
            utc(*until),
            utc(*now)
        ),
        Cause::TooManyHolds { most } => {
            format!("more than {most} packages would be on hold for a reason, and this client keeps no more")
        }
        Cause::HeldByMachine { packages } => format!(
            "put on hold on this client itself, and not by hold: {}",
            names(packages)
        ),
        Cause::HoldsNotSet { packages } => {
            let sentence = format!("dpkg's database does not show it of {}", names(packages));
            return [&[sentence], detail].concat();
        }
        Cause::RemovesEssential => "this would remove packages that the system cannot work without".into(),
        Cause::DebNotKept { sha256 } => format!("the run has not kept the .deb with the SHA-256 {sha256}"),
        Cause::WrongDeb { sha256 } => {
            format!("other bytes came than those of the .deb with the SHA-256 {sha256}")
        }
        Cause::DebsNotPlanned { debs } => {
            let debs: Vec<String> = debs.iter().map(ToString::to_string).collect();
            format!("the server sent .debs that are not in the approved plan: {}", debs.join(", "))
        }
        Cause::RunIdReused => "this run's id was used for another request".into(),
        Cause::Downgrade { package, old, new } => {
            format!("this would downgrade {package} from {old} to {new}")
        }
        Cause::ForeignArchitecture {
            package,
            architecture,
            native,
        } => format!("{package}: package architecture ({architecture}) does not match system ({native})"),
        Cause::OperationForbidden { operation } => {
            format!("this client's policy does not allow {operation}")
        }
        Cause::RemovalForbidden { operation } => {
            format!("this client's policy does not allow {operation} to remove packages")
        }
        Cause::RebootOnlyWhenNeeded => {
            "this client's policy allows a reboot only where the machine needs it".to_owned()
        }
        Cause::NoSystemd => {
            "this client's PID 1 is not systemd, so which services are stale cannot be told".to_owned()
        }
        Cause::ServicesNotRead => {
            "which services of this client are stale cannot be told: its /proc does not answer, or there is too much of it".to_owned()
        }
        Cause::AnswersForbidden { questions } => format!(
            "this client's policy takes no answers to questions of its packages: {}",
            questions.join(", ")
        ),
        Cause::WrongAnswers { answers } => {
            let wrong: Vec<String> = answers.iter().map(wrong_answer).collect();
            return [&headed("answers of the server do not fit, so nothing of the plan was done", &wrong), detail].concat();
        }
        Cause::AnswersNotTaken => {
            let sentence = "debconf did not take the answers of the server, so nothing of the plan was done".to_owned();
            return [&[sentence], detail].concat();
        }
        Cause::PackageForbidden { package } => {
            format!("this client's policy does not allow to install {package}")
        }
        Cause::OutsideWindows { operation, windows } => {
            format!(
                "this client's policy allows {operation} only in its windows: {}",
                windows.join(", ")
            )
        }
        Cause::InBlackout { operation, blackout } => {
            format!("this client's policy does not allow {operation} in its blackout {blackout}")
        }
        Cause::NoWallTime => {
            "this client's policy has windows, and it cannot be told whether one is open".into()
        }
        Cause::NotTheCandidate {
            package,
            asked,
            found,
            origin,
        } => match origin {
            Some(origin) => {
                format!("the candidate of {package} is {found}, from {origin}, and not {asked}")
            }
            None => format!("the candidate of {package} is {found}, which is installed, and not {asked}"),
        },
        Cause::NotAKey { package } => {
            format!("{package} is not a package and its architecture, as in libc6:amd64")
        }
        Cause::DecisionForbidden { decision } => {
            format!("this client's policy does not allow the decision {decision} about a configuration file")
        }
        Cause::ConffileProtected { path } => {
            format!("{path} says what the server may do here, and no request decides on it")
        }
        Cause::NotAConffile { path } => {
            format!("{path} is neither below /etc nor a configuration file that dpkg knows")
        }
        Cause::ConffileChanged { path, found } => conffile_changed(path, found),
        Cause::ConffileNotSafe { path, why } => conffile_not_safe(path, *why),
        Cause::ConffileNotConfigured { path, package } => {
            format!("dpkg has not finished with {package}, which {path} is of")
        }
        Cause::ConffileOfTwo { path, beside } => {
            let names: Vec<&str> = beside.iter().map(|beside| Beside::as_str(*beside)).collect();
            format!(
                "beside {path} lie several versions of the package, and which one is meant is not known: {}",
                names.join(", ")
            )
        }
        Cause::Drifted => "this client would change something else than what was approved".into(),
        Cause::NoSpace { path } => format!("there is hardly any space left on the file system of {path}"),
        Cause::TooLittleSpace { path, needed, free } => format!(
            "the file system of {path} has {} free, and this needs {}",
            size(*free),
            size(*needed)
        ),
        Cause::ShuttingDown => "this machine is shutting down, and nothing was begun".into(),
        Cause::ListsNotFetched { exit: Some(exit) } => no_error(exit),
        Cause::CannotPlan => "apt cannot plan this".into(),
        Cause::NoDownloads => "apt does not say what it would download".into(),
        Cause::NoSha256 { package } => format!(
            "the archive of {package} names no SHA-256 of its .deb, so it could be another one than was approved"
        ),
        Cause::UnknownStep { line } => format!("a step of apt's simulation is not understood: {line}"),
        Cause::StillAutomatic { packages } => {
            let packages: Vec<&str> = packages.iter().map(|package| package.as_str()).collect();
            format!("still marked as installed automatically: {}", packages.join(", "))
        }
        Cause::PolicyUnreadable => "this client's policy cannot be used: cannot read it".into(),
        Cause::PolicyOfOthers => {
            "this client's policy cannot be used: it is not root's alone to write".into()
        }
        Cause::PolicyMalformed => "this client's policy cannot be used".into(),
        Cause::AptConfiguration => "apt cannot read its configuration".into(),
        Cause::AptSetting { name, value } => format!(
            "apt's configuration sets {name} \"{value}\", and under that apt may do something else than it is asked for"
        ),
        Cause::Sources => "apt cannot read the sources of this client".into(),
        Cause::UnsignedSource {
            file,
            at,
            option,
            archive,
        } => {
            let archive = archive
                .as_ref()
                .map_or(String::new(), |archive| format!(" for {archive}"));
            format!(
                "{file}: line or paragraph {at} sets {option}{archive}: apt would take packages without a signature"
            )
        }
        Cause::SiteSourceUnused { archive } => {
            format!("this machine does not use {archive}, which is the site's own archive")
        }
        Cause::SiteSourceOtherKey { file, archive } => format!(
            "{file} names {archive}, which is the site's own archive, with another key than apu-data has for it"
        ),
        Cause::NoSiteSources { path } => format!(
            "the apu-data of this client does not say which archives are the site's own: there is no source in {path}"
        ),
        Cause::UnknownRun { run } => format!("this client knows no run {run}"),
        Cause::SourcesNotUnderstood => "apt describes its sources in a way that is not understood".into(),
        Cause::NoPlan { operation } => format!("{operation} has no plan"),
        Cause::NotARun { operation } => format!("{operation} is no run"),
        Cause::NeverBegun => "the run was accepted and never begun".into(),
        Cause::ResultNotUnderstood { path } => {
            format!("this run has ended, and its result is not understood: {path}")
        }
        Cause::Fault { action, object } => fault(*action, object.as_deref()),
        Cause::Unknown => "a reason that this version of apt-all does not know".into(),
    };
    headed(&sentence, detail)
}

/// Versions that nobody has decided on.
fn conffile_changed(path: &str, found: &[String]) -> String {
    match found {
        [] => format!("{path} or what lies beside it was changed since that decision"),
        found => format!(
            "{path} has other versions here than those that were decided on: {}",
            found.join(", ")
        ),
    }
}

/// Why a configuration file is left alone.
fn conffile_not_safe(path: &str, why: ConffileFault) -> String {
    let why = match why {
        ConffileFault::Link => "is a symbolic link, and none is followed",
        ConffileFault::NotAFile => "is neither a regular file nor a folder on the way to one",
        ConffileFault::OtherNames => "has more than one name (hard links)",
        ConffileFault::OfOthers => "may be changed by others than root",
        ConffileFault::TooLong => "is too long",
        ConffileFault::Missing => "is not there, although other versions of it are",
        ConffileFault::Unknown => "is not such that it may be changed",
    };
    format!("{path} {why}; decide on it on this client itself")
}

/// An apt-get update that failed without a word.
pub(super) fn no_error(exit: &str) -> String {
    format!("apt-get update ended with {exit} and printed no error")
}

/// A sentence with the first line of a detail behind it, and the other lines.
fn headed(sentence: &str, detail: &[String]) -> Vec<String> {
    match detail.split_first() {
        None => vec![sentence.to_owned()],
        Some((first, others)) => [&[format!("{sentence}: {first}")], others].concat(),
    }
}

fn fault(action: Action, object: Option<&str>) -> String {
    let what = match action {
        Action::ReachClient => "cannot reach apu-client at",
        Action::ReadRequest => "cannot read the request",
        Action::CountRequests => "cannot count the requests",
        Action::MakeRunId => "cannot make a run's id",
        Action::MakeRunRecord => "cannot make the run's record",
        Action::ReadRunRecord => "cannot read the run's record",
        Action::KeepRunRecord => "cannot keep the run's record",
        Action::StartRun => "cannot start the run",
        Action::FollowRun => "cannot follow the run",
        Action::KeepState => "cannot keep state",
        Action::Read => "cannot read",
        Action::ReadDatabase => "cannot read dpkg's database",
        Action::ReadMarks => "cannot read apt's marks",
        Action::ReadRelease => "cannot read the Release file of",
        Action::RunProgram => "cannot run",
        Action::Lock => "cannot lock",
        Action::LookAtLocks => "cannot look at the locks of apt and dpkg",
        Action::LookAtSources => "cannot look at the sources",
        Action::ReadTemplates => "cannot read the questions of the packages",
        Action::LookAtCache => "cannot look at apt's cache of .debs",
        Action::LookAtSpace => "cannot look at the free space",
        Action::Simulate => "cannot simulate",
        Action::AskForChecksums => "cannot ask apt for checksums",
        Action::AskForObsolete => "cannot ask apt which installed packages no archive has",
        Action::AskAboutSources => "cannot ask apt about the sources",
        Action::ReadHolds => "cannot read why packages are on hold, from",
        Action::KeepHolds => "cannot keep why packages are on hold, in",
        Action::CompareConffiles => "cannot compare the versions of configuration files",
        Action::KeepConffile => "cannot keep what is put away of configuration files, in",
        Action::ChangeConffile => "cannot change the configuration file",
        Action::AskAptConfig => "cannot ask apt-config",
        Action::Unknown => "the system refused something",
    };
    match object {
        None => what.to_owned(),
        Some(object) => format!("{what} {object}"),
    }
}

/// What was left undone.
fn incomplete(left: &Incomplete) -> Vec<String> {
    let broken = left
        .broken
        .iter()
        .map(|broken| format!("{} is {}", broken.package, broken.state));
    let not_done = left.not_done.as_ref().map(|first| match left.more_not_done {
        0 => format!("{first} was left as it was"),
        more => format!("{first} and {more} more were left as they were"),
    });
    let interrupted = left
        .interrupted
        .then(|| "dpkg was interrupted and left its journal".to_owned());
    interrupted.into_iter().chain(broken).chain(not_done).collect()
}

/// Which packages provide what was asked for.
fn provided(providers: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let line = |(name, by): (&String, &Vec<String>)| {
        let shown = by[..by.len().min(MAX_PROVIDERS)].join(", ");
        let more = if by.len() > MAX_PROVIDERS {
            " and others"
        } else {
            ""
        };
        format!("{name} is provided by {shown}{more}")
    };
    providers.iter().map(line).collect()
}

/// An archive whose lists have expired.
pub(super) fn expired(archive: &ExpiredArchive) -> String {
    let ExpiredArchive {
        archive,
        until,
        entry,
    } = archive;
    format!("{archive} was valid until {until}, named in {entry}")
}

/// Seconds since 1970 as a time.
fn utc(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok();
    let time = time.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(
        || "a time that is none".to_owned(),
        |time| time.strftime("%F %T UTC").to_string(),
    )
}

/// Packages in one line.
fn names(packages: &[PackageKey]) -> String {
    let names: Vec<&str> = packages.iter().map(PackageKey::as_str).collect();
    names.join(", ")
}

/// The runs at work on a client.
pub(super) fn at_work(runs: &ActiveRuns) -> String {
    let since = utc(runs.since);
    let text = format!(
        "a run is at work: {}, since {since}, run {}",
        runs.operation, runs.run
    );
    match runs.waiting {
        0 => text,
        1 => text + "; 1 more waits for it",
        more => text + &format!("; {more} more wait for it"),
    }
}
