//! A run in the middle of a maintainer script that takes its time: where most of what can go wrong does.

use apu_proto::ClientOutcome;
use apu_tests::Host;
use apu_tests::systemd::{Answer, Asking, Machine};

/// The run, in requests and in its unit's name.
pub(crate) const ID: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const UNIT: &str = "apu-run@0123456789abcdef0123456789abcdef.service";

/// Starts to install hurts-slow, whose postinst ticks for so many tenths of a second, and waits until it does.
#[track_caller]
pub(crate) fn amid_a_run(machine: &Machine, ticks: u32) -> Asking {
    machine.write("/etc/hurts-slow", &ticks.to_string());
    machine.answer("apu/1 update").ended(ClientOutcome::Changed);
    let mut asking = machine.ask(&format!("apu/1 install run_id={ID} hurts-slow"));
    asking.until_line("tick ");
    asking
}

/// What came before was during the run: dpkg is not done yet.
#[track_caller]
pub(crate) fn it_still_works(host: &Host) {
    let letters = host.dpkg_l("hurts-slow").map(|(letters, _)| letters);
    assert_eq!(letters.as_deref(), Some("iF"), "dpkg is not at work any more");
}

/// Asks for the run of [`amid_a_run`] once more, from its beginning.
#[track_caller]
pub(crate) fn attach(machine: &Machine) -> Answer {
    machine.answer(&format!("apu/1 attach run_id={ID}"))
}

/// The run of [`amid_a_run`] ended as if nothing had been, and says so; dpkg says the same.
#[track_caller]
pub(crate) fn all_went_well(machine: &Machine, answer: &Answer) {
    answer.ended(ClientOutcome::Changed);
    assert_eq!(answer.changes(), ["hurts-slow:amd64 - 2.0"], "{answer:#?}");
    assert!(
        answer.result().reason.is_none() && answer.result().broken().is_empty(),
        "{answer:#?}"
    );
    assert!(answer.lines().contains(&"tick 1"), "{answer:#?}");
    assert_eq!(machine.version_of("hurts-slow").as_deref(), Some("2.0"));
    assert_eq!(machine.exec(&["dpkg", "--audit"]).ok(), "");
}
