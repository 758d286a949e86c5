//! Full disks: under the archive of gen-apu-data-pkg, and on a client.

use apu_tests::{Fleet, Stage};

/// A tmpfs of 64 kB over the archive, filled up; then the program, and whether the archive's files are what they were.
const SCRIPT: &str = "set -e
    archive=/var/lib/apu-data/repo/local
    state() { (cd $archive && find . -type f ! -name lock ! -name cache -exec sha256sum {} + | sort); }
    cp -a $archive /tmp/copy
    mount -t tmpfs -o size=64k none $archive
    cp -a /tmp/copy/. $archive
    cat /dev/zero >$archive/filler 2>/dev/null || true
    state >/tmp/before
    status=0
    gen-apu-data-pkg || status=$?
    state >/tmp/after
    cmp /tmp/before /tmp/after
    exit $status";

#[test]
fn a_full_disk_under_the_archive_publishes_nothing_and_loses_nothing() {
    let fleet = Fleet::of(["web1"]).up();
    let server = fleet.server();
    let proxy = "Acquire::http::Proxy \"http://proxy.example.org:3128\";\n";
    server.write("/etc/apu-server/50apu", proxy);

    let run = server.sh(SCRIPT);

    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("error: nothing was published in "), "{run:?}");
    assert!(run.stderr.contains("  why: No space left on device"), "{run:?}");
    assert!(run.stderr.contains("  try: look at `df -h "), "{run:?}");
}

#[test]
fn a_client_with_too_little_space_for_the_packages_is_told_before_anything_changes() {
    let fleet = Fleet::of(["one"]).up();
    let one = fleet.host("one");
    fleet.upstream_offers(Stage::Heavy);
    fleet.apt_all("one update").exited(0);
    // 8 MB of packages, and 16 MiB for dpkg and the log.
    one.sh("mount -t tmpfs -o size=20m none /var/cache/apt/archives")
        .ok();

    let planned = fleet.plain_apt_all("one dist-upgrade --dry-run");
    assert_eq!(planned.code, 1, "{planned:?}");
    let said = "the file system of /var/cache/apt/archives has 20 MB free, and this needs 23 MB";
    assert!(planned.stdout.contains(said), "{planned:?}");
    assert!(
        planned.stdout.contains("suggests: on the client: apt-get clean"),
        "{planned:?}"
    );
    fleet
        .apt_all("one dist-upgrade --yes")
        .ended("one", "refused")
        .because("one", "space");
    assert_eq!(one.version_of("pkg-a").as_deref(), Some("1.0"));

    one.sh("mount -o remount,size=40m /var/cache/apt/archives").ok();
    fleet
        .apt_all("one dist-upgrade --yes")
        .ended("one", "changed")
        .exited(0);
    assert_eq!(one.version_of("pkg-a").as_deref(), Some("4.0"));
}
