//! Faults of a client's own configuration of apt, and sources that it has beside those of apu-data.

use std::collections::BTreeSet;

use apu_tests::Fleet;

use super::{KEYRING, LIST, all_update, all_work, apt_reads, change, data, push, release};

/// Sources of the machine's own that stop apt by themselves, each client's in another way: apu-data arrives all the same, and
/// says where the fault is. `two` has none.
pub(super) fn the_machines_own_fault(fleet: &Fleet) {
    let two = fleet.host("two");
    let faults = [
        ("one", "bad-one.list", "deb http://v.example.org/apt\n"),
        (
            "three",
            "bad-three.sources",
            "Types: rpm\nURIs: http://v.example.org/apt\nSuites: ./\n",
        ),
        (
            "four",
            "bad-four.list",
            "deb [signed-by=/a.gpg] http://v.example.org/apt s a\n\ndeb [signed-by=/b.gpg] http://v.example.org/apt s b\n",
        ),
        (
            "five",
            "bad-five.list",
            "deb [signed-by=a.gpg] http://v.example.org/apt s a\n",
        ),
    ];
    let path = |file: &str| format!("/etc/apt/sources.list.d/{file}");
    for (name, file, text) in faults {
        let client = fleet.host(name);
        client.write(&path(file), text);
        assert!(!apt_reads(client), "{text}");
    }
    change(fleet, 5000);
    let before = data(two);
    let said = push(fleet);
    assert_eq!(said.code, 0, "{said:?}");
    assert_ne!(data(two), before);

    // Each stays named until its administrator has mended it.
    let status = fleet.apu("status");
    let doctor = fleet.apu("doctor default");
    assert_eq!(doctor.code, 1, "{doctor:?}");
    let told = format!("{}{}", said.stdout, said.stderr);
    for (name, file, text) in faults {
        assert_eq!(data(fleet.host(name)), data(two), "{text}");
        assert!(told.contains(file), "{text}: {told}");
        assert!(status.stdout.contains(file), "{text}: {}", status.stdout);
        let warning = format!("WARN  {name}: ");
        assert!(doctor.stdout.contains(&warning), "{text}: {}", doctor.stdout);
    }
    assert!(!doctor.stdout.contains("WARN  two: "), "{}", doctor.stdout);
    let update = fleet.apt_all("default update");
    update.exited(1);
    let mut well = update
        .outcomes()
        .filter(|(_, outcome)| ["unchanged", "changed"].contains(outcome))
        .map(|(host, _)| host);
    assert_eq!(well.next(), Some("two"), "{:?}", update.finished());
    assert_eq!(well.next(), None, "{:?}", update.finished());
    for (name, file, _) in faults {
        let mend = format!("rm {}; dpkg-reconfigure apu-data", path(file));
        fleet.host(name).sh(&mend).ok();
    }
    all_update(fleet, "the machine's own fault");
}

/// Preferences that stop apt do not keep apu-data away either.
pub(super) fn a_broken_preference(fleet: &Fleet) {
    let one = fleet.host("one");
    one.write(
        "/etc/apt/preferences.d/bad.pref",
        "Pin: release *\nPin-Priority: 1\n",
    );
    change(fleet, 5100);
    let before = data(one);
    push(fleet);
    assert_ne!(data(one), before, "a broken preference keeps apu-data away");
    assert_eq!(data(one), data(fleet.host("two")));
    one.sh("rm /etc/apt/preferences.d/bad.pref").ok();
    assert_eq!(fleet.apu("doctor default").code, 0);
}

/// A source of another release stays off, by whatever name; a keyring is found by either of its names.
pub(super) fn sources_of_other_releases(fleet: &Fleet) {
    let (server, one) = (fleet.server(), fleet.host("one"));
    let release = release(one);
    let mut text = String::new();
    for suite in ["sid", "testing", "unstable", "stretch", "nextone"] {
        text += &format!("deb http://mirror.example.org/debian {suite} main\n").replace(
            "deb http",
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http",
        );
    }
    for suite in ["stretch-x", "bionic", "questing", "xenial", "nodistro"] {
        text += &format!(
            "deb [signed-by={KEYRING},/usr/share/keyrings/other.gpg] http://v.example.org/a {suite} main\n"
        );
    }
    text += &format!(
        "deb [signed-by={KEYRING} apu-releases=any] http://v.example.org/b bionic main\n\
         deb http://mirror.example.org/debian {release} main\n\
         deb [signed-by=/usr/share/keyrings/debian-archive-keyring.pgp] http://mirror.example.org/debian {release}-x main\n"
    );
    server.write(LIST, &text);
    let said = push(fleet);
    assert_eq!(said.code, 0, "{said:?}");
    let sources = one.read("/etc/apt/sources.list.d/apu.sources").expect("sources");
    let suites: Vec<&str> = sources
        .lines()
        .filter_map(|line| line.strip_prefix("Suites: "))
        .collect();
    assert_eq!(
        suites,
        ["./", "nodistro", "bionic", &release, &format!("{release}-x")],
        "{sources}"
    );
    let mut keyrings = 0;
    for line in sources
        .lines()
        .filter_map(|line| line.strip_prefix("Signed-By: "))
    {
        for path in line.split(' ') {
            assert_eq!(
                one.exec(&["test", "-s", path]).code,
                0,
                "{path} is not there: {sources}"
            );
            keyrings += 1;
        }
    }
    assert_eq!(keyrings, 6, "{sources}");
    server.write(LIST, "");
    assert_eq!(push(fleet).code, 0);
    all_work(fleet, "sources of other releases");
}

