//! A run as it is shown alone: who, when and what, how each host ended, and what to type next.

use std::fmt::Write;
use std::rc::Rc;

use apu_archive::quote;
use apu_fleet::{Ending, HostName, Outcome};
use apu_ledger::{Outcomes, Paused, Run, RunStatus};
use apu_proto::Operation;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::clean::clean;
use super::columns::columns;
use super::groups::{groups, set};
use super::paint::Paint;
use super::run_facts::{CountedRun, HostEnd, HostFacts, RunHost, state, when};
use super::server_reason::of_run;
use super::size::size;
use super::status::table;
use super::summary::{counts, summary, told};
use crate::frozen::FrozenDebs;

/// A run with its hosts.
pub struct Report<'a> {
    /// The run.
    pub run: &'a Run,
    /// How many of its hosts ended how.
    pub outcomes: &'a Outcomes,
    /// What the hosts of its last phase were asked for; none before its first phase.
    pub operation: Option<Operation>,
    /// How long the hosts were at work.
    pub seconds: f64,
    /// Its hosts, in the order of their turns.
    pub hosts: &'a [RunHost],
    /// The .debs that are frozen for it.
    pub frozen: Option<FrozenDebs>,
}

/// `12 .debs, 3.4 MB`.
fn frozen_words(FrozenDebs { debs, bytes }: FrozenDebs) -> String {
    let word = if debs == 1 { ".deb" } else { ".debs" };
    format!("{debs} {word}, {}", size(bytes))
}

/// A run in JSON, with each of its hosts.
#[derive(Serialize)]
struct Facts<'a> {
    #[serde(flatten)]
    run: CountedRun<'a>,
    ends: Vec<HostFacts<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frozen: Option<FrozenDebs>,
}

