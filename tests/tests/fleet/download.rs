//! `--download-only`: the packages are fetched, and nothing is changed.

use apu_tests::{Fleet, Stage};

use crate::selection::automatic;

#[test]
fn what_was_downloaded_is_installed_later_without_the_archive() {
    let fleet = Fleet::of(["one"]).up();
    let one = fleet.host("one");
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("one update").exited(0);
    one.sh("apt-mark auto pkg-a pkg-b").ok();
    let marks = automatic(one);
    let lists = one
        .sh("find /var/lib/apt/lists -type f | sort | xargs sha256sum")
        .ok();
    // A .deb of the same size and name with other bytes is none of the plan.
    one.sh("apt-get -q -y -d install pkg-c && printf X | dd of=$(ls /var/cache/apt/archives/pkg-c_2.0_*.deb) bs=1 seek=200 conv=notrunc")
        .ok();

    let first = fleet.apt_all("one upgrade -d");
    first.ended("one", "unchanged").exited(0);
    let told = first.notes("one");
    assert!(
        told.contains("packages in apt's cache: 5 (") && told.contains("), fetched now: 5;"),
        "{told}"
    );
    assert_eq!(one.version_of("pkg-a").as_deref(), Some("1.0"));
    assert_eq!(automatic(one), marks);
    assert_eq!(
        one.sh("find /var/lib/apt/lists -type f | sort | xargs sha256sum")
            .ok(),
        lists
    );
    // For install, too: what it would mark as manually installed is not marked.
    let install = fleet.apt_all("one install pkg-a --download-only");
    install.ended("one", "unchanged");
    assert!(
        install.notes("one").contains("in apt's cache: 1 ("),
        "{}",
        install.notes("one")
    );
    assert_eq!(automatic(one), marks);

    fleet.upstream().serve_instead("/nonexistent".into());
    let again = fleet.apt_all("one upgrade -d");
    assert!(
        again.notes("one").contains("), fetched now: 0;"),
        "{}",
        again.notes("one")
    );
    fleet
        .apt_all("one upgrade --yes")
        .ended("one", "changed")
        .exited(0);
    assert_eq!(one.version_of("pkg-c").as_deref(), Some("2.0"));

    // What cannot be fetched is told by its name, and nothing is changed.
    fleet
        .apt_all("one install newcomer -d")
        .ended("one", "failed")
        .because("one", "not fetched: newcomer_2.0_")
        .exited(1);
    assert_eq!(one.version_of("newcomer"), None);
}

#[test]
fn a_client_that_does_not_allow_the_operation_does_not_allow_its_download() {
    let fleet = Fleet::of(["one"]).up();
    let one = fleet.host("one");
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("one update").exited(0);
    one.write(
        "/etc/apu-client/policy.toml",
        "operations = [\"status\", \"upgrade\"]\n",
    );
    fleet
        .apt_all("one dist-upgrade -d")
        .ended("one", "refused")
        .because("one", "policy")
        .exited(1);
    assert_eq!(
        one.sh("ls /var/cache/apt/archives | grep -c deb$ || true").ok(),
        "0\n"
    );
    fleet
        .apt_all("one upgrade -d")
        .ended("one", "unchanged")
        .exited(0);
}