/// The first host proves that apt works with the new apu-data; where it does not, no other gets it.
pub(super) fn one_host_first(fleet: &Fleet) {
    let (one, two) = (fleet.host("one"), fleet.host("two"));
    let before = data(two);
    for client in [one, two] {
        client.write(
            "/etc/apt/sources.list.d/bad.list",
            "deb http://v.example.org/apt\n",
        );
    }
    change(fleet, 6000);
    let said = push(fleet);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr
            .contains("apt does not work on one with the new apu-data"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr.contains("the other host was not touched"),
        "{}",
        said.stderr
    );
    assert_eq!(data(two), before);

    // A host that works comes before one that does not.
    two.sh("rm /etc/apt/sources.list.d/bad.list").ok();
    let said = push(fleet);
    assert!(said.stderr.contains("two first"), "{}", said.stderr);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(data(one), data(two));
    one.sh("rm /etc/apt/sources.list.d/bad.list; dpkg-reconfigure apu-data")
        .ok();
    all_update(fleet, "one host first");
}

/// A client has an archive of apu-data's under another spelling, or its sources alone, each in another way: the archive is
/// there either way. `two` has none.
pub(super) fn one_archive_by_both(fleet: &Fleet) {
    const MINE: &str = "/etc/apt/sources.list.d/mine.list";
    let debians = |release: &str| {
        format!(
            "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example.org/debian {release}-y main\n"
        )
    };
    let releases: BTreeSet<String> = fleet.clients().map(release).collect();
    let ours = [
        (
            "http://mirror.example.org/debian",
            releases
                .iter()
                .map(|release| format!("deb {}", debians(release)))
                .collect(),
        ),
        (
            "file:/srv/vendor",
            "deb [signed-by=/usr/share/keyrings/other.gpg] file:/srv/vendor ./\n".to_owned(),
        ),
        (
            "https://v.example.org/c",
            "deb [signed-by=/usr/share/keyrings/other.gpg] https://v.example.org/c /\n".to_owned(),
        ),
    ];
    // The client, its source, and the address of apu-data's source that is left out there, if one is.
    let theirs = [
        (
            "one",
            format!("deb-src {}", debians(&release(fleet.host("one")))),
            None,
        ),
        (
            "three",
            format!("deb {}", debians(&release(fleet.host("three")))),
            Some("http://mirror.example.org/debian"),
        ),
        (
            "four",
            format!("deb [signed-by={KEYRING}] file:///srv/vendor ./\n"),
            Some("file:/srv/vendor"),
        ),
        // Another key, and for apt `./` and `/` are two places.
        (
            "five",
            format!("deb [signed-by={KEYRING}] https://v.example.org/c/ ./\n"),
            None,
        ),
    ];
    for (name, line, _) in &theirs {
        fleet.host(name).write(MINE, line);
    }
    let sources: String = ours.iter().map(|(_, line)| line.as_str()).collect();
    fleet.server().write(LIST, &sources);
    let said = push(fleet);
    for (name, line, away) in &theirs {
        let client = fleet.host(name);
        assert!(apt_reads(client), "{line}: {said:?}");
        assert_eq!(data(client), data(fleet.host("two")), "{line}: {said:?}");
        let composed = client
            .read("/etc/apt/sources.list.d/apu.sources")
            .expect("sources");
        for (address, _) in &ours {
            let stays = *away != Some(*address);
            assert_eq!(composed.contains(address), stays, "{line}: {address}: {composed}");
        }
        client.sh(&format!("rm {MINE}")).ok();
    }
    fleet.server().write(LIST, "");
    assert_eq!(push(fleet).code, 0);
    all_work(fleet, "one archive by both");
}
