//! A machine that goes down: by a shutdown, which waits, and by a cut of its power, after which the truth is told.

use std::time::Duration;

use apu_proto::{ClientOutcome, ReasonCode};
use apu_tests::systemd::Machine;

use crate::slow_run::{ID, UNIT, all_went_well, amid_a_run, attach, it_still_works};

#[test]
fn a_shutdown_waits_until_the_run_is_done_and_recorded() {
    let mut machine = Machine::client(&[]);
    let asking = amid_a_run(&machine, 60);

    machine.exec(&["systemctl", "poweroff"]).ok();
    machine.wait_until("systemd has told the run to stop", |machine| {
        machine.exec(&["systemctl", "is-active", UNIT]).stdout != "active\n"
    });
    it_still_works(&machine);
    let took = machine.wait_for_power_off();
    drop(asking);

    assert!(
        took > Duration::from_secs(1),
        "it went down after {took:?}, with dpkg at work"
    );
    assert!(
        machine
            .disk()
            .join("var/lib/apu-client/runs")
            .join(ID)
            .join("result")
            .is_file()
    );
    machine.switch_on();
    all_went_well(&machine, &attach(&machine));
}

#[test]
fn a_cut_of_the_power_is_told_as_it_was_and_the_next_run_repairs_it() {
    let mut machine = Machine::client(&[]);
    let asking = amid_a_run(&machine, 600);
    machine.cut_the_power();
    drop(asking);
    machine.switch_on();

    let answer = attach(&machine);
    answer.because(ReasonCode::Interrupted);
    let broken: Vec<_> = answer
        .result()
        .broken()
        .iter()
        .map(|broken| (broken.package.as_str(), broken.state.as_str()))
        .collect();
    assert_eq!(
        broken,
        [("hurts-slow:amd64", "install ok half-configured")],
        "{answer:#?}"
    );
    it_still_works(&machine);

    machine.write("/etc/hurts-slow", "1");
    machine
        .answer("apu/1 install hurts-slow")
        .ended(ClientOutcome::Changed);
    assert_eq!(machine.version_of("hurts-slow").as_deref(), Some("2.0"));
    assert_eq!(machine.exec(&["dpkg", "--audit"]).ok(), "");
}
