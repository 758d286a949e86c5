//! What would be done, before anybody is asked: equal transactions together.

use std::fmt::Write;

use apu_fleet::HostName;
use apu_proto::Transaction;

use super::body::steps;
use super::groups::{groups, set};
use super::paint::Paint;

/// The transactions of these hosts as text.
#[must_use]
pub fn transactions(planned: &[(HostName, &Transaction)], paint: Paint, verbose: bool) -> String {
    const LONGEST: usize = 40;
    let steps = |(host, transaction): &'_ (HostName, &Transaction)| {
        (host.clone(), steps(transaction), transaction.steps().len())
    };
    let planned: Vec<_> = planned.iter().map(steps).collect();
    let mut text = String::new();
    for ((lines, number), hosts) in groups(
        planned
            .iter()
            .map(|(host, lines, number)| (host, (lines, *number))),
    ) {
        let what = match (number, hosts.len()) {
            (0, _) => "nothing to do".to_owned(),
            (1, 1) => "1 change".to_owned(),
            (1, _) => "the same change".to_owned(),
            (_, 1) => format!("{number} changes"),
            _ => format!("the same {number} changes"),
        };
        let _ = writeln!(text, "{}: {what}", paint.strong(&set(&hosts)));
        let longest = if verbose { usize::MAX } else { LONGEST };
        for line in lines.iter().take(longest) {
            let line = if line.contains("  REMOVED, was ") {
                paint.warn(line)
            } else {
                line.clone()
            };
            let _ = writeln!(text, "  {line}");
        }
        if lines.len() > longest {
            let _ = writeln!(text, "  … and {} more, which -v shows", lines.len() - longest);
        }
    }
    paint.letters(text)
}

#[cfg(test)]
mod tests {
    use apu_proto::Step;

    use super::*;

    #[test]
    fn equal_transactions_are_shown_once_and_removals_shout() {
        let install = Step::Install {
            package: "libssl3:amd64".into(),
            old: Some("3.0.15-1".into()),
            new: "3.0.16-1".into(),
            origin: "Debian-Security:12/stable-security".into(),
        };
        let remove = Step::Remove {
            package: "foo:amd64".into(),
            old: "1".into(),
        };
        let same = Transaction::new(vec![install.clone(), remove], vec!["bar".into()]);
        let other = Transaction::new(vec![install], vec![]);
        let none = Transaction::default();
        let host = |name: &str| -> HostName { name.parse().unwrap() };
        let planned = [
            (host("web01"), &same),
            (host("db1"), &other),
            (host("web02"), &same),
            (host("mail"), &none),
        ];
        let paint = Paint {
            colour: false,
            unicode: true,
        };
        assert_eq!(
            transactions(&planned, paint, false),
            "web[01-02]: the same 2 changes\n\
             \x20 libssl3:amd64  3.0.15-1 → 3.0.16-1  Debian-Security:12/stable-security\n\
             \x20 foo:amd64      REMOVED, was 1\n\
             \x20 kept back: bar\n\
             db1: 1 change\n\
             \x20 libssl3:amd64  3.0.15-1 → 3.0.16-1  Debian-Security:12/stable-security\n\
             mail: nothing to do\n"
        );
    }
}
