//! The hosts that other runs have to leave alone: for whom each is held, and whether it is at work.

use apu_fleet::HostName;
use apu_ledger::{Lease, RunNumber, RunStatus};
use jiff::tz::TimeZone;
use serde::Serialize;

use super::clean::clean;
use super::host_table::host_table;
use super::json::json_time;
use super::paint::Paint;
use super::run_facts::when;

/// What is known of a host that is held.
const fn state(lease: &Lease) -> (&'static str, &'static str) {
    match (lease.run.status, lease.is_open) {
        (RunStatus::Running, true) => ("at-work", "at work"),
        (RunStatus::Running, false) => ("waiting", "waits for its turn"),
        _ => ("unknown", "unknown since broken off"),
    }
}

/// A host that is held, in JSON.
#[derive(Serialize)]
struct Facts<'a> {
    host: &'a HostName,
    run: RunNumber,
    by: &'a str,
    since: String,
    state: &'static str,
}

/// A host that is held, as one value of JSON.
#[must_use]
pub fn facts(lease: &Lease) -> impl Serialize {
    Facts {
        host: &lease.host,
        run: lease.run.number,
        by: &lease.run.by,
        since: json_time(lease.since),
        state: state(lease).0,
    }
}

/// The hosts that are held, for people: a line for each set that is held alike, or with `verbose` for each host.
#[must_use]
pub fn locks(leases: &[Lease], zone: &TimeZone, paint: Paint, verbose: bool) -> String {
    let cells = |lease: &Lease| {
        [
            lease.run.number.to_string(),
            clean(&lease.run.by),
            when(lease.since, zone),
            state(lease).1.to_owned(),
        ]
    };
    let held = leases.iter().map(|lease| (&lease.host, cells(lease).to_vec()));
    host_table(["HOST", "RUN", "BY", "SINCE", "STATE"], held, paint, verbose)
}

#[cfg(test)]
mod tests {
    use apu_ledger::Run;
    use jiff::Timestamp;

    use super::super::json::json_line;
    use super::super::run_facts::example_run;
    use super::*;

    const PLAIN: Paint = Paint {
        colour: false,
        unicode: true,
    };

    fn lease(host: &str, status: RunStatus, is_open: bool) -> Lease {
        Lease {
            exclusive: None,
            host: host.parse().unwrap(),
            run: Run {
                status,
                ..example_run(412)
            },
            since: Timestamp::from_second(1_700_000_000).unwrap(),
            is_open,
        }
    }

    fn leases() -> Vec<Lease> {
        vec![
            lease("db1", RunStatus::BrokenOff, true),
            lease("web1", RunStatus::Running, true),
            lease("web2", RunStatus::Running, false),
            lease("web3", RunStatus::Running, true),
        ]
    }

    #[test]
    fn hosts_that_are_held_alike_are_one_line() {
        assert_eq!(
            locks(&leases(), &TimeZone::UTC, PLAIN, false),
            "HOST      RUN  BY     SINCE             STATE\n\
             db1       412  alice  2023-11-14 22:13  unknown since broken off\n\
             web[1,3]  412  alice  2023-11-14 22:13  at work\n\
             web2      412  alice  2023-11-14 22:13  waits for its turn\n"
        );
        let all = locks(&leases(), &TimeZone::UTC, PLAIN, true);
        assert!(
            all.contains("\nweb1  412  alice") && all.contains("\nweb3  412  alice"),
            "{all}"
        );
    }

    #[test]
    fn in_json_each_host_is_a_line() {
        assert_eq!(
            json_line(&facts(&leases()[0])).unwrap(),
            "{\"host\":\"db1\",\"run\":412,\"by\":\"alice\",\"since\":\"2023-11-14T22:13:20.000Z\",\"state\":\"unknown\"}\n"
        );
    }
}
