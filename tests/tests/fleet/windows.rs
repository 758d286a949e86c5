//! Maintenance windows and blackouts: packages change only in their times, as the client's own policy and apu.toml say.

use apu_tests::{Fleet, Stage};

/// A time that has been for long, and will be.
const ALWAYS: &str = "2000-01-01..2999-12-31";

fn maintenance(fleet: &Fleet, host: &str, text: &str) {
    fleet
        .host(host)
        .sh(&format!(
            "sed -i '/^\\[maintenance\\]/,$d' /etc/apu-client/policy.toml; printf '[maintenance]\\n{text}\\n' >>/etc/apu-client/policy.toml"
        ))
        .ok();
}

#[test]
fn a_client_changes_packages_only_when_its_policy_says_so() {
    let fleet = Fleet::of(["web1", "web2", "web3"]).in_class("web").up();
    fleet.upstream_offers(Stage::After);
    maintenance(&fleet, "web1", &format!("blackouts = [\"{ALWAYS}\"]"));
    maintenance(&fleet, "web2", "windows = [\"00:00-24:00\"]");
    maintenance(&fleet, "web3", "windows = [\"Sat\"]\\nzone = \"Europe/Nowhere\"");
    // Lists are fetched at any time, and a plan is made.
    fleet.apt_all("web update").exited(0);
    fleet.apt_all("web upgrade --dry-run").exited(0);
    let run = fleet.apt_all("web upgrade --yes --waves 100%");
    run.ended("web1", "refused")
        .because(
            "web1",
            "does not allow upgrade in its blackout 2000-01-01..2999-12-31",
        )
        .ended("web2", "changed")
        .ended("web3", "refused")
        .because("web3", "it cannot be told whether one is open")
        .because("web3", "Europe/Nowhere is not in /usr/share/zoneinfo")
        .exited(1);
    for (host, version) in [("web1", "1.0"), ("web2", "2.0"), ("web3", "1.0")] {
        assert_eq!(
            fleet.host(host).version_of("pkg-a").as_deref(),
            Some(version),
            "{host}"
        );
    }
}

#[test]
fn hosts_whose_class_has_a_blackout_are_skipped_and_the_others_change() {
    let fleet = Fleet::of(["web1", "web2"]).in_class("web").up();
    let server = fleet.server();
    server
        .sh(&format!(
            "echo web2 >/etc/apu-server/clients/quiet; \
             printf '[maintenance.quiet]\\nblackouts = [\"{ALWAYS}\"]\\n' >>/etc/apu-server/apu.toml"
        ))
        .ok();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    let run = fleet.apt_all("web upgrade --yes");
    run.ended("web1", "changed")
        .ended("web2", "skipped")
        .because("web2", "\"code\":\"window\"")
        .because(
            "web2",
            "[maintenance.quiet] has the blackout 2000-01-01..2999-12-31",
        )
        .exited(1);
    fleet.apt_all("web upgrade --yes --ignore-windows").exited(0);
    assert_eq!(fleet.host("web2").version_of("pkg-a").as_deref(), Some("2.0"));

    // A class that nobody knows lets nobody through.
    server
        .sh("sed -i 's/maintenance.quiet/maintenance.quite/' /etc/apu-server/apu.toml")
        .ok();
    let refused = fleet.plain_apt_all("web upgrade --yes");
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("quite"), "{refused:?}");
}
