//! The button does what it says: proved on every client with `dpkg -l`, never by what apt-all says of itself.

use apu_tests::{Fleet, Host, Stage};

const UPGRADED: [&str; 5] = ["pkg-a", "pkg-b", "pkg-c", "pkg-d", "pkg-e"];

#[track_caller]
fn has(host: &Host, package: &str, version: &str) {
    assert_eq!(
        host.version_of(package).as_deref(),
        Some(version),
        "{package} on {}",
        host.name()
    );
}

#[track_caller]
fn lacks(host: &Host, package: &str) {
    let listed = host.dpkg_l(package);
    assert!(
        listed.as_ref().is_none_or(|(letters, _)| !letters.ends_with('i')),
        "{package}: {listed:?}"
    );
}

#[test]
fn update_and_upgrade_bring_every_client_the_new_versions() {
    let fleet = Fleet::of(["web1", "web2", "web3"]).in_class("web").up();
    fleet.apt_all("web update").all_ended("changed").exited(0);
    fleet.apt_all("web update").all_ended("unchanged").exited(0);
    fleet.upstream_offers(Stage::After);

    fleet.apt_all("web update").all_ended("changed").exited(0);
    for client in fleet.clients() {
        has(client, "pkg-a", "1.0");
    }

    let run = fleet.apt_all("web upgrade --yes");
    run.all_ended("changed").exited(0);
    for client in fleet.clients() {
        for package in UPGRADED {
            has(client, package, "2.0");
        }
        assert_eq!(
            run.answer(client.name())["changes"].as_array().unwrap().len(),
            UPGRADED.len()
        );
    }
    let run = fleet.apt_all("web upgrade --yes");
    run.all_ended("unchanged").exited(0);
    assert_eq!(run.outcomes().count(), 3);
}

#[test]
fn status_names_what_is_pending_and_where_it_comes_from() {
    let fleet = Fleet::of(["web1"]).up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("default update").exited(0);

    let run = fleet.apt_all("default status");

    run.ended("web1", "unchanged").exited(0);
    let status = &run.answer("web1")["status"];
    let pending = status["pending"].as_array().unwrap();
    assert_eq!(pending.len(), UPGRADED.len(), "{status:#}");
    for (pending, package) in pending.iter().zip(UPGRADED) {
        assert_eq!(pending["package"], format!("{package}:amd64"));
        assert_eq!((&pending["old"], &pending["new"]), (&"1.0".into(), &"2.0".into()));
        assert_eq!(
            pending["security"].as_bool().unwrap_or_default(),
            package == "pkg-e",
            "{pending:#}"
        );
    }
    has(fleet.host("web1"), "pkg-a", "1.0");
}

#[test]
fn only_dist_upgrade_brings_what_is_newly_needed() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    fleet
        .apt_all("web1 install needs-newcomer --yes")
        .ended("web1", "changed")
        .exited(0);
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").exited(0);

    let run = fleet.apt_all("web1 upgrade --yes");
    run.ended("web1", "changed").exited(0);
    assert_eq!(run.answer("web1")["kept_back"].as_array().unwrap().len(), 1);
    has(web1, "needs-newcomer", "1.0");
    lacks(web1, "newcomer");

    fleet
        .apt_all("web1 dist-upgrade --yes")
        .ended("web1", "changed")
        .exited(0);
    has(web1, "needs-newcomer", "2.0");
    has(web1, "newcomer", "2.0");
}

#[test]
fn a_removal_happens_only_where_it_was_allowed() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    fleet
        .apt_all("web1 install hurts-removal hurts-oldtimer --yes")
        .ended("web1", "changed")
        .exited(0);
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").exited(0);

    let run = fleet.apt_all("web1 dist-upgrade --yes");
    run.ended("web1", "refused")
        .because("web1", "removal")
        .because("web1", "hurts-oldtimer")
        .exited(1);
    has(web1, "hurts-oldtimer", "1.0");
    has(web1, "hurts-removal", "1.0");

    // What does not need the removal can be had without it.
    fleet
        .apt_all("web1 upgrade --yes")
        .ended("web1", "changed")
        .exited(0);
    has(web1, "pkg-a", "2.0");
    has(web1, "hurts-removal", "1.0");

    fleet
        .apt_all("web1 dist-upgrade --allow-remove --yes")
        .ended("web1", "changed")
        .exited(0);
    has(web1, "hurts-removal", "2.0");
    lacks(web1, "hurts-oldtimer");
}

#[test]
fn install_brings_the_named_package_with_its_dependencies() {
    let fleet = Fleet::of(["web1", "web2"]).up();

    fleet
        .apt_all("web1 install needs-automatic pkg-x+=1.0 --yes")
        .ended("web1", "changed")
        .exited(0);

    for package in ["needs-automatic", "automatic", "pkg-x+"] {
        has(fleet.host("web1"), package, "1.0");
        lacks(fleet.host("web2"), package);
    }
    lacks(fleet.host("web1"), "pkg-x");
    fleet
        .apt_all("web1 install needs-automatic --yes")
        .ended("web1", "unchanged")
        .exited(0);
}

