//! What clients say when they are asked: whether apt and dpkg work there, and whether they use all of apu-data's sources.

use apu_fleet::{Ending, HostName};
use apu_proto::{Operation, Request};
use apu_site::Failure;

use super::{Finding, well, wrong};
use crate::apu::remote::{asked, wait};
use crate::context::Context;
use crate::failure;
use crate::view::body::{Body, HOST};
use crate::view::groups::{groups, set};
use crate::view::status::left_out;

/// Asks the hosts of a target; none where somebody stopped the asking.
pub(super) fn findings(context: &Context, target: &[String]) -> Result<Option<Vec<Finding>>, Failure> {
    let hosts = context.inventory()?.resolve(target, &[]);
    let hosts = hosts.map_err(|error| failure::target(&context.site, error))?;
    let ssh = context.ssh()?;
    wait(async {
        let Some(checks) = asked(&ssh, &hosts, context, &Request::check()).await? else {
            return Ok(None);
        };
        let Some(states) = asked(&ssh, &hosts, context, &Request::status()).await? else {
            return Ok(None);
        };
        Ok(Some(check(&checks, &states)))
    })
}

fn check(checks: &[(HostName, Ending)], states: &[(HostName, Ending)]) -> Vec<Finding> {
    let is_ill = |(_, ending): &&(HostName, Ending)| !ending.outcome.is_well();
    let ill: Vec<_> = checks.iter().filter(is_ill).collect();
    let told = ill.iter().map(|(host, ending)| {
        let body = Body::of(Operation::Check, ending);
        (host, (body.headline, body.advice))
    });
    let mut findings: Vec<Finding> = groups(told)
        .into_iter()
        .map(|((headline, advice), hosts)| {
            let hosts = set(&hosts);
            let advice = match advice.replace(HOST, &hosts) {
                advice if advice.is_empty() => format!("sudo apt-all {hosts} check"),
                advice => advice,
            };
            wrong(format!("{hosts}: {headline}"), advice)
        })
        .collect();
    let left = states.iter().filter_map(|(host, ending)| {
        let status = ending.result.as_ref()?.status()?;
        let lines: Vec<String> = status.sources_left_out.iter().map(left_out).collect();
        (!lines.is_empty()).then_some((host, lines))
    });
    let left: Vec<Finding> = groups(left)
        .into_iter()
        .map(|(lines, hosts)| {
            wrong(
                format!("{}: {}", set(&hosts), lines.join("; ")),
                "make both sources agree, or remove one; then on the client: dpkg-reconfigure apu-data",
            )
        })
        .collect();
    findings.extend(left);
    if findings.is_empty() {
        findings.push(well(format!("{} hosts: apt and dpkg work there", checks.len())));
    }
    findings
}

#[cfg(test)]
mod tests {
    use apu_proto::{Answer, Cause, ClientOutcome, Reason, RunResult, SourceLeftOut, Status};

    use super::*;

    fn ended(name: &str, result: RunResult) -> (HostName, Ending) {
        (name.parse().unwrap(), Ending::of_result(Box::new(result), None))
    }

    #[test]
    fn a_client_whose_apt_is_dead_and_one_that_uses_not_all_sources_need_a_hand() {
        let fine = || RunResult::new(ClientOutcome::Unchanged);
        let dead = RunResult::because(
            ClientOutcome::Failed,
            Reason::from(Cause::Sources).detailed("Conflicting values"),
        );
        let status = Box::new(Status {
            sources_left_out: vec![SourceLeftOut {
                source: "http://v.example.org/ s".into(),
                files: "/etc/apt/v.list line 1".into(),
                words: "Conflicting".into(),
            }],
            ..Status::default()
        });
        let partly = fine().with(Answer::Status { status });
        let checks = [ended("web1", fine()), ended("web2", dead)];
        let states = [ended("web1", partly), ended("web2", fine())];
        let findings = check(&checks, &states);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings[0].what.starts_with("web2: "), "{findings:?}");
        assert!(findings[0].what.contains("Conflicting values"), "{findings:?}");
        assert!(
            findings[1].what.starts_with("web1: source left out: "),
            "{findings:?}"
        );
        assert!(findings.iter().all(|finding| finding.advice.is_some()));

        let well = check(&[ended("web1", fine())], &[ended("web1", fine())]);
        assert!(well.len() == 1 && well[0].advice.is_none(), "{well:?}");
    }
}
