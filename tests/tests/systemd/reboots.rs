//! Reboots of whole machines: what the client keeps over one, and what the server makes of those that come back or do not.

use apu_proto::{ClientOutcome, ReasonCode};
use apu_tests::systemd::{Machine, Rolling};

const ID: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn a_machine_reboots_once_where_it_needs_it_and_tells_of_it_afterwards() {
    let mut machine = Machine::client(&[]);
    let boot_id = |machine: &Machine| machine.exec(&["cat", "/proc/sys/kernel/random/boot_id"]).ok();
    let before = boot_id(&machine);
    let told = machine.answer("apu/1 reboot dry_run=yes");
    told.ended(ClientOutcome::Unchanged);
    let report = told.result().reboot().unwrap().clone();
    assert_eq!(
        (report.boot_id.as_str(), report.is_needed()),
        (before.trim(), false)
    );
    machine.answer("apu/1 reboot").ended(ClientOutcome::Unchanged);
    let forced = "apu/1 reboot even_if_not_needed=yes";
    machine
        .answer(forced)
        .ended(ClientOutcome::Refused)
        .because(ReasonCode::Policy);

    machine
        .sh("touch /run/reboot-required; echo libc6 >/run/reboot-required.pkgs")
        .ok();
    let request = format!("apu/1 reboot run_id={ID}");
    // The connection may end before the answer has come.
    let asking = machine.ask(&request);
    machine.wait_for_power_off();
    drop(asking);
    machine.switch_on();
    assert_ne!(boot_id(&machine), before);
    let kept = machine.answer(&format!("apu/1 attach run_id={ID}"));
    kept.ended(ClientOutcome::Changed);
    assert_eq!(kept.result().reboot().unwrap().boot_id, before.trim());
    // The same request again is the same run, and no other reboot.
    machine.answer(&request).ended(ClientOutcome::Changed);
    let now = machine.answer("apu/1 reboot dry_run=yes");
    assert!(!now.result().reboot().unwrap().is_needed(), "{now:#?}");
}

#[test]
fn six_machines_in_two_groups_reboot_one_after_the_other_and_one_that_is_away_keeps_only_its_group() {
    let group = |number| if number <= 3 { "exclusive=a" } else { "exclusive=b" };
    let options: Vec<&str> = (1..=6).map(group).collect();
    let fleet = Rolling::start(&options);
    for number in 1..=6 {
        fleet.sh(number, "touch /run/reboot-required");
    }
    let run = |words: &str| {
        let output = fleet.apt_all(&format!("all {words}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), format!("{text}{said}"))
    };
    let (status, text) = run("reboot --dry-run");
    assert_eq!(status, Some(0), "{text}");
    assert!(
        text.contains("m[1-6]: needs a reboot: a package asks for it"),
        "{text}"
    );
    assert!(text.contains("first m1, then 5"), "{text}");

    fleet.stay_off(2, true);
    let (status, text) = run("reboot --yes --waves 100% --timeout 100s");
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("m2: failed: it did not come back from its reboot"),
        "{text}"
    );
    assert!(
        text.contains("m3: skipped: not started: m2, of the same exclusive group a"),
        "{text}"
    );
    assert!(text.contains("m[1,4-6]: changed: rebooted"), "{text}");
    assert_eq!(
        [1, 2, 3, 4, 5, 6].map(|number| fleet.downs(number)),
        [1, 1, 0, 1, 1, 1]
    );

    // While it is away, the other of its group stays up.
    let (status, text) = run("reboot --yes --timeout 100s");
    assert_eq!((status, fleet.downs(3)), (Some(1), 0), "{text}");
    assert!(text.contains("m3: skipped: not started: m2"), "{text}");

    fleet.stay_off(2, false);
    fleet.wait_until_on(2);
    let (status, text) = run("reboot --yes --timeout 100s");
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("m3: changed: rebooted"), "{text}");
    assert_eq!([1, 2, 3, 4, 5, 6].map(|number| fleet.downs(number)), [1; 6]);
    for (one, other) in [(1, 2), (1, 3), (2, 3), (4, 5), (4, 6), (5, 6)] {
        assert!(!fleet.were_down_together(one, other), "m{one} and m{other}");
    }
}
