//! What is shown of one host's end: a headline and what belongs to it. Hosts with equal bodies are shown together.

use apu_fleet::{Code, Ending, HostName, Outcome};
use apu_proto::{Change, Operation, RunResult, Step, Transaction};

use super::clean::{clean, clean_lines};
use super::columns::columns;

/// Stands for the host's own name in advice, so that the advice of many hosts can be one.
pub const HOST: &str = "HOST";

/// What is shown of a host, apart from its name and its time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Body {
    /// How it ended.
    pub outcome: Outcome,
    /// After the outcome's word.
    pub headline: String,
    /// Below it.
    pub details: Vec<String>,
    /// What to try, with [`HOST`] for the host's name.
    pub advice: String,
}

impl Body {
    /// What is to be shown of an end.
    #[must_use]
    pub fn of(operation: Operation, host: &HostName, ending: &Ending) -> Self {
        let mut details = Vec::new();
        let mut headline = ending.outcome.to_string();
        let mut advice = String::new();
        if let Some(why) = &ending.reason {
            let mut lines = clean_lines(&why.text, 20).into_iter();
            if let Some(first) = lines.next() {
                headline = format!("{headline}: {first}");
            }
            details.extend(lines);
            advice = clean(&why.advice);
            // Only our own advice is known to mean the host where its name stands.
            if matches!(why.code, Code::Here(_)) {
                advice = advice.replace(host.as_str(), HOST);
            }
        }
        if let Some(result) = &ending.result {
            if ending.reason.is_none() {
                headline.push_str(&summary(operation, result));
            }
            details.extend(result_details(result));
            let not_done = matches!(ending.outcome, Outcome::Drifted | Outcome::Refused);
            if let Some(transaction) = result.transaction.as_ref().filter(|_| not_done) {
                details.push("what it would change now:".to_owned());
                details.extend(steps(transaction).iter().map(|line| format!("  {line}")));
            }
            if ending.outcome == Outcome::Drifted && advice.is_empty() {
                advice = format!("apt-all {HOST} {operation}");
            }
        }
        if ending.garbage > 0 {
            details.push(format!(
                "{} lines of its answer were none of apu's",
                ending.garbage
            ));
        }
        Self {
            outcome: ending.outcome,
            headline,
            details,
            advice,
        }
    }
}

fn summary(operation: Operation, result: &RunResult) -> String {
    let number = result.changes.len();
    match operation {
        Operation::Ping => ": answers".to_owned(),
        Operation::Check => ": its packages are whole".to_owned(),
        Operation::Update => match Outcome::from(result.outcome) {
            Outcome::Changed => ": has new package lists".to_owned(),
            _ => ": had the newest package lists".to_owned(),
        },
        _ if number == 1 => ": 1 package".to_owned(),
        _ if number > 1 => format!(": {number} packages"),
        _ => String::new(),
    }
}

fn result_details(result: &RunResult) -> Vec<String> {
    let mut lines = changes(&result.changes);
    let mut list = |what: &str, names: &[String]| {
        if !names.is_empty() {
            lines.push(format!("{what}: {}", clean(&names.join(", "))));
        }
    };
    let broken: Vec<String> = result
        .broken
        .iter()
        .map(|broken| format!("{} ({})", broken.package, broken.state))
        .collect();
    list("not whole", &broken);
    list("marked as installed manually", &result.marked_manual);
    list("kept back", &result.kept_back);
    list(
        "configuration kept, the package's lies beside it",
        &result.conffiles_kept,
    );
    list("questions answered by their default", &result.questions_defaulted);
    lines.extend(result.notes.iter().map(|note| clean(note)));
    if result.reboot_required {
        lines.push("wants a restart".to_owned());
    }
    lines
}

/// The changes that dpkg's database shows, a line each.
fn changes(changes: &[Change]) -> Vec<String> {
    let row = |change: &Change| {
        let package = clean(&change.package);
        let versions = match (&change.old, &change.new) {
            (Some(old), Some(new)) => format!("{} → {}", clean(old), clean(new)),
            (None, Some(new)) => format!("new, {}", clean(new)),
            (Some(old), None) => format!("REMOVED, was {}", clean(old)),
            (None, None) => String::new(),
        };
        vec![package, versions]
    };
    columns(&changes.iter().map(row).collect::<Vec<_>>(), "  ")
}

/// The steps of a transaction, a line each.
#[must_use]
pub fn steps(transaction: &Transaction) -> Vec<String> {
    let row = |step: &Step| match step {
        Step::Install {
            package,
            old,
            new,
            origin,
        } => {
            let versions = match old {
                Some(old) => format!("{} → {}", clean(old), clean(new)),
                None => format!("new, {}", clean(new)),
            };
            vec![clean(package), versions, clean(origin)]
        }
        Step::Remove { package, old } => vec![clean(package), format!("REMOVED, was {}", clean(old))],
    };
    let mut lines = columns(&transaction.steps().iter().map(row).collect::<Vec<_>>(), "  ");
    if !transaction.kept_back.is_empty() {
        lines.push(format!("kept back: {}", clean(&transaction.kept_back.join(", "))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use apu_proto::{ClientOutcome, ReasonCode};

    use super::*;

    #[test]
    fn what_was_found_instead_of_the_plan_is_shown_with_the_way_to_it() {
        let mut result = RunResult::because(ClientOutcome::Drifted, ReasonCode::Drifted, "something else");
        let step = Step::Remove {
            package: "foo:amd64".into(),
            old: "1".into(),
        };
        result.transaction = Some(Transaction::new(vec![step], vec![]));
        let ending = Ending::of_result(Box::new(result), None);
        let body = Body::of(Operation::Upgrade, &"web1".parse().unwrap(), &ending);
        assert_eq!(body.headline, "drifted: something else");
        assert_eq!(
            body.details,
            ["what it would change now:", "  foo:amd64  REMOVED, was 1"]
        );
        assert_eq!(body.advice, "apt-all HOST upgrade");
    }
}
