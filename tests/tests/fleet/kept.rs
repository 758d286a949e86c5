//! Connections that were kept open, when what is at their other end is no longer what it was.

use std::time::{Duration, Instant};

use apu_tests::Fleet;

const CONNECT_TIMEOUT: u64 = 4;

fn hasty(fleet: &Fleet) {
    let settings = fleet.server().read("/etc/apu-server/apu.toml").unwrap();
    let shorter = format!("{settings}\n[ssh]\nconnect_timeout = {CONNECT_TIMEOUT}\n");
    fleet.server().write("/etc/apu-server/apu.toml", &shorter);
}

#[test]
fn a_kept_connection_to_a_host_that_is_gone_is_not_trusted_for_long() {
    let fleet = Fleet::of(["web1", "web2"]).up();
    hasty(&fleet);
    fleet.apt_all("default ping").exited(0);

    fleet.host("web1").pull_the_cable();
    let begin = Instant::now();
    let run = fleet.apt_all("default ping");
    let took = begin.elapsed();
    run.ended("web1", "unreachable")
        .because("web1", "no-answer")
        .ended("web2", "unchanged")
        .exited(1);
    // Three seconds for the kept connection, one connection timeout for a new one.
    assert!(took < Duration::from_secs(3 + CONNECT_TIMEOUT + 3), "{took:?}");

    fleet.host("web1").plug_the_cable_in();
    fleet.apt_all("default ping").exited(0);
}

#[test]
fn a_kept_connection_that_was_cut_is_made_anew() {
    let fleet = Fleet::of(["web1"]).up();
    fleet.apt_all("web1 ping").exited(0);
    fleet.host("web1").kill_sshd();
    fleet
        .apt_all("web1 ping")
        .ended("web1", "unreachable")
        .because("web1", "refused");
    fleet.host("web1").start_sshd();
    fleet.apt_all("web1 ping").exited(0);
}

#[test]
fn two_programs_that_connect_at_the_same_time_do_not_disturb_each_other() {
    let fleet = Fleet::of_size(10).up();
    let running: Vec<_> = (0..4).map(|_| fleet.start_apt_all("default ping")).collect();
    for running in running {
        running.finish().all_ended("unchanged").exited(0);
    }
}
