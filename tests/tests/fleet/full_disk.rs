//! gen-apu-data-pkg where the disk under the archive is full.

use apu_tests::Fleet;

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
