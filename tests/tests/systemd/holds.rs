//! A hold that is over is taken off by a unit of its own: the hardened handler that finds it changes nothing itself.

use std::time::{SystemTime, UNIX_EPOCH};

use apu_proto::{ClientOutcome, Note};
use apu_tests::let_hold_end;
use apu_tests::systemd::Machine;

#[test]
fn a_hold_is_over_before_anything_is_shown_or_planned() {
    let machine = Machine::client(&[]);
    machine.answer("apu/1 update").ended(ClientOutcome::Changed);
    let held = || machine.sh("apt-mark showhold").ok();
    for shows in ["showhold", "status", "upgrade dry_run=yes"] {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let hold = format!("apu/1 hold hold_reason=test hold_until={} pkg-a", now + 3600);
        machine.answer(&hold).ended(ClientOutcome::Changed);
        assert_eq!(held(), "pkg-a\n");
        machine.sh(&let_hold_end("pkg-a")).ok();

        let answer = machine.answer(&format!("apu/1 {shows}"));
        let result = answer.ended(ClientOutcome::Unchanged).result();
        let is_ended = |note: &Note| matches!(note, Note::HoldEnded { package } if package.name() == "pkg-a");
        assert!(result.notes.iter().any(is_ended), "{shows}: {result:?}");
        assert_eq!(held(), "", "{shows}");
    }
}
