//! The audit trail: one line in this machine's log for each press of the button.

use std::collections::{BTreeMap, BTreeSet};

use apu_archive::quote;
use apu_fleet::{Host, Outcome, RunState, fold};
use apu_ledger::RunNumber;
use apu_proto::{RunId, TransactionId};
use apu_site::{Site, Ui};

use super::args::Args;
use super::decision::words;
use crate::audit_line::AuditLine;
use crate::who::Who;

/// The most plans that a line names.
const PLANS: usize = 8;

/// What is to be known of one push.
#[derive(Debug)]
pub(super) struct Record {
    who: Who,
    target: String,
    request: String,
    hosts: String,
    number: usize,
    /// Its number in the ledger.
    pub(super) ledger: Option<RunNumber>,
    runs: Vec<RunId>,
    plans: BTreeSet<TransactionId>,
    outcomes: BTreeMap<Outcome, usize>,
}

impl Record {
    /// The record of these words, meant for these hosts.
    pub(super) fn of(args: &Args, hosts: &[Host]) -> Self {
        let options = [
            (args.yes, "--yes"),
            (args.dry_run, "--dry-run"),
            (args.allow_remove, "--allow-remove"),
            (args.security, "--security"),
            (args.only_upgrade, "--only-upgrade"),
            (args.download_only, "--download-only"),
            (args.all, "--all"),
            (args.diff, "--diff"),
        ];
        let mut request = vec![args.operation.to_string()];
        request.extend(args.packages.iter().cloned());
        request.extend(words(&args.decision));
        request.extend(
            options
                .iter()
                .filter(|(given, _)| *given)
                .map(|(_, option)| (*option).to_owned()),
        );
        request.extend(args.source.iter().map(|source| format!("--source {source}")));
        request.extend(args.hold.iter().map(|glob| format!("--hold {glob}")));
        request.extend((args.reason.iter()).map(|reason| format!("--reason {}", quote(reason.as_str()))));
        request.extend(args.until.iter().map(|end| format!("--until {end}")));
        let waves = [
            args.canary.as_ref().map(|canary| format!("--canary {canary}")),
            args.waves.as_ref().map(|waves| format!("--waves {waves}")),
        ];
        request.extend(waves.into_iter().flatten());
        request.extend(
            (args.allow_restart.iter()).map(|glob| format!("--allow-restart {}", quote(&glob.to_string()))),
        );
        request.extend(args.min_age.map(|age| format!("--min-age {}s", age.as_secs())));
        Self {
            who: Who::here(),
            target: args.target.clone(),
            request: request.join(" "),
            hosts: fold(hosts.iter().map(|host| host.name.as_str())),
            number: hosts.len(),
            ledger: None,
            runs: Vec::new(),
            plans: BTreeSet::new(),
            outcomes: BTreeMap::new(),
        }
    }

    /// A run that is about to begin.
    pub(super) fn begun(&mut self, run: RunId) {
        self.runs.push(run);
    }

    /// The operation as it was typed, with packages and options.
    pub(super) fn operation(&self) -> &str {
        &self.request
    }

    /// The plans that were shown.
    pub(super) fn planned(&mut self, plans: impl Iterator<Item = TransactionId>) {
        self.plans.extend(plans);
    }

    /// Who pushes.
    pub(super) fn by(&self) -> &str {
        self.who.name()
    }

    /// How the hosts ended.
    pub(super) fn ended(&mut self, run: &RunState) {
        self.outcomes = run.outcomes();
    }

    /// Writes the line, with the exit status where there is one.
    pub(super) fn write(&self, ui: &Ui, site: &Site, status: Option<u8>) {
        self.line(status).write(ui, site, "apt-all");
    }

    fn line(&self, status: Option<u8>) -> AuditLine {
        let mut line = AuditLine::of(&self.who);
        line.field("target", &cut(&self.target, 300));
        line.field("operation", &cut(&self.request, 500));
        if let Some(number) = self.ledger {
            line.field("number", &number);
        }
        let runs: Vec<String> = self.runs.iter().map(ToString::to_string).collect();
        line.field("run", &or_none(&runs.join(",")));
        let counts: Vec<String> = self
            .outcomes
            .iter()
            .map(|(outcome, number)| format!("{outcome}:{number}"))
            .collect();
        line.field("outcomes", &or_none(&counts.join(",")));
        line.field(
            "exit",
            &status.map_or_else(|| "failed".to_owned(), |status| status.to_string()),
        );
        let mut plans: Vec<String> = self.plans.iter().take(PLANS).map(ToString::to_string).collect();
        if self.plans.len() > PLANS {
            plans.push(format!("and-{}-more", self.plans.len() - PLANS));
        }
        line.field("plan", &or_none(&plans.join(",")));
        line.field("hosts", &self.number);
        line.field("names", &self.hosts);
        line
    }
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn cut(text: &str, most: usize) -> String {
    let mut cut: String = text.chars().take(most).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_who_what_where_and_how_it_ended() {
        let record = Record {
            who: Who {
                behind: Some("alice\" user=root".into()),
                login: Some("alice".into()),
                user: "root".into(),
            },
            target: "web,!web3".into(),
            request: "install foo=1 --yes".into(),
            hosts: "web[1-2]".into(),
            number: 2,
            ledger: None,
            runs: vec![RunId::from_bytes([1; 16])],
            plans: (0..10).map(|n| format!("{n:064x}").parse().unwrap()).collect(),
            outcomes: [(Outcome::Changed, 1), (Outcome::Lost, 1)].into(),
        };
        let line = record.line(Some(1));
        let line = line.text();
        assert!(
            line.starts_with(
                "by=\"alice\\\" user=root\" login=alice user=root target=web,!web3 \
                 operation=\"install foo=1 --yes\" run=01010101010101010101010101010101 \
                 outcomes=changed:1,lost:1 exit=1 plan=000"
            ),
            "{line}"
        );
        assert!(line.ends_with(",and-2-more hosts=2 names=web[1-2]"), "{line}");
    }
}
