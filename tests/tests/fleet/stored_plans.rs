//! Plans that are kept: what was shown is what is carried out later, and nothing else.

use apu_tests::{Fleet, Stage};

#[test]
fn a_plan_that_was_kept_is_carried_out_as_it_is_and_a_host_that_would_do_something_else_is_drifted() {
    let fleet = Fleet::of(["web1", "web2"]).in_class("web").up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);

    let made = fleet.plain_apt_all("web upgrade --plan");
    assert_eq!(made.code, 0, "{made:?}");
    let kept = "plan p1 is kept; to carry it out: apu apply p1\n";
    assert!(
        made.stdout.contains("pkg-a:amd64  1.0 → 2.0") && made.stdout.ends_with(kept),
        "{made:?}"
    );
    let listed = fleet.apu("plans");
    let line = "by root: apt-all web upgrade; 2 hosts, 10 upgraded (2 security); expires in ";
    assert!(
        listed.stdout.starts_with("p1: ") && listed.stdout.contains(line),
        "{listed:?}"
    );
    let shown = fleet.apu("show p1");
    assert!(
        shown.stdout.contains("web[1-2]: the same 5 changes: 5 upgraded"),
        "{shown:?}"
    );
    for name in ["web1", "web2"] {
        assert_eq!(fleet.host(name).version_of("pkg-a").as_deref(), Some("1.0"));
    }

    // The administrator of one machine keeps a package back meanwhile.
    let web2 = fleet.host("web2");
    web2.sh("apt-mark hold pkg-a").ok();
    let applied = fleet.apu("apply p1");
    assert_eq!(applied.code, 1, "{applied:?}");
    assert!(
        applied.stdout.contains("web1: changed: 5 packages"),
        "{applied:?}"
    );
    assert!(applied.stdout.contains("web2: drifted"), "{applied:?}");
    assert_eq!(fleet.host("web1").version_of("pkg-a").as_deref(), Some("2.0"));
    for package in ["pkg-a", "pkg-b"] {
        assert_eq!(web2.dpkg_l(package).unwrap().1, "1.0");
    }
}

#[test]
fn a_plan_that_has_expired_or_is_not_there_changes_nothing() {
    let fleet = Fleet::of(["web1"]).up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").exited(0);
    let missing = fleet.apu("apply p1");
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.stderr.contains("there is no plan p1"), "{missing:?}");

    fleet.plain_apt_all("web1 upgrade --plan --waves 100%").ok();
    let server = fleet.server();
    let file = "/var/lib/apu-server/plans/1";
    server
        .sh(&format!("sed -i 's/\"at\":[0-9.]*/\"at\":1000000/' {file}"))
        .ok();
    let expired = fleet.apu("apply p1");
    assert_eq!(expired.code, 2, "{expired:?}");
    for part in [
        "plan p1 has expired",
        "try: apt-all web1 upgrade --waves 100% --plan",
    ] {
        assert!(expired.stderr.contains(part), "{expired:?}");
    }
    assert!(fleet.apu("plans").stdout.contains("; expired\n"));
    assert_eq!(fleet.host("web1").version_of("pkg-a").as_deref(), Some("1.0"));

    // With nothing to do there is nothing to keep.
    fleet.apt_all("web1 upgrade --yes").exited(0);
    let none = fleet.plain_apt_all("web1 upgrade --plan");
    assert!(
        none.stderr.contains("no plan was kept: nothing would change"),
        "{none:?}"
    );
}

#[test]
fn a_plan_that_is_carried_out_again_finds_its_hosts_unchanged() {
    let fleet = Fleet::of(["web1", "web2"]).in_class("web").up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    fleet.plain_apt_all("web upgrade --plan").ok();
    let web2 = fleet.host("web2");
    web2.kill_sshd();
    let first = fleet.apu("apply p1");
    assert_eq!(first.code, 1, "{first:?}");
    for part in ["web1: changed: 5 packages", "web2: unreachable"] {
        assert!(first.stdout.contains(part), "{first:?}");
    }

    web2.start_sshd();
    let again = fleet.apu("apply p1");
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.contains("web1: unchanged"), "{again:?}");
    assert!(again.stdout.contains("web2: changed: 5 packages"), "{again:?}");
    assert_eq!(web2.version_of("pkg-a").as_deref(), Some("2.0"));

    // What the plan has not got is not done, where only a part of the plan is left, too.
    web2.sh("apt-get -q -y install pkg-a=1.0 --allow-downgrades").ok();
    let drifted = fleet.apu("apply p1");
    assert_eq!(drifted.code, 1, "{drifted:?}");
    assert!(drifted.stdout.contains("web2: drifted"), "{drifted:?}");
    assert_eq!(web2.version_of("pkg-a").as_deref(), Some("1.0"));
}
