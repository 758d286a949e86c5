//! `protect` in apu.toml: no package changes where that might restart a protected service, unless the administrator allows it.

use apu_tests::{Fleet, Stage};

#[test]
fn where_services_are_protected_a_host_that_does_not_tell_what_restarts_is_skipped() {
    let fleet = Fleet::of(["db1", "db2"]).in_class("db").up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("db update").exited(0);
    fleet
        .server()
        .write("/etc/apu-server/apu.toml", "[protect]\ndb = [\"postgresql@*\"]\n");
    // One tells that nothing of it runs under systemd; the other has none, and tells nothing.
    fleet.host("db1").sh("mkdir -p /run/systemd/system").ok();
    let version = |name: &str| fleet.host(name).version_of("pkg-a");

    let run = fleet.apt_all("db dist-upgrade --yes");
    run.ended("db1", "changed").ended("db2", "skipped").exited(1);
    run.because("db2", "\"code\":\"protected-service\"")
        .because("db2", "it does not tell which ones its packages restart")
        .because("db2", "apt-all db2 dist-upgrade --allow-restart '*'");
    assert_eq!(version("db1").as_deref(), Some("2.0"));
    assert_eq!(version("db2").as_deref(), Some("1.0"));

    let shown = fleet.plain_apt_all("db dist-upgrade --dry-run");
    assert!(shown.stdout.contains("services are protected"), "{shown:?}");
    fleet
        .apt_all("db2 dist-upgrade --yes --allow-restart postgresql@15-main")
        .ended("db2", "skipped");
    assert_eq!(version("db2").as_deref(), Some("1.0"));
    fleet
        .apt_all("db dist-upgrade --yes --allow-restart *")
        .ended("db2", "changed")
        .exited(0);
    assert_eq!(version("db2").as_deref(), Some("2.0"));

    let wrong = fleet.plain_apt_all("db status --allow-restart cron");
    assert_eq!(wrong.code, 2, "{wrong:?}");
}
