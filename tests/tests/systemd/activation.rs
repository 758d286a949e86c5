//! The socket: who listens, who is started for a request, and with what privileges.

use apu_proto::{ClientOutcome, Operation, Step};
use apu_tests::systemd::Machine;

use crate::slow_run::{UNIT, all_went_well, amid_a_run};

/// The command lines of apu's processes.
fn of_apu(machine: &Machine) -> Vec<String> {
    let mut processes = machine.processes().unwrap();
    processes.retain(|line| line.contains("apu-client") || line.contains("apu-wrapper"));
    processes
}

/// A field of a process's status, such as `CapBnd`.
fn field(machine: &Machine, pid: &str, field: &str) -> String {
    let status = machine
        .read(&format!("/proc/{pid}/status"))
        .unwrap_or_else(|| panic!("no process {pid}"));
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    let value = lines
        .find(|(name, _)| *name == field)
        .map(|(_, value)| value.trim().to_owned());
    value.unwrap_or_else(|| panic!("no {field} in {status}"))
}

#[test]
fn nothing_of_apu_runs_before_a_request_and_nothing_after_its_answer() {
    let machine = Machine::client(&[]);
    assert_eq!(of_apu(&machine), Vec::<String>::new());

    let answer = machine.answer("apu/1 ping");

    answer.ended(ClientOutcome::Unchanged);
    assert_eq!(
        (answer.code, answer.stderr.as_str()),
        (Some(0), ""),
        "{answer:#?}"
    );
    machine.wait_until("the handler is gone", |_| of_apu(&machine).is_empty());
    let units = machine.sh("systemctl list-units --all --plain --no-legend 'apu-client@*' 'apu-run@*'");
    assert_eq!(units.ok(), "");
}

#[test]
fn the_hardened_handler_can_look_simulate_and_plan() {
    let machine = Machine::client(&[]);
    machine.answer("apu/1 update").ended(ClientOutcome::Changed);

    let answer = machine.answer("apu/1 status");
    let status = answer
        .ended(ClientOutcome::Unchanged)
        .result()
        .status()
        .expect("a status");
    let pending: Vec<_> = status
        .pending
        .iter()
        .map(|pending| (pending.package.as_str(), pending.security))
        .collect();
    assert!(
        pending.contains(&("pkg-a:amd64", false)) && pending.contains(&("pkg-e:amd64", true)),
        "{answer:#?}"
    );
    assert!(
        status.lists_age.is_some_and(|seconds| seconds < 600) && !status.free.is_empty(),
        "{answer:#?}"
    );
    assert!(status.data.is_some() && status.broken.is_empty(), "{answer:#?}");

    machine.answer("apu/1 check").ended(ClientOutcome::Unchanged);
    let answer = machine.answer("apu/1 install dry_run=yes pkg-a");
    let planned = answer
        .ended(ClientOutcome::Unchanged)
        .result()
        .plan()
        .expect("a plan");
    let planned = &planned.transaction;
    let [
        Step::Install {
            package,
            old,
            new,
            sha256: Some(_),
            ..
        },
    ] = planned.steps()
    else {
        panic!("{answer:#?}")
    };
    assert_eq!(
        (package.as_str(), old.as_deref(), new.as_str()),
        ("pkg-a:amd64", Some("1.0"), "2.0")
    );
    assert_eq!(machine.version_of("pkg-a").as_deref(), Some("1.0"));

    let answer = machine.answer(&format!("apu/1 install plan_sha256={} pkg-a", planned.id()));
    answer.ended(ClientOutcome::Changed);
    assert_eq!(answer.result().operation, Some(Operation::Install));
    assert_eq!(machine.version_of("pkg-a").as_deref(), Some("2.0"));
}

#[test]
fn a_handler_is_confined_and_a_run_is_not() {
    let machine = Machine::client(&[]);
    let asking = amid_a_run(&machine, 30);
    let main_pid = |unit: &str| {
        machine
            .sh(&format!("systemctl show --value --property MainPID '{unit}'"))
            .ok()
            .trim()
            .to_owned()
    };
    let handler = machine
        .sh("systemctl list-units --plain --no-legend 'apu-client@*' | cut -d ' ' -f 1")
        .ok();
    let (handler, run) = (main_pid(handler.trim()), main_pid(UNIT));

    assert_eq!(
        (
            field(&machine, &handler, "NoNewPrivs").as_str(),
            field(&machine, &handler, "Seccomp").as_str()
        ),
        ("1", "2")
    );
    assert_ne!(
        field(&machine, &handler, "CapBnd"),
        field(&machine, "1", "CapBnd")
    );
    assert_eq!(
        (
            field(&machine, &run, "NoNewPrivs").as_str(),
            field(&machine, &run, "Seccomp").as_str()
        ),
        ("0", "0")
    );
    assert_eq!(field(&machine, &run, "CapBnd"), field(&machine, "1", "CapBnd"));
    all_went_well(&machine, &asking.answer());
}

#[test]
fn a_burst_of_connections_does_not_switch_the_socket_off() {
    let machine = Machine::client(&[]);
    for _ in 0..300 {
        // Refused for the moment, or let in and gone again: both are a caller's own affair.
        let _ = machine.root_socket();
    }
    machine.wait_until("somebody is let in again", |host| {
        let socket = host.exec(&["systemctl", "is-active", "apu-client.socket"]);
        assert_eq!(socket.stdout, "active\n");
        let answer = machine.answer("apu/1 ping");
        answer.code == Some(0) && !answer.frames.is_empty()
    });
}
