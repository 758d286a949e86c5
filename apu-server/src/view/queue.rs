//! The hosts that wait for another turn of a run: for which, why and until when.

use apu_fleet::HostName;
use apu_ledger::{Queued, RunNumber};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::clean::clean;
use super::host_table::host_table;
use super::json::json_time;
use super::paint::Paint;
use super::run_facts::{shorten, when};

/// The most characters of an operation.
const LONGEST: usize = 30;

/// A host that waits, in JSON.
#[derive(Serialize)]
struct Facts<'a> {
    host: &'a HostName,
    run: RunNumber,
    operation: &'a str,
    by: &'a str,
    why: &'a str,
    since: String,
    until: String,
    planned: bool,
}

/// A host that waits, as one value of JSON.
#[must_use]
pub fn facts(queued: &Queued) -> impl Serialize {
    Facts {
        host: &queued.host,
        run: queued.run.number,
        operation: &queued.run.operation,
        by: &queued.run.by,
        why: &queued.why,
        since: json_time(queued.since),
        until: json_time(queued.until),
        planned: queued.trial.is_some(),
    }
}

/// The hosts that wait, for people: a line for each set that waits alike, or with `verbose` for each host.
#[must_use]
pub fn queue(queue: &[Queued], zone: &TimeZone, paint: Paint, verbose: bool) -> String {
    let cells = |queued: &Queued| {
        [
            queued.run.number.to_string(),
            clean(&queued.run.by),
            shorten(&clean(&queued.run.operation), LONGEST, paint.unicode),
            queued.why.clone(),
            when(queued.until, zone),
        ]
    };
    let waiting = queue.iter().map(|queued| (&queued.host, cells(queued).to_vec()));
    let head = ["HOST", "RUN", "BY", "OPERATION", "WHY", "UNTIL"];
    host_table(head, waiting, paint, verbose)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::json::json_line;
    use super::super::run_facts::example_run;
    use super::*;

    fn queued(host: &str, why: &str) -> Queued {
        Queued {
            host: host.parse().unwrap(),
            run: example_run(412),
            since: Timestamp::from_second(1_800_000_000).unwrap(),
            until: Timestamp::from_second(1_800_028_800).unwrap(),
            why: why.to_owned(),
            trial: None,
        }
    }

    #[test]
    fn hosts_that_wait_alike_are_one_line() {
        let waiting = ["web1", "web2", "web3"].map(|host| queued(host, "unreachable"));
        let waiting = [&waiting[..], &[queued("db1", "held")]].concat();
        let paint = Paint {
            colour: false,
            unicode: true,
        };
        let shown = queue(&waiting, &TimeZone::UTC, paint, false);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 3, "{shown}");
        assert!(lines[1].starts_with("web[1-3]  412  "), "{shown}");
        assert!(lines[1].contains("unreachable  2027-01-15 16:00"), "{shown}");
        assert!(lines[2].contains("held"), "{shown}");
        assert_eq!(queue(&waiting, &TimeZone::UTC, paint, true).lines().count(), 5);
        let json = json_line(&facts(&waiting[0])).unwrap();
        assert!(
            json.contains("\"why\":\"unreachable\"") && json.contains("\"planned\":false"),
            "{json}"
        );
    }
}
