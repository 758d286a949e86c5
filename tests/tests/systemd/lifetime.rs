//! A run belongs to the machine: not to its connection, its session, its handler, nor to the apu-client that began it.

use apu_proto::{ClientOutcome, Note};
use apu_tests::repack;
use apu_tests::systemd::Machine;

use crate::slow_run::{ID, UNIT, all_went_well, amid_a_run, attach, it_still_works};

/// How many transactions apt has made so far.
fn transactions(machine: &Machine) -> usize {
    machine
        .read("/var/log/apt/history.log")
        .unwrap_or_default()
        .matches("Start-Date")
        .count()
}

#[test]
fn a_run_survives_its_connection_where_logind_ends_what_sessions_leave() {
    let machine = Machine::client(&[(
        "/etc/systemd/logind.conf.d/kill.conf",
        "[Login]\nKillUserProcesses=yes\n",
    )]);
    let asking = amid_a_run(&machine, 40);
    assert_eq!(
        machine.sh("loginctl --no-legend list-sessions | wc -l").ok(),
        "1\n"
    );

    asking.break_the_connection();
    machine.wait_until("the session is gone", |machine| {
        machine.sh("loginctl --no-legend list-sessions").ok().is_empty()
    });
    it_still_works(&machine);

    all_went_well(&machine, &attach(&machine));
}

#[test]
fn a_run_survives_restarts_of_sshd_of_its_socket_of_its_handlers_and_of_systemd() {
    let machine = Machine::client(&[]);
    let asking = amid_a_run(&machine, 60);

    for command in [
        "systemctl restart ssh.service",
        "systemctl restart apu-client.socket",
        "systemctl kill --signal=KILL 'apu-client@*'",
        "systemctl restart systemd-logind.service",
        "systemctl daemon-reload",
        "systemctl daemon-reexec",
    ] {
        machine.sh(command).ok();
    }
    it_still_works(&machine);

    drop(asking);
    all_went_well(&machine, &attach(&machine));
}

#[test]
fn a_run_that_is_to_stop_is_waited_for() {
    let machine = Machine::client(&[
        // Stops the run the way a shutdown does, with the rest of the machine going on.
        (
            "/etc/systemd/system/apu-run@.service.d/test.conf",
            "[Unit]\nPartOf=work.target\n",
        ),
        (
            "/etc/systemd/system/work.target",
            "[Unit]\nDescription=What is stopped in a test\n",
        ),
    ]);
    machine.exec(&["systemctl", "start", "work.target"]).ok();
    let asking = amid_a_run(&machine, 40);

    let refused = machine.exec(&["systemctl", "stop", UNIT]);
    assert!(
        refused.code != 0 && refused.stderr.contains("refused"),
        "{refused:?}"
    );
    machine
        .exec(&["systemctl", "stop", "--no-block", "work.target"])
        .ok();
    machine.wait_until("systemd has told the run to stop", |machine| {
        machine.exec(&["systemctl", "is-active", UNIT]).stdout != "active\n"
    });
    it_still_works(&machine);

    all_went_well(&machine, &asking.answer());
    machine.wait_until("the unit is gone", |machine| {
        machine.exec(&["systemctl", "is-active", UNIT]).stdout == "inactive\n"
    });
}

#[test]
fn one_id_sent_many_times_at_once_is_one_run() {
    let machine = Machine::client(&[]);
    machine.write("/etc/hurts-slow", "10");
    machine.answer("apu/1 update").ended(ClientOutcome::Changed);
    let before = transactions(&machine);

    let askings: Vec<_> = (0..8)
        .map(|_| machine.ask(&format!("apu/1 install run_id={ID} hurts-slow")))
        .collect();
    let answers: Vec<_> = askings
        .into_iter()
        .map(apu_tests::systemd::Asking::answer)
        .collect();

    for answer in &answers {
        all_went_well(&machine, answer);
        assert_eq!(answer.result(), answers[0].result());
    }
    assert_eq!(transactions(&machine) - before, 1);
}

#[test]
fn apu_client_upgraded_by_a_run_of_its_own_says_so_to_the_end() {
    let machine = Machine::client(&[]);
    let next = machine.offer_the_next_client();
    let before = machine
        .exec(&["dpkg-query", "--show", "--showformat=${Version}", "apu-client"])
        .ok();
    machine.answer("apu/1 update").ended(ClientOutcome::Changed);

    let answer = machine.answer(&format!("apu/1 upgrade run_id={ID}"));

    answer.ended(ClientOutcome::Changed);
    let change = format!("apu-client:amd64 {before} {next}");
    assert!(answer.changes().contains(&change), "no {change:?}: {answer:#?}");
    assert!(answer.result().broken().is_empty(), "{answer:#?}");
    assert_eq!(machine.version_of("apu-client").as_ref(), Some(&next));
    assert_eq!(attach(&machine).result(), answer.result());
    machine.answer("apu/1 ping").ended(ClientOutcome::Unchanged);
    assert_eq!(
        machine
            .exec(&["systemctl", "is-active", "apu-client.socket"])
            .ok(),
        "active\n"
    );
    assert_eq!(
        machine
            .exec(&["systemctl", "is-enabled", "apu-client.socket"])
            .ok(),
        "enabled\n"
    );
}

#[test]
fn sshd_upgraded_by_a_run_is_restarted_and_the_run_goes_on() {
    let machine = Machine::client(&[]);
    let debs = tempfile::tempdir().unwrap();
    std::fs::write(
        debs.path().join("sshd.deb"),
        repack(&machine, "openssh-server", 1),
    )
    .unwrap();
    machine.offer(debs.path());
    let sshd = || machine.sh("systemctl show --property MainPID ssh").ok();
    let before = sshd();
    machine.answer("apu/1 update").ended(ClientOutcome::Changed);

    let answer = machine.answer(&format!("apu/1 upgrade run_id={ID}"));

    answer.ended(ClientOutcome::Changed);
    let is_sshd =
        |change: &String| change.starts_with("openssh-server:amd64 ") && change.ends_with("+again1");
    assert!(answer.changes().iter().any(is_sshd), "{answer:#?}");
    assert!(answer.result().broken().is_empty(), "{answer:#?}");
    assert_ne!(sshd(), before, "sshd was not restarted");
    assert_eq!(attach(&machine).result(), answer.result());
    machine.answer("apu/1 ping").ended(ClientOutcome::Unchanged);
}

#[test]
fn a_run_whose_supervisor_was_killed_is_told_from_dpkgs_database() {
    let machine = Machine::client(&[]);
    let asking = amid_a_run(&machine, 40);

    machine
        .exec(&["systemctl", "kill", "--kill-who=main", "--signal=KILL", UNIT])
        .ok();
    it_still_works(&machine);

    // Who was there from the start, and who comes now: both wait until apt, which nobody has killed, is done.
    let (followed, attached) = (asking.answer(), attach(&machine));
    assert_eq!(followed.result(), attached.result());
    assert_eq!(machine.version_of("hurts-slow").as_deref(), Some("2.0"));
    attached.ended(ClientOutcome::Changed);
    assert_eq!(attached.changes(), ["hurts-slow:amd64 - 2.0"], "{attached:#?}");
    assert_eq!(attached.result().notes, [Note::ClientEnded], "{attached:#?}");
    machine
        .answer("apu/1 install pkg-a")
        .ended(ClientOutcome::Changed);
}
