//! Hosts that are held, and the ledger's own upkeep.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use serde_json::Value;

use crate::recorded::{Push, apu, broken_off_run, hosts, json, site, two_runs};

#[test]
fn a_host_is_let_go_unless_its_run_is_alive() {
    let site = site();
    two_runs(site.path());
    broken_off_run(site.path());
    let (text, _) = apu(site.path(), "locks");
    assert!(
        text.starts_with("HOST  RUN  BY     SINCE             STATE\nweb1  3    alice  "),
        "{text}"
    );
    assert!(text.ends_with("  unknown since broken off\n"), "{text}");

    // This process works on a run of its own.
    let names = hosts(&["db1", "db2"]);
    let mut living = Push::new(site.path(), 4, names.clone());
    living.start(&names[0]);
    living.recorder.close().unwrap();
    let states: Vec<Value> = json(site.path(), "locks")
        .iter()
        .map(|line| line["state"].clone())
        .collect();
    assert_eq!(states, ["at-work", "waiting", "unknown"]);
    let refused = format!(
        "error: run 4 is at work, and holds db[1-2]\n  why: its process {} is alive\n  \
         try: apu abort 4, which ends it; or apu unlock --force 'db[1-2]'\n",
        std::process::id()
    );
    assert_eq!(apu(site.path(), "unlock web1 db[1-2]"), (refused, 2));
    assert_eq!(json(site.path(), "locks").len(), 3);

    let log = log(site.path());
    assert_eq!(
        apu(site.path(), "unlock web1 web2"),
        ("web2: not held\nweb1: let go; run 3 held it\n".to_owned(), 1)
    );
    assert_eq!(
        apu(site.path(), "unlock --force db1"),
        ("db1: let go; run 4 held it\n".to_owned(), 0)
    );
    assert_eq!(json(site.path(), "locks").len(), 1);
    let (told, status) = apu(site.path(), "abort 4");
    assert_eq!(status, 0, "{told}");
    // Who decided so is in the log of this machine.
    for action in [
        "action=unlock number=3 names=web1",
        "action=unlock number=4 names=db1",
        "action=abort number=4",
    ] {
        let mut line = [0; 2000];
        let length = log.recv(&mut line).unwrap();
        let line = String::from_utf8_lossy(&line[..length]);
        assert!(line.contains(" apu["), "{line}");
        assert!(line.contains("user="), "{line}");
        assert!(line.ends_with(action), "{line}");
    }
    assert!(log.recv(&mut [0; 10]).is_err());
}

/// The log of a site, which waits for no line.
fn log(site: &Path) -> UnixDatagram {
    fs::create_dir_all(site.join("dev")).unwrap();
    let log = UnixDatagram::bind(site.join("dev/log")).unwrap();
    log.set_nonblocking(true).unwrap();
    log
}

#[test]
fn the_ledger_is_checked_and_the_oldest_runs_go() {
    let site = site();
    two_runs(site.path());
    assert_eq!(
        apu(site.path(), "ledger check"),
        ("the ledger holds together\n".to_owned(), 0)
    );
    let connection = rusqlite::Connection::open(site.path().join("var/lib/apu-server/apu.db")).unwrap();
    connection
        .execute("INSERT INTO lease (host, run, since) VALUES ('web1', 1, 0)", [])
        .unwrap();
    assert_eq!(
        apu(site.path(), "ledger check"),
        ("web1 is held for a run that has ended\n".to_owned(), 1)
    );
    // They began more than two years ago, and are among the newest 200.
    assert_eq!(apu(site.path(), "ledger prune").0, "nothing is to be forgotten\n");
    connection
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 202)
             INSERT INTO run (push, operation, request, target, by, owner, begun, ended, status)
             SELECT printf('%032x', i), 'update', 'apu/1 update', 'web', 'alice', 'b 1 1', 0, 0, 0 FROM n",
        )
        .unwrap();
    assert_eq!(apu(site.path(), "ledger prune").0, "2 runs were forgotten\n");
    assert_eq!(apu(site.path(), "ledger prune").0, "nothing is to be forgotten\n");
    assert_eq!(json(site.path(), "runs -n 500").len(), 200);
}