impl Report<'_> {
    /// Everything as one value of JSON.
    #[must_use]
    pub fn facts(&self) -> impl Serialize {
        Facts {
            run: CountedRun::of(self.run, self.outcomes),
            ends: self.hosts.iter().map(HostFacts::of).collect(),
            frozen: self.frozen,
        }
    }

    /// Everything for people, on a terminal of so many columns.
    #[must_use]
    pub fn text(&self, zone: &TimeZone, width: usize, paint: Paint, verbose: bool) -> String {
        let mut text = paint.letters(self.head(zone, paint)) + "\n";
        let endings: Vec<(HostName, Rc<Ending>)> = self
            .hosts
            .iter()
            .filter(|host| host.end.outcome().is_some())
            .filter_map(|host| Some((host.host.clone(), host.ending.clone()?)))
            .collect();
        text += &table(&endings, zone, width, paint, verbose);
        let is_over = matches!(self.run.status, RunStatus::Ended(_));
        let ends = match self.operation {
            Some(operation) if is_over => summary(operation, &endings, &[], self.seconds, paint, verbose),
            Some(operation) => told(operation, &endings, paint, verbose),
            // It was broken off before its first phase.
            None => String::new(),
        };
        text += &of_run(&ends, Some(self.run.number.get()));
        if !is_over {
            text += &self.unended(&endings, paint);
        }
        if let Some(next) = self.next() {
            let _ = writeln!(text, "\ntry: {next}");
        }
        text
    }

    fn head(&self, zone: &TimeZone, paint: Paint) -> String {
        let run = self.run;
        let mut text = format!(
            "{}\n",
            paint.strong(&format!("run {}: {}", run.number, clean(&run.operation)))
        );
        let mut rows = vec![
            ("target", clean(&run.target)),
            ("by", clean(&run.by)),
            ("began", when(run.begun, zone)),
        ];
        rows.extend(run.ended.map(|ended| ("ended", when(ended, zone))));
        rows.push(("state", state(run, self.outcomes)));
        rows.extend(run.parent.map(|parent| ("parent", format!("run {parent}"))));
        rows.extend(run.client_run.map(|id| ("id", id.to_string())));
        rows.extend(self.frozen.map(|frozen| ("frozen", frozen_words(frozen))));
        let rows: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(name, value)| vec![name.to_owned(), value])
            .collect();
        for line in columns(&rows, "  ") {
            let _ = writeln!(text, "  {line}");
        }
        text
    }

    /// The hosts without an outcome, and how many hosts there are of each kind.
    fn unended(&self, endings: &[(HostName, Rc<Ending>)], paint: Paint) -> String {
        let unended = self.hosts.iter().filter_map(|host| match host.end {
            HostEnd::Outcome(_) => None,
            HostEnd::Unended(unended) => Some((&host.host, unended)),
        });
        let groups = groups(unended);
        let mut text = String::new();
        let mut parts = Vec::new();
        if !endings.is_empty() {
            parts.push(counts(endings, paint));
        }
        for (unended, hosts) in &groups {
            let _ = writeln!(text, "{}: {}", paint.strong(&set(hosts)), unended.words());
            parts.push(format!("{} {}", hosts.len(), unended.words()));
        }
        paint.letters(text + &parts.join(", ") + "\n")
    }

    /// The command that goes on from here.
    fn next(&self) -> Option<String> {
        let number = quote(&self.run.number.to_string());
        let outcomes = self.hosts.iter().filter_map(|host| host.end.outcome());
        match self.run.status {
            RunStatus::BrokenOff => Some(format!("apu resume {number}")),
            RunStatus::WentOn(next) => Some(format!("apu show {next}")),
            RunStatus::Ended(_) if !self.operation?.is_a_run() => None,
            RunStatus::Ended(_) if outcomes.clone().any(|outcome| outcome.is_failure()) => {
                Some(format!("apu retry {number} --failed"))
            }
            RunStatus::Ended(_)
                if outcomes
                    .into_iter()
                    .any(|outcome| outcome == Outcome::Unreachable) =>
            {
                Some(format!("apu retry {number} --unreachable"))
            }
            RunStatus::Running => match self.run.paused? {
                Paused::Asked => Some(format!("apu resume {number}, or apu abort {number}")),
                Paused::Wave(_) => Some(format!("apu promote {number}, or apu abort {number}")),
            },
            RunStatus::Ended(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use apu_fleet::{ServerAdvice, ServerCause, ServerReason};

    use super::super::json::json_line;
    use super::super::run_facts::{Unended, example_host, example_run};
    use super::*;

    const PLAIN: Paint = Paint {
        colour: false,
        unicode: true,
    };

    fn shown(run: &Run, outcomes: &Outcomes, hosts: &[RunHost]) -> String {
        let report = Report {
            run,
            outcomes,
            operation: Some(Operation::Upgrade),
            seconds: 12.34,
            hosts,
            frozen: None,
        };
        report.text(&TimeZone::UTC, 80, PLAIN, false)
    }

    #[test]
    fn a_run_is_told_as_at_its_end_with_what_to_type_next() {
        let changes = [("a:all", Some("1"), Some("2"))];
        let hosts = [
            example_host("web1", Outcome::Changed, &changes),
            example_host("web2", Outcome::Failed, &[]),
        ];
        let outcomes = [(Some(Outcome::Changed), 1), (Some(Outcome::Failed), 1)].into();
        assert_eq!(
            shown(&example_run(412), &outcomes, &hosts),
            "run 412: upgrade --yes\n  \
             target  web\n  \
             by      alice\n  \
             began   2023-11-14 22:13\n  \
             ended   2023-11-14 22:14\n  \
             state   ended: 1 changed, 1 failed\n  \
             id      07070707070707070707070707070707\n\n\
             web1: changed: 1 package\n  \
             a:all  1 → 2\n\
             web2: failed\n\
             1 changed, 1 failed, in 12.3 s\n\n\
             try: apu retry 412 --failed\n"
        );
        let off = [example_host("web1", Outcome::Unreachable, &[])];
        let text = shown(&example_run(412), &outcomes, &off);
        assert!(text.ends_with("try: apu retry 412 --unreachable\n"), "{text}");
        // A decision about a configuration file is repeated by the number of the run.
        let mut undone = example_host("web1", Outcome::Skipped, &[]);
        let advice = ServerAdvice::MendAndRepeat {
            operation: Operation::Conffile,
            packages: Vec::new(),
        };
        let why = ServerReason::from(ServerCause::CheckFailed).advise(advice);
        undone.ending = Some(Ending::without_result(Outcome::Skipped, why, None).into());
        let text = shown(&example_run(412), &outcomes, &[undone]);
        assert!(
            text.contains(
                "try: mend what failed, and then: apu retry 412, which asks for the same decision\n"
            ),
            "{text}"
        );
        // Where all is well there is nothing to type.
        let well = shown(&example_run(412), &outcomes, &hosts[..1]);
        assert!(!well.contains("try:"), "{well}");
    }

    #[test]
    fn a_run_of_300_hosts_is_read_on_one_screen() {
        let packages: Vec<String> = (1..=5).map(|number| format!("package-{number}:amd64")).collect();
        let changes: Vec<(&str, Option<&str>, Option<&str>)> = (packages.iter())
            .map(|package| (package.as_str(), Some("1.0"), Some("2.0")))
            .collect();
        let hosts: Vec<RunHost> = (1..=300)
            .map(|number| {
                let name = format!("web{number:03}");
                match number {
                    41 | 42 => example_host(&name, Outcome::Unreachable, &[]),
                    77 => example_host(&name, Outcome::Failed, &[]),
                    number if number % 20 == 0 => example_host(&name, Outcome::Unchanged, &[]),
                    number if number % 3 == 0 => example_host(&name, Outcome::Changed, &changes[..2]),
                    _ => example_host(&name, Outcome::Changed, &changes),
                }
            })
            .collect();
        let text = shown(&example_run(412), &Outcomes::new(), &hosts);
        // As a terminal of 80 columns breaks the lines.
        let rows = text.lines().map(|line| line.chars().count().div_ceil(80).max(1));
        assert!(rows.sum::<usize>() <= 24, "{text}");
        for part in [
            "web077: failed",
            "web[041-042]: unreachable",
            "package-5",
            "282 changed",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }

    #[test]
    fn a_run_that_was_broken_off_names_what_is_not_known_and_how_to_go_on() {
        let run = Run {
            status: RunStatus::BrokenOff,
            ended: None,
            ..example_run(412)
        };
        let unended = |name: &str, unended| RunHost {
            end: HostEnd::Unended(unended),
            ending: None,
            ..example_host(name, Outcome::Changed, &[])
        };
        let hosts = [
            example_host("web1", Outcome::Changed, &[]),
            unended("web2", Unended::Unknown),
            unended("web3", Unended::NotAsked),
            unended("web4", Unended::NotAsked),
        ];
        let text = shown(&run, &Outcomes::new(), &hosts);
        assert!(
            text.ends_with(
                "\n\nweb1: changed\nweb2: unknown\nweb[3-4]: not asked\n1 changed, 1 unknown, 2 not asked\n\n\
                 try: apu resume 412\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_run_that_was_broken_off_before_its_first_phase_names_its_hosts() {
        let run = Run {
            status: RunStatus::BrokenOff,
            ..example_run(412)
        };
        let hosts = ["web1", "web2"].map(|name| RunHost {
            end: HostEnd::Unended(Unended::NotAsked),
            ending: None,
            ..example_host(name, Outcome::Changed, &[])
        });
        let report = Report {
            run: &run,
            outcomes: &Outcomes::new(),
            operation: None,
            seconds: 0.0,
            hosts: &hosts,
            frozen: None,
        };
        let text = report.text(&TimeZone::UTC, 80, PLAIN, false);
        assert!(
            text.ends_with("\n\nweb[1-2]: not asked\n2 not asked\n\ntry: apu resume 412\n"),
            "{text}"
        );
    }

    #[test]
    fn in_json_each_host_stands_in_the_run() {
        let run = example_run(412);
        let hosts = [example_host("web1", Outcome::Changed, &[])];
        let report = Report {
            run: &run,
            outcomes: &[(Some(Outcome::Changed), 1)].into(),
            operation: Some(Operation::Upgrade),
            seconds: 12.34,
            hosts: &hosts,
            frozen: None,
        };
        let value: serde_json::Value = serde_json::from_str(&json_line(&report.facts()).unwrap()).unwrap();
        assert_eq!(
            (&value["run"], &value["hosts"], &value["ends"][0]["host"]),
            (&412.into(), &1.into(), &"web1".into())
        );
    }
}
