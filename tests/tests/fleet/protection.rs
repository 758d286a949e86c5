//! `protect` in apu.toml: no package changes where that might restart a protected service, unless the administrator allows it.

use apu_tests::{Fleet, Stage};

#[test]
fn where_services_are_protected_a_host_that_does_not_tell_what_restarts_is_skipped() {
    let fleet = Fleet::of(["db1", "web1"]).up();
    fleet.class("db", "db1\n");
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("default update").exited(0);
    let settings = fleet.server().read("/etc/apu-server/apu.toml").unwrap();
    let protected = format!("{settings}\n[protect]\ndb = [\"postgresql@*\"]\n");
    fleet.server().write("/etc/apu-server/apu.toml", &protected);
    let version = |name: &str| fleet.host(name).version_of("pkg-a");

    // Whatever the target is, the class of the host counts. No systemd runs there, so it tells nothing.
    let run = fleet.apt_all("default dist-upgrade --yes");
    run.ended("web1", "changed").ended("db1", "skipped").exited(1);
    run.because("db1", "\"code\":\"protected-service\"")
        .because("db1", "it does not tell which ones its packages restart");
    assert_eq!(version("web1").as_deref(), Some("2.0"));
    assert_eq!(version("db1").as_deref(), Some("1.0"));

    let shown = fleet.plain_apt_all("db1 dist-upgrade --dry-run");
    for part in [
        "services are protected",
        "try: apt-all db1 dist-upgrade --allow-restart '*'\n",
    ] {
        assert!(shown.stdout.contains(part), "no {part:?}: {shown:?}");
    }
    fleet
        .apt_all("db1 dist-upgrade --yes --allow-restart postgresql@15-main")
        .ended("db1", "skipped");
    assert_eq!(version("db1").as_deref(), Some("1.0"));
    fleet
        .apt_all("db dist-upgrade --yes --allow-restart *")
        .ended("db1", "changed")
        .exited(0);
    assert_eq!(version("db1").as_deref(), Some("2.0"));

    let wrong = fleet.plain_apt_all("db status --allow-restart cron");
    assert_eq!(wrong.code, 2, "{wrong:?}");
    // A class that is not there protects nobody, which must not go unnoticed.
    let missing = format!("{settings}\n[protect]\nnowhere = [\"cron\"]\n");
    fleet.server().write("/etc/apu-server/apu.toml", &missing);
    let wrong = fleet.plain_apt_all("db dist-upgrade --yes");
    assert_eq!(wrong.code, 2, "{wrong:?}");
}

#[test]
fn a_host_that_gets_its_turn_later_is_not_restarted_unseen_either() {
    let fleet = Fleet::of(["db1", "web1"]).up();
    fleet.class("db", "db1\n");
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("default update").exited(0);
    let settings = fleet.server().read("/etc/apu-server/apu.toml").unwrap();
    let protected = format!("{settings}\n[ssh]\nconnect_timeout = 3\n[protect]\ndb = [\"postgresql@*\"]\n");
    fleet.server().write("/etc/apu-server/apu.toml", &protected);
    let db1 = fleet.host("db1");
    db1.pull_the_cable();
    let run = fleet.apt_all("default upgrade --yes --queue 8h");
    run.ended("web1", "changed").ended("db1", "unreachable");

    // It would do what web1 has done and stayed well with, and nobody has seen what that restarts here.
    db1.plug_the_cable_in();
    let turn = fleet.apu("queue run");
    assert_eq!(db1.version_of("pkg-a").as_deref(), Some("1.0"), "{turn:?}");
    let shown = fleet.apu("show @");
    assert!(shown.stdout.contains("services are protected"), "{shown:?}");

    // What was allowed for a run is allowed where it is repeated.
    db1.pull_the_cable();
    let run = fleet.apt_all("db1 upgrade --yes --allow-restart *");
    run.ended("db1", "unreachable");
    db1.plug_the_cable_in();
    let again = fleet.apu("retry --yes");
    assert_eq!(db1.version_of("pkg-a").as_deref(), Some("2.0"), "{again:?}");
}
