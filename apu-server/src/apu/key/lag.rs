//! Which hosts have not got the newest apu-data, and why that is known of them or is not.

use apu_fleet::{Ending, HostName};

use crate::view::body::{Body, HOST};
use crate::view::clean::clean;
use apu_proto::Operation;

/// A host that lags, and what is known of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Laggard {
    pub(super) host: HostName,
    pub(super) why: String,
    pub(super) advice: String,
}

/// The hosts that did not say that they have at least apu-data `needed`.
pub(super) fn laggards(endings: &[(HostName, Ending)], needed: u64) -> Vec<Laggard> {
    let check = |(host, ending): &(HostName, Ending)| {
        let (why, advice) = lag(host, ending, needed)?;
        Some(Laggard {
            host: host.clone(),
            why,
            advice,
        })
    };
    endings.iter().filter_map(check).collect()
}

fn lag(host: &HostName, ending: &Ending, needed: u64) -> Option<(String, String)> {
    let status = ending.result.as_ref().and_then(|result| result.status());
    let Some(status) = status.filter(|_| ending.outcome.is_well()) else {
        let body = Body::of(Operation::Status, ending);
        return Some((body.headline, body.advice.replace(HOST, host.as_str())));
    };
    let data = status.data.as_deref();
    match data.map(|data| (data, data.parse::<u64>())) {
        Some((_, Ok(version))) if version >= needed => None,
        Some((data, _)) => Some((
            format!("has apu-data {}, not {needed}", clean(data)),
            String::new(),
        )),
        None => Some(("has no apu-data".to_owned(), String::new())),
    }
}

#[cfg(test)]
mod tests {
    use apu_fleet::{Outcome, ServerAdvice, ServerCause, ServerReason};
    use apu_proto::{Answer, ClientOutcome, RunResult, Status};

    use super::*;

    fn with_data(data: Option<&str>) -> Ending {
        let status = Box::new(Status {
            data: data.map(str::to_owned),
            ..Status::default()
        });
        let result = RunResult::new(ClientOutcome::Unchanged).with(Answer::Status { status });
        Ending::of_result(Box::new(result), None)
    }

    #[test]
    fn only_a_host_that_says_so_itself_has_the_newest_apu_data() {
        let mut silent = with_data(Some("5"));
        silent.outcome = Outcome::Unreachable;
        silent.reason = Some(
            ServerReason::from(ServerCause::NoAnswerInTime)
                .advise(ServerAdvice::Bootstrap)
                .into(),
        );
        let endings = [
            ("new".parse().unwrap(), with_data(Some("5"))),
            ("newer".parse().unwrap(), with_data(Some("6"))),
            ("old".parse().unwrap(), with_data(Some("4"))),
            ("odd".parse().unwrap(), with_data(Some("5\u{1b}[m"))),
            ("bare".parse().unwrap(), with_data(None)),
            ("silent".parse().unwrap(), silent),
        ];
        let found = laggards(&endings, 5);
        let found: Vec<(&str, &str)> = found
            .iter()
            .map(|laggard| (laggard.host.as_str(), laggard.why.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("old", "has apu-data 4, not 5"),
                ("odd", "has apu-data 5\u{fffd}[m, not 5"),
                ("bare", "has no apu-data"),
                ("silent", "unreachable: no answer in time"),
            ]
        );
    }
}
