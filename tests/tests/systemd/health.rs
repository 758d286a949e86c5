//! Units that fail after a run, and checks that see the machine as it is.

use apu_proto::{Cause, ClientOutcome, RunResult, Verdict};
use apu_tests::systemd::Machine;

use crate::slow_run::ID;

/// The verdict of a check and what it says.
#[track_caller]
fn told<'a>(result: &'a RunResult, name: &str) -> (Verdict, &'a str) {
    let check = result.checks().iter().find(|check| check.name == name);
    let check = check.unwrap_or_else(|| panic!("no {name} in {result:#?}"));
    (check.verdict, check.detail.as_str())
}

#[test]
fn a_unit_that_fails_after_a_run_makes_it_partial_and_one_that_had_failed_before_does_not_count() {
    let machine = Machine::client(&[(
        "/etc/systemd/system/old.service",
        "[Service]\nType=oneshot\nExecStart=/bin/false\n",
    )]);
    assert_ne!(machine.exec(&["systemctl", "start", "old.service"]).code, 0);
    machine.answer("apu/1 update").ended(ClientOutcome::Changed);

    // What fails already is not this run's.
    let answer = machine.answer("apu/1 install pkg-a");
    answer.ended(ClientOutcome::Changed);
    assert_eq!(told(answer.result(), "units"), (Verdict::Pass, ""));

    let answer = machine.answer(&format!("apu/1 install run_id={ID} hurts-unit"));
    let result = answer.ended(ClientOutcome::Partial).result();
    assert_eq!(answer.changes(), ["hurts-unit:amd64 - 2.0"], "{answer:#?}");
    let reason = result.reason.as_ref().unwrap();
    let checks = vec!["units".to_owned()];
    assert_eq!(reason.cause, Cause::ChecksFailed { checks });
    assert_eq!(reason.detail, ["units: hurts-unit.service (exit-code)"]);
    assert_eq!(
        told(result, "units"),
        (Verdict::Fail, "hurts-unit.service (exit-code)")
    );

    // Later, and compared with what was before that run, it is the same; compared with nothing, both have failed.
    let later = machine.answer(&format!("apu/1 health run_id={ID}"));
    let result = later.ended(ClientOutcome::Failed).result();
    assert_eq!(
        told(result, "units"),
        (Verdict::Fail, "hurts-unit.service (exit-code)")
    );
    let alone = machine.answer("apu/1 health");
    let result = alone.ended(ClientOutcome::Failed).result();
    let both = "hurts-unit.service (exit-code)\nold.service (exit-code)";
    assert_eq!(told(result, "units"), (Verdict::Fail, both));

    machine.sh("systemctl reset-failed hurts-unit.service").ok();
    machine
        .answer(&format!("apu/1 health run_id={ID}"))
        .ended(ClientOutcome::Unchanged);
    machine
        .answer("apu/1 health run_id=fedcba9876543210fedcba9876543210")
        .ended(ClientOutcome::Failed)
        .because(apu_proto::ReasonCode::UnknownRun);
}

#[test]
fn checks_that_are_asked_for_see_the_machine_as_those_after_a_run_and_nothing_of_them_is_left() {
    let script =
        "#!/bin/sh\ngrep -e NoNewPrivs -e Seccomp: -e CapBnd /proc/self/status\nsetsid sleep 86361 &\n";
    let machine = Machine::client(&[("/etc/apu-client/checks.d/sight", script)]);
    machine.sh("chmod 755 /etc/apu-client/checks.d/sight").ok();
    machine.answer("apu/1 update").ended(ClientOutcome::Changed);

    let asked = machine.answer("apu/1 health");
    let (verdict, seen) = told(asked.ended(ClientOutcome::Unchanged).result(), "checks.d/sight");
    assert!(verdict == Verdict::Pass && seen.contains("Seccomp:\t0"), "{seen}");
    machine.wait_until("what the check left has ended", |host| {
        host.exec(&["pgrep", "-x", "sleep"]).stdout.is_empty()
    });
    assert_eq!(machine.sh("ls /var/lib/apu-client/health").ok(), "");
    let units = machine.sh("systemctl list-units --all --plain --no-legend 'apu-health@*'");
    assert_eq!(units.ok(), "");

    let answer = machine.answer("apu/1 install pkg-a");
    let after = told(answer.ended(ClientOutcome::Changed).result(), "checks.d/sight");
    assert_eq!(after, (Verdict::Pass, seen));
}

#[test]
fn a_systemd_that_does_not_answer_leaves_doubt() {
    let machine = Machine::client(&[]);
    machine.answer("apu/1 update").ended(ClientOutcome::Changed);
    machine
        .sh("dpkg-divert --local --rename /bin/systemctl >/dev/null && printf '#!/bin/sh\\ncase \"$1\" in list-units) echo none;; \
             *) exec /bin/systemctl.distrib \"$@\";; esac\\n' >/bin/systemctl && chmod 755 /bin/systemctl")
        .ok();
    let answer = machine.answer("apu/1 install pkg-a");
    let (verdict, said) = told(answer.ended(ClientOutcome::Changed).result(), "units");
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(said.starts_with("systemctl's answer is not understood"), "{said}");
    machine.answer("apu/1 health").ended(ClientOutcome::Failed);
}
