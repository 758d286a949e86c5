//! The same .debs on every supported release of Debian.

use apu_tests::{Fleet, Stage, Suite};

fn the_button_works_on(suite: Suite) {
    let fleet = Fleet::of(["one", "two"]).suite(suite).up();
    fleet.upstream_offers(Stage::After);

    fleet.apt_all("default check").all_ended("unchanged").exited(0);
    fleet.apt_all("default update").all_ended("changed").exited(0);
    let status = fleet.apt_all("default status");
    assert_eq!(
        status.answer("one")["status"]["pending"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    fleet
        .apt_all("one upgrade --yes")
        .ended("one", "changed")
        .exited(0);
    fleet
        .apt_all("default dist-upgrade --yes")
        .ended("one", "unchanged")
        .ended("two", "changed")
        .exited(0);
    fleet
        .apt_all("default install newcomer pkg-x+ --yes")
        .all_ended("changed")
        .exited(0);
    fleet
        .apt_all("one install r.cran --yes")
        .ended("one", "refused")
        .because("one", "unknown-package");

    for client in fleet.clients() {
        for package in ["pkg-a", "pkg-b", "pkg-c", "pkg-d", "pkg-e", "newcomer"] {
            assert_eq!(
                client.version_of(package).as_deref(),
                Some("2.0"),
                "{package} on {}",
                client.name()
            );
        }
    }
}

#[test]
fn the_button_works_on_bullseye() {
    the_button_works_on(Suite::Bullseye);
}

#[test]
fn the_button_works_on_trixie() {
    the_button_works_on(Suite::Trixie);
}
