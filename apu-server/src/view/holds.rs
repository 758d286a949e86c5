//! The answers to `showhold`: each package on hold, why and until when, with the hosts where it is.

use std::borrow::Borrow;

use apu_fleet::{Ending, HostName};
use apu_proto::{Answer, Hold};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::clean::clean;
use super::groups::{groups, set};
use super::host_table::with_head;
use super::paint::Paint;
use super::run_facts::{shorten, when};

/// The most characters of a set of hosts; `-v` shows all of it.
const LONGEST: usize = 40;

/// A line for each package and reason; nothing where no host answered with any.
#[must_use]
pub fn holds<E: Borrow<Ending>>(
    endings: &[(HostName, E)],
    zone: &TimeZone,
    paint: Paint,
    verbose: bool,
) -> String {
    let mut found: Vec<(&HostName, &Hold)> = Vec::new();
    let mut left_out = Vec::new();
    for (host, ending) in endings {
        let result = ending.borrow().result.as_ref();
        if let Some(Answer::Holds { holds, more }) = result.map(|result| &result.answer) {
            found.extend(holds.iter().map(|hold| (host, hold)));
            if *more > 0 {
                left_out.push((host, *more));
            }
        }
    }
    if found.is_empty() {
        return String::new();
    }
    let mut folded = groups(found);
    folded.sort_by_key(|(hold, _)| *hold);
    let rows = folded.iter().map(|(hold, hosts)| {
        let hosts = set(hosts);
        let hosts = match verbose {
            true => hosts,
            false => shorten(&hosts, LONGEST, paint.unicode),
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            hold.package.to_string(),
            or_none(end(hold, zone)),
            or_none(hold.by.as_ref().map(ToString::to_string)),
            hosts,
            or_none(hold.reason.as_deref().map(clean)),
        ]
    });
    let mut lines = with_head(["PACKAGE", "UNTIL", "BY", "HOSTS", "REASON"], rows, paint);
    for (host, more) in left_out {
        lines.push(format!("{host} has {more} more"));
    }
    paint.letters(lines.join("\n") + "\n\n")
}

/// Behind the name of a package on hold: ` until 2026-12-24 00:00, by alice: waits for #412`.
#[must_use]
pub fn why(hold: &Hold, zone: &TimeZone) -> String {
    let until = end(hold, zone).map(|end| format!(" until {end}"));
    let by = hold.by.as_ref().map(|by| format!(", by {by}"));
    let reason = hold.reason.as_ref().map(|reason| format!(": {}", clean(reason)));
    [until, by, reason].into_iter().flatten().collect()
}

fn end(hold: &Hold, zone: &TimeZone) -> Option<String> {
    let end = i64::try_from(hold.until?).ok();
    let end = end.and_then(|end| Timestamp::from_second(end).ok());
    Some(end.map_or_else(|| "an unknown time".to_owned(), |end| when(end, zone)))
}

#[cfg(test)]
mod tests {
    use apu_proto::{ClientOutcome, RunResult};

    use super::*;

    fn hold(package: &str, reason: Option<&str>, until: Option<u64>) -> Hold {
        Hold {
            package: package.parse().unwrap(),
            reason: reason.map(str::to_owned),
            by: reason.map(|_| "alice".parse().unwrap()),
            until,
        }
    }

    fn answer(host: &str, holds: &[Hold], more: usize) -> (HostName, Ending) {
        let holds = holds.to_vec();
        let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Holds { holds, more });
        (host.parse().unwrap(), Ending::of_result(Box::new(result), None))
    }

    const PAINT: Paint = Paint {
        colour: false,
        unicode: true,
    };

    #[test]
    fn hosts_with_the_same_hold_are_one_line() {
        let nginx = hold("nginx:amd64", Some("waits for #412"), Some(1_798_066_800));
        let other = hold("nginx:amd64", Some("\u{1b}[31mred"), None);
        let by_hand = hold("linux-image-amd64:amd64", None, None);
        let endings = [
            answer("web1", &[nginx.clone(), by_hand.clone()], 0),
            answer("web2", &[nginx, by_hand], 0),
            answer("web3", &[other], 2),
            answer("web4", &[], 0),
        ];
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(
            holds(&endings, &zone, PAINT, false),
            "PACKAGE                  UNTIL             BY     HOSTS     REASON\n\
             linux-image-amd64:amd64  -                 -      web[1-2]  -\n\
             nginx:amd64              -                 alice  web3      \u{fffd}[31mred\n\
             nginx:amd64              2026-12-24 00:00  alice  web[1-2]  waits for #412\n\
             web3 has 2 more\n\n"
        );
        assert_eq!(holds(&endings[3..], &zone, PAINT, false), "");
    }

    #[test]
    fn an_end_that_is_no_time_hides_nothing_else() {
        let odd = hold("vim:amd64", Some("x"), Some(u64::MAX));
        assert_eq!(why(&odd, &TimeZone::UTC), " until an unknown time, by alice: x");
        assert_eq!(why(&hold("vim:amd64", None, None), &TimeZone::UTC), "");
    }
}
