//! `apt-all CLASS prepare`: everything is there for a run, and what would keep it from going well is known, before anything changes.

use apu_tests::{Fleet, Manner, Stage};

const UPGRADED: [&str; 5] = ["pkg-a", "pkg-b", "pkg-c", "pkg-d", "pkg-e"];

#[test]
fn hosts_that_are_ready_need_no_network_and_the_others_are_named() {
    let fleet = Fleet::of(["full", "ready"]).up();
    let (full, ready) = (fleet.host("full"), fleet.host("ready"));
    fleet.upstream_offers(Stage::Heavy);
    full.sh("mount -t tmpfs -o size=20m none /var/cache/apt/archives")
        .ok();

    let prepared = fleet.plain_apt_all("default prepare");
    assert_eq!(prepared.code, 1, "{prepared:?}");
    for said in [
        "5 upgraded",
        "the file system of /var/cache/apt/archives has 20 MB free",
        "packages in apt's cache: 5",
        "fetched now: 5; nothing was changed",
        "\nready: ready; not ready: full\n",
    ] {
        assert!(prepared.stdout.contains(said), "{said}: {prepared:?}");
    }
    // The host that could not plan was not asked to fetch anything.
    assert_eq!(full.sh("ls /var/cache/apt/archives/*.deb").stdout, "");
    for host in [full, ready] {
        for package in UPGRADED {
            assert_eq!(
                host.version_of(package).as_deref(),
                Some("1.0"),
                "{}",
                host.name()
            );
        }
    }

    fleet.upstream().behave(Manner::Unavailable);
    fleet
        .apt_all("ready dist-upgrade --yes")
        .ended("ready", "changed")
        .exited(0);
    for package in UPGRADED {
        assert_eq!(ready.version_of(package).as_deref(), Some("4.0"), "{package}");
    }
    // With nobody ready there is no further step.
    let none = fleet.plain_apt_all("ready prepare");
    assert_eq!(none.code, 1, "{none:?}");
    assert!(none.stdout.contains("not ready: ready\n"), "{none:?}");
    assert!(!none.stdout.contains("plan:\n"), "{none:?}");
    let file = fleet.plain_apt_all("ready install --prepare ./x.deb");
    assert_eq!(file.code, 2, "{file:?}");
}
