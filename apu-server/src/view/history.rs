//! The runs of one host: how it ended in each, why, and which packages changed.

use std::fmt::Write;

use apu_ledger::Run;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::changes::Listing;
use super::clean::clean;
use super::columns::columns;
use super::paint::Paint;
use super::reason::host_reason_lines;
use super::run_facts::{HostEnd, HostFacts, RunFacts, RunHost, shorten, when};
use super::summary::duration;

/// The most upgrades below one run; `-v` shows all.
const LONGEST: usize = 5;

/// What a cut operation has at least.
const SHORTEST: usize = 12;

/// A run and the host in it.
#[derive(Debug)]
pub struct HostRun {
    /// The run.
    pub run: Run,
    /// The host.
    pub host: RunHost,
}

/// A run and the host in it, in JSON.
#[derive(Serialize)]
struct Facts<'a> {
    #[serde(flatten)]
    run: RunFacts<'a>,
    #[serde(flatten)]
    host: HostFacts<'a>,
}

impl HostRun {
    /// Both as one value of JSON.
    #[must_use]
    pub fn facts(&self) -> impl Serialize {
        Facts {
            run: RunFacts::of(&self.run),
            host: HostFacts::of(&self.host),
        }
    }
}

/// All of it for people, in so many columns. With `verbose` nothing is cut, however wide and long that is.
#[must_use]
pub fn history(entries: &[HostRun], zone: &TimeZone, width: usize, paint: Paint, verbose: bool) -> String {
    let mut rows = vec![
        ["RUN", "BEGAN", "BY", "OUTCOME", "TOOK", "OPERATION"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(entries.iter().map(|entry| {
        vec![
            entry.run.number.to_string(),
            when(entry.run.begun, zone),
            clean(&entry.run.by),
            entry.host.end.words().to_owned(),
            entry.host.seconds.map_or_else(|| "-".to_owned(), duration),
            clean(&entry.run.operation),
        ]
    }));
    if !verbose {
        let widest = |place: usize| rows.iter().map(|row| row[place].chars().count()).max();
        let fixed: usize = (0..5).filter_map(widest).map(|width| width + 2).sum();
        let room = width.saturating_sub(fixed).max(SHORTEST);
        for row in &mut rows {
            row[5] = shorten(&row[5], room, paint.unicode);
        }
    }
    let mut lines = columns(&rows, "  ").into_iter();
    let mut text = String::new();
    if let Some(head) = lines.next() {
        let _ = writeln!(text, "{}", paint.strong(&head));
    }
    for (line, entry) in lines.zip(entries) {
        let line = match entry.host.end {
            HostEnd::Outcome(outcome) => paint.outcome(outcome, &line),
            HostEnd::Unended(_) => line,
        };
        let _ = writeln!(text, "{line}");
        if let Some(reason) = entry.host.reason() {
            let _ = writeln!(text, "  {}", clean(&host_reason_lines(reason).join("; ")));
        }
        let longest = if verbose { usize::MAX } else { LONGEST };
        for line in Listing::of_changes(entry.host.changes()).lines(longest) {
            let _ = writeln!(text, "  {}", paint.change(&line));
        }
    }
    paint.letters(text)
}

#[cfg(test)]
mod tests {
    use apu_fleet::{Ending, Outcome, ServerCause};

    use super::super::json::json_line;
    use super::super::run_facts::{example_host, example_run};
    use super::*;

    const PLAIN: Paint = Paint {
        colour: false,
        unicode: true,
    };

    fn entries() -> Vec<HostRun> {
        let mut changes: Vec<(String, Option<&str>, Option<&str>)> = (10..18)
            .map(|n| (format!("p{n}:all"), Some("1"), Some("2")))
            .collect();
        changes.push(("old:all".into(), Some("1"), None));
        let changes: Vec<_> = changes
            .iter()
            .map(|(name, old, new)| (name.as_str(), *old, *new))
            .collect();
        let why = ServerCause::ConnectionRefused;
        let unreachable = RunHost {
            ending: Some(Ending::without_result(Outcome::Unreachable, why, None).into()),
            ..example_host("web1", Outcome::Unreachable, &[])
        };
        vec![
            HostRun {
                run: example_run(412),
                host: example_host("web1", Outcome::Changed, &changes),
            },
            HostRun {
                run: Run {
                    operation: "install a-package-with-a-long-name another-one --yes".into(),
                    ..example_run(411)
                },
                host: unreachable,
            },
        ]
    }

    #[test]
    fn each_run_has_its_outcome_its_reason_and_what_changed() {
        let text = history(&entries(), &TimeZone::UTC, 80, PLAIN, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "RUN  BEGAN             BY     OUTCOME      TOOK   OPERATION",
                "412  2023-11-14 22:13  alice  changed      2.0 s  upgrade --yes",
                "  old:all  REMOVED, was 1",
            ]
        );
        assert_eq!(lines[8], "  … and 3 more upgrades, which -v shows");
        assert_eq!(
            lines[9],
            "411  2023-11-14 22:13  alice  unreachable  2.0 s  install a-package-with-a-long…"
        );
        assert_eq!(lines[10], "  connection refused: no sshd listens there");
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(lines.len(), 11);
    }

    #[test]
    fn with_v_everything_is_there() {
        let text = history(&entries(), &TimeZone::UTC, 80, PLAIN, true);
        assert!(
            text.contains("  p17:all  1 → 2\n") && text.contains(" another-one --yes\n"),
            "{text}"
        );
    }

    #[test]
    fn in_json_a_line_has_the_run_and_the_host() {
        let line = json_line(&entries()[1].facts()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        for (field, expected) in [
            ("run", 411.into()),
            ("host", "web1".into()),
            ("outcome", "unreachable".into()),
            ("ended", "2023-11-14T22:14:20.000Z".into()),
            ("host_ended", serde_json::Value::from("2023-11-14T22:13:23.000Z")),
        ] {
            assert_eq!(value[field], expected, "{field}");
        }
        assert_eq!(value["reason"]["cause"], "connection-refused");
        assert!(value["text"].is_string(), "{line}");
    }
}