#[test]
fn what_cannot_be_installed_is_refused_with_its_reason() {
    let fleet = Fleet::of(["web1"]).up();
    let before = fleet.host("web1").snapshot().unwrap();
    for (packages, code) in [
        ("no-such-package", "unknown-package"),
        ("r.cran", "unknown-package"),
        ("virtual-thing", "unknown-package"),
        ("pkg-x=3.0", "not-the-candidate"),
        ("pkg-x no-such-package", "unknown-package"),
    ] {
        let run = fleet.apt_all(&format!("web1 install {packages} --yes"));
        run.ended("web1", "refused").because("web1", code).exited(1);
    }
    assert_eq!(
        fleet.host("web1").snapshot().unwrap().differences(&before),
        Vec::<&std::path::Path>::new()
    );
}

#[test]
fn remove_takes_the_administrator_of_the_client_to_allow_it() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    fleet
        .apt_all("web1 remove pkg-a --yes")
        .ended("web1", "refused")
        .because("web1", "policy")
        .exited(1);
    has(web1, "pkg-a", "1.0");

    web1.write(
        "/etc/apu-client/policy.toml",
        "operations = [\"remove\", \"install\", \"autoremove\"]\n",
    );
    fleet
        .apt_all("web1 install needs-automatic --yes")
        .ended("web1", "changed")
        .exited(0);
    fleet
        .apt_all("web1 remove pkg-a needs-automatic --yes")
        .ended("web1", "changed")
        .exited(0);
    lacks(web1, "pkg-a");
    lacks(web1, "needs-automatic");
    has(web1, "automatic", "1.0");

    fleet
        .apt_all("web1 autoremove --yes")
        .ended("web1", "changed")
        .exited(0);
    lacks(web1, "automatic");
    for package in ["openssh-server", "apu-client", "apu-data"] {
        let run = fleet.apt_all(&format!("web1 remove {package} --yes"));
        run.ended("web1", "refused")
            .because("web1", "protected")
            .exited(1);
    }
    fleet
        .apt_all("web1 update")
        .ended("web1", "refused")
        .because("web1", "policy")
        .exited(1);
}

#[test]
fn clean_empties_the_cache() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    web1.sh("cd /var/cache/apt/archives && apt-get download pkg-x && ls *.deb")
        .ok();

    fleet.apt_all("web1 clean").exited(0);

    assert_eq!(
        web1.sh("ls /var/cache/apt/archives/*.deb 2>/dev/null | wc -l")
            .ok(),
        "0\n"
    );
}

#[test]
fn check_tells_a_whole_database_from_a_broken_one() {
    let fleet = Fleet::of(["web1", "web2"]).up();
    let web2 = fleet.host("web2");
    let status = web2.read("/var/lib/dpkg/status").unwrap();
    let broken = status.replacen(
        "Package: pkg-c\nStatus: install ok installed",
        "Package: pkg-c\nStatus: install reinstreq half-installed",
        1,
    );
    assert_ne!(status, broken);
    web2.write("/var/lib/dpkg/status", &broken);

    let run = fleet.apt_all("default check");

    run.ended("web1", "unchanged").ended("web2", "failed").exited(1);
    assert!(run.answer("web2")["broken"].to_string().contains("pkg-c"));
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let fleet = Fleet::of(["web1"]).up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").exited(0);
    let before = fleet.host("web1").snapshot().unwrap();

    let run = fleet.apt_all("web1 dist-upgrade --dry-run");

    run.ended("web1", "unchanged").exited(0);
    assert!(run.answer("web1")["transaction"].to_string().contains("pkg-a"));
    assert_eq!(fleet.host("web1").snapshot().unwrap(), before);
}

#[test]
fn without_a_terminal_nothing_is_changed_without_a_yes() {
    let fleet = Fleet::of(["web1"]).up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").exited(0);

    let finished = fleet.plain_apt_all("web1 upgrade");

    assert_eq!(finished.code, 2, "{finished:?}");
    assert!(finished.stderr.contains("--yes"), "{finished:?}");
    has(fleet.host("web1"), "pkg-a", "1.0");
}

#[test]
fn a_single_address_will_do() {
    let fleet = Fleet::of(["192.168.1.192", "192.168.1.193"])
        .at("192.168.1.192", "192.168.1.192")
        .at("192.168.1.193", "192.168.1.193")
        .up();
    let run = fleet.apt_all("192.168.1.192 update");
    run.ended("192.168.1.192", "changed").exited(0);
    assert_eq!(run.outcomes().count(), 1);
}
