//! Restarts of services on hosts that follow a script: the health of each is watched, and never two of a group restart at once.

use apu_proto::Verdict;

use super::reboots::carry_out;
use super::*;

const RESTARTED: &str = "{\"frame\":\"result\",\"outcome\":\"changed\",\"operation\":\"restart-services\",\"answer\":\"restarts\",\
    \"restarts\":[\"web\",\"ssh\"]}\n";
const NOT_RESTARTED: &str = "{\"frame\":\"result\",\"outcome\":\"failed\",\"operation\":\"restart-services\",\
    \"answer\":\"restarts\",\"failed\":[{\"service\":\"web\",\"why\":\"still-stale\"}],\
    \"reason\":{\"code\":\"health\",\"cause\":\"not-restarted\",\"parameters\":{\"services\":[\"web\"]}}}\n";
const NOTHING: &str = "{\"frame\":\"result\",\"outcome\":\"unchanged\",\"operation\":\"restart-services\",\"answer\":\"restarts\"}\n";
const WELL: &str = "{\"frame\":\"result\",\"outcome\":\"unchanged\",\"answer\":\"health\",\
    \"checks\":[{\"name\":\"units\",\"verdict\":\"pass\"}]}\n";

async fn restart<const N: usize>(hosts: [(&'static str, &str, Vec<Act>); N], waves: &[usize]) -> Ran {
    carry_out(Operation::RestartServices, hosts, waves).await
}

#[tokio::test(start_paused = true)]
async fn a_host_has_restarted_its_services_when_a_fresh_login_finds_it_well() {
    let ran = restart([("a", "", vec![Act::Says(RESTARTED), Act::Says(WELL)])], &[]).await;
    assert_eq!(ran.outcome("a"), Outcome::Changed);
    let ending = ran.run_state.ending(&"a".parse().unwrap()).unwrap();
    assert_eq!(ending.verdict(), Some(Verdict::Pass));
    let report = ending.result.as_ref().unwrap().restarts().unwrap();
    assert_eq!(report.restarts, ["web", "ssh"]);
    assert_eq!(report.checks.len(), 1);
    assert_eq!(ran.asked("a")[1..], [format!("apu/1 health run_id={}", run_id())]);
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_sshd_does_not_come_back_is_not_well() {
    let mut acts = vec![Act::Says(RESTARTED)];
    acts.resize(200, Act::Unreachable);
    let ran = restart([("a", "", acts), ("b", "", vec![Act::Says(NOTHING)])], &[1, 1]).await;
    assert_eq!(ran.outcome("a"), Outcome::Partial);
    assert_eq!(ran.outcome("b"), Outcome::Skipped);
}

#[tokio::test(start_paused = true)]
async fn a_canary_whose_restart_failed_stops_the_others_and_its_group_waits() {
    let well = || vec![Act::Says(RESTARTED), Act::Says(WELL)];
    let failed = || vec![Act::Says(NOT_RESTARTED)];
    let ran = restart(
        [("a", "", failed()), ("b", "", well()), ("c", "", well())],
        &[1, 2],
    )
    .await;
    assert_eq!(ran.outcome("a"), Outcome::Failed);
    assert_eq!([ran.outcome("b"), ran.outcome("c")], [Outcome::Skipped; 2]);

    let ran = restart(
        [("a", "db", failed()), ("b", "db", well()), ("c", "", well())],
        &[],
    )
    .await;
    assert_eq!(
        [ran.outcome("b"), ran.outcome("c")],
        [Outcome::Skipped, Outcome::Changed]
    );
}

#[tokio::test(start_paused = true)]
async fn never_two_of_an_exclusive_group_restart_at_once() {
    let well = || vec![Act::Says(RESTARTED), Act::Says(WELL)];
    let hosts = [("a", "db", well()), ("b", "db", well()), ("c", "db", well())];
    let ran = restart(hosts, &[]).await;
    let mut at_work = 0;
    for event in &ran.events {
        match event.split(' ').next() {
            Some("host-started") => at_work += 1,
            Some("host-finished") => at_work -= 1,
            _ => {}
        }
        assert!(at_work <= 1, "{:?}", ran.events);
    }
    assert_eq!(
        ["a", "b", "c"].map(|name| ran.outcome(name)),
        [Outcome::Changed; 3]
    );
}
