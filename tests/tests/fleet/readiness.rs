//! `apu readiness`: which clients could be upgraded to another release, by what they and the archives of their sources say.

use std::fs;
use std::path::Path;

use apu_tests::{Fleet, Host};
use serde_json::Value;

/// As in distro-info-data, which the server of the fleet does not have.
const TABLE: &str = "\
version,codename,series,created,release,eol,eol-lts
11,Bullseye,bullseye,2019-07-06,2021-08-14,2024-08-14,2026-08-31
12,Bookworm,bookworm,2021-08-14,2023-06-10,2026-06-10,2028-06-30
13,Trixie,trixie,2023-06-10,2025-08-09,2098-08-09,2099-06-30
";

/// A source of a vendor that has the next release, or has not. What was fetched from it has no packages.
fn add_source(client: &Host, vendor: &str) {
    let key = "[signed-by=/usr/share/keyrings/upstream.gpg]";
    let line = format!("deb {key} http://upstream.example.org/{vendor} bookworm main\n");
    client.write(&format!("/etc/apt/sources.list.d/{vendor}.list"), &line);
    let fetched = |file: &str, text: &str| {
        let list = format!("upstream.example.org_{vendor}_dists_bookworm_{file}");
        client.write(&format!("/var/lib/apt/lists/{list}"), text);
    };
    fetched(
        "InRelease",
        "Suite: bookworm\nDate: Thu, 01 Jan 2026 00:00:00 UTC\n",
    );
    fetched("main_binary-amd64_Packages", "");
}

fn findings<'a>(hosts: &'a [Value], host: &str) -> Vec<&'a str> {
    let facts = hosts.iter().find(|facts| facts["host"] == host).unwrap();
    let findings = facts["findings"].as_array().into_iter().flatten();
    findings.map(|one| one["finding"].as_str().unwrap()).collect()
}

#[test]
fn who_could_be_upgraded_is_told_with_what_is_in_the_way() {
    let fleet = Fleet::of_each_suite().up();
    let server = fleet.server();
    let missing = fleet.apu("readiness trixie");
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(missing.stderr.contains("distro-info-data"), "{missing:?}");
    server.sh("mkdir -p /usr/share/distro-info").ok();
    server.write("/usr/share/distro-info/debian.csv", TABLE);
    let wrong = fleet.apu("readiness trixy");
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.stderr.contains("apu readiness trixie"), "{wrong:?}");

    // What upstream has, and the next release of one vendor.
    let folder = tempfile::tempdir().unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(fleet.upstream().folder())
        .arg(folder.path().join("all"))
        .status();
    assert!(copied.unwrap().success());
    let suite = folder.path().join("all/good/dists/trixie");
    fs::create_dir_all(&suite).unwrap();
    fs::write(Path::new(&suite).join("InRelease"), "Suite: trixie\n").unwrap();
    fleet.upstream().serve_instead(folder.path().join("all"));
    fleet.apt_all("default update").exited(0);
    let bookworm = fleet.host("bookworm");
    add_source(bookworm, "good");
    // Installed, and in no archive.
    let path = fleet.small_deb("left-over", "1");
    let deb = server.exec(&["base64", &path]).ok();
    for client in fleet.clients() {
        client.write("/tmp/deb", &deb);
        client
            .sh("base64 -d /tmp/deb >/tmp/left-over.deb && dpkg -i /tmp/left-over.deb")
            .ok();
    }

    let report = fleet.apu("readiness trixie --json");
    assert_eq!(report.code, 1, "{report:?}");
    let hosts: Vec<Value> = (report.stdout.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(hosts.len(), 3, "{report:?}");
    assert!(findings(&hosts, "bullseye").contains(&"between"), "{report:?}");
    assert_eq!(findings(&hosts, "trixie"), ["not-older"], "{report:?}");
    let of_bookworm = findings(&hosts, "bookworm");
    assert!(!of_bookworm.contains(&"suite-missing"), "{report:?}");
    for host in ["bullseye", "bookworm"] {
        let facts = hosts.iter().find(|facts| facts["host"] == host).unwrap();
        let obsolete = (facts["findings"].as_array().unwrap().iter())
            .find(|one| one["finding"] == "obsolete")
            .unwrap_or_else(|| panic!("{facts:#}"));
        let packages = obsolete["packages"].as_array().unwrap();
        let named = packages
            .iter()
            .any(|name| name.as_str().unwrap().starts_with("left-over:"));
        assert!(named, "{facts:#}");
    }

    add_source(bookworm, "bad");
    bookworm.sh("apt-mark hold pkg-a").ok();
    let report = fleet.apu("readiness trixie bookworm");
    assert_eq!(report.code, 1, "{report:?}");
    for part in [
        "trixie (13): released on 2025-08-09, support until 2098-08-09",
        "bookworm (12): released on 2023-06-10, support ended on 2026-06-10",
        "not ready: bookworm\n",
        "bookworm: there is no http://upstream.example.org/bad trixie\n",
        "bookworm: on hold: pkg-a:amd64; try: apt-all bookworm showhold\n",
        "to look at:\n",
        "bookworm: in no archive: ",
    ] {
        assert!(report.stdout.contains(part), "no {part:?} in {}", report.stdout);
    }
}
