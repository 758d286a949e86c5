//! Twelve ways in which sources stop apt on a client. Each ends with a fleet that works, or with one host named and the rest
//! untouched; and the next `gen-apu-data-pkg --push` mends it.
//!
//! apt reads no source at all where two of them disagree, or where one is malformed: without care, no apu-data that mends it
//! could arrive.

use apu_tests::{Finished, Fleet, Host, Suite};

const SITE: &str = "http://apu.example.org/local";
const UPSTREAM: &str = "http://upstream.example.org";
const LIST: &str = "/etc/apu-server/sources.list";
const OWN: &str = "/etc/apt/sources.list.d/upstream.sources";
const KEYRING: &str = "/usr/share/keyrings/upstream.gpg";

fn push(fleet: &Fleet) -> Finished {
    fleet
        .server()
        .exec(&["gen-apu-data-pkg", "--push", "default", "--yes"])
}

/// An input of apu-data changes, so that there is a next one.
fn change(fleet: &Fleet, number: u16) {
    let proxy = format!("Acquire::http::Proxy::other.example.org \"http://proxy.example.org:{number}\";\n");
    fleet.server().write("/etc/apu-server/50apu", &proxy);
}

fn data(host: &Host) -> String {
    host.version_of("apu-data").expect("an apu-data")
}

/// Whether apt reads its sources, by apt's own word.
fn apt_reads(host: &Host) -> bool {
    host.exec(&["apt-get", "indextargets"]).code == 0
}

#[track_caller]
fn all_work(fleet: &Fleet, case: &str) {
    for client in fleet.clients() {
        assert!(apt_reads(client), "{case}: {}", client.name());
    }
    for words in ["default update", "default check", "default dist-upgrade --yes"] {
        let run = fleet.apt_all(words);
        let well = run
            .outcomes()
            .all(|(_, outcome)| ["unchanged", "changed"].contains(&outcome));
        assert!(well, "{case}: {words}: {:?}", run.finished());
    }
}

/// The generator refuses, with the line, and nothing reaches a client.
#[track_caller]
fn is_refused(fleet: &Fleet, case: &str, sources: &str, parts: &[&str]) {
    let before: Vec<String> = fleet.clients().map(data).collect();
    fleet.server().write(LIST, sources);
    let said = push(fleet);
    assert_eq!(said.code, 2, "{case}: {said:?}");
    for part in parts {
        assert!(
            said.stderr.contains(part),
            "{case}: no {part:?} in {}",
            said.stderr
        );
    }
    assert_eq!(fleet.clients().map(data).collect::<Vec<_>>(), before, "{case}");
    fleet.server().write(LIST, "");
}

/// What the server would ship: refused there, with the line at fault.
fn on_the_server(fleet: &Fleet) {
    let server = fleet.server();
    let key = format!("[signed-by={KEYRING}]");
    let two = format!(
        "deb {key} {UPSTREAM} stable main\n\ndeb [signed-by=/usr/share/keyrings/other.gpg] {UPSTREAM}/ stable contrib\n"
    );
    is_refused(
        fleet,
        "two keys",
        &two,
        &["lines 1 and 3 name one archive", "Signed-By"],
    );
    let own = format!("deb {key} {SITE}/ ./\n");
    is_refused(
        fleet,
        "the site's own",
        &own,
        &["line 1 names", "remove line 1 from"],
    );
    let no = format!(
        "deb {key} {UPSTREAM} stable main\ndeb [signed-by={KEYRING} trusted=no] {UPSTREAM} stable contrib\n"
    );
    is_refused(
        fleet,
        "trusted=no once",
        &no,
        &["lines 1 and 2 name one archive", "Trusted"],
    );
    for (case, stanza, part) in [
        (
            "no components",
            "Types: deb\nURIs: {}\nSuites: stable\nSigned-By: /k\n",
            "line 1: the source has no Components",
        ),
        (
            "a type",
            "Types: deb rpm\nURIs: {}\nSuites: ./\nSigned-By: /k\n",
            "line 1: Types cannot be \"rpm\"",
        ),
        (
            "no path",
            "Types: deb\nURIs: {}\nSuites: ./\nSigned-By: k\n",
            "line 1: Signed-By \"k\" is neither",
        ),
    ] {
        is_refused(fleet, case, &stanza.replace("{}", UPSTREAM), &[part]);
    }
    server.write("/etc/apu-server/50apu", "APT::Default-Release \"nowhere\";\n");
    let said = push(fleet);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("apt::default-release"), "{}", said.stderr);
    server.sh("rm /etc/apu-server/50apu").ok();
    all_work(fleet, "after what was refused");
}

/// A key within a source travels as a file, which every apt reads.
fn an_embedded_key(fleet: &Fleet) {
    let server = fleet.server();
    let block = server.sh("apu key export --armor").ok();
    let indented: String = block
        .lines()
        .map(|line| format!(" {}\n", if line.is_empty() { "." } else { line }))
        .collect();
    let text = format!("Types: deb\nURIs: {UPSTREAM}/vendor\nSuites: ./\nSigned-By:\n{indented}");
    server.write(LIST, &text);
    let said = push(fleet);
    assert_eq!(said.code, 0, "{said:?}");
    for client in fleet.clients() {
        let sources = client
            .read("/etc/apt/sources.list.d/apu.sources")
            .expect("sources");
        assert!(
            sources.contains("Signed-By: /usr/share/apu-data/keyrings/embedded.asc"),
            "{sources}"
        );
        assert!(apt_reads(client), "{}", client.name());
    }
    server.write(LIST, "");
    assert_eq!(push(fleet).code, 0);
    all_work(fleet, "an embedded key");
}

/// A package of a vendor writes its own source, after apu-data, for an archive that apu-data names.
fn a_vendors_own_source(fleet: &Fleet) {
    let (one, two) = (fleet.host("one"), fleet.host("two"));
    let own = one.read(OWN).expect("a source");
    for client in fleet.clients() {
        client.sh(&format!("rm {OWN}")).ok();
    }
    fleet.server().write(
        LIST,
        &format!("deb [signed-by={KEYRING}] {UPSTREAM} stable main\n"),
    );
    let said = push(fleet);
    assert_eq!(said.code, 0, "{said:?}");
    all_work(fleet, "the vendor's archive by apu-data");

    one.write(OWN, &own);
    assert!(!apt_reads(one), "two keys for one archive do not stop apt");
    // Nothing is changed on the server: the same push again is enough.
    let said = push(fleet);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(apt_reads(one));
    let used = one.read("/etc/apt/sources.list.d/apu.sources").expect("sources");
    assert!(!used.contains(UPSTREAM), "{used}");
    let used = two.read("/etc/apt/sources.list.d/apu.sources").expect("sources");
    assert!(used.contains(UPSTREAM), "{used}");
    all_work(fleet, "a vendor's own source");

    two.write(OWN, &own);
    fleet.apt_all("two update").ended("two", "changed");
    assert!(apt_reads(two), "an update does not compose the sources again");
    fleet.server().write(LIST, "");
    assert_eq!(push(fleet).code, 0);
    all_work(fleet, "the vendor's source alone");
}

/// Administrators name the site's own archive in another spelling, each client's in another one; `two` has none.
fn the_sites_archive_in_other_words(fleet: &Fleet) {
    const MINE: &str = "/etc/apt/sources.list.d/mine.list";
    let two = fleet.host("two");
    let clients: Vec<&Host> = fleet.clients().filter(|client| client.name() != "two").collect();
    let lines = [
        format!("deb {SITE} /\n"),
        format!("deb {SITE}/ ./\n"),
        format!("deb [signed-by=/usr/share/keyrings/apu-data.gpg trusted=no] {SITE} ./\n"),
        format!("deb-src {SITE} ./\n"),
        format!("deb [signed-by={KEYRING}] {SITE} ./\n"),
        "deb [signed-by=/usr/share/keyrings/apu-data.gpg check-valid-until=no] http://apu.example.org/$(ARCH)/../local ./\n"
            .to_owned(),
    ];
    assert_eq!(clients.len(), lines.len());
    for (client, line) in clients.iter().zip(&lines) {
        client.write(MINE, line);
    }
    change(fleet, 4000);
    let before = data(two);
    let said = push(fleet);
    assert_eq!(said.code, 0, "{said:?}");
    assert_ne!(data(two), before);
    for (client, line) in clients.iter().zip(&lines) {
        assert!(apt_reads(client), "{line}: {said:?}");
        assert_eq!(data(client), data(two), "{line}: {said:?}");
        client.sh(&format!("rm {MINE}; dpkg-reconfigure apu-data")).ok();
    }
    all_work(fleet, "the site's archive in other words");
}

/// Sources of the machine's own that stop apt by themselves, each client's in another way: apu-data arrives all the same, and
/// says where the fault is. `two` has none.
fn the_machines_own_fault(fleet: &Fleet) {
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
    all_work(fleet, "the machine's own fault");
}

/// Preferences that stop apt do not keep apu-data away either.
fn a_broken_preference(fleet: &Fleet) {
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
fn sources_of_other_releases(fleet: &Fleet, release: &str) {
    let server = fleet.server();
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
    let one = fleet.host("one");
    let sources = one.read("/etc/apt/sources.list.d/apu.sources").expect("sources");
    let suites: Vec<&str> = sources
        .lines()
        .filter_map(|line| line.strip_prefix("Suites: "))
        .collect();
    assert_eq!(
        suites,
        ["./", "nodistro", "bionic", release, &format!("{release}-x")],
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
fn one_host_first(fleet: &Fleet) {
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
    all_work(fleet, "one host first");
}

/// A client has an archive of apu-data's under another spelling, or its sources alone, each in another way: the archive is
/// there either way. `two` has none.
fn one_archive_by_both(fleet: &Fleet, release: &str) {
    const MINE: &str = "/etc/apt/sources.list.d/mine.list";
    let debians = format!(
        "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example.org/debian {release}-y main\n"
    );
    let ours = [
        ("http://mirror.example.org/debian", format!("deb {debians}")),
        (
            "file:/srv/vendor",
            "deb [signed-by=/usr/share/keyrings/other.gpg] file:/srv/vendor ./\n".to_owned(),
        ),
        (
            "https://v.example.org/c",
            "deb [signed-by=/usr/share/keyrings/other.gpg] https://v.example.org/c /\n".to_owned(),
        ),
    ];
    // With the address of ours that stays away, where one does.
    let theirs = [
        ("one", format!("deb-src {debians}"), None),
        (
            "three",
            format!("deb {debians}"),
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

fn up<const N: usize>(suite: Suite, clients: [&str; N]) -> Fleet {
    let fleet = Fleet::of(clients).suite(suite).up();
    let keyring = fleet.host("one").command("cat").arg(KEYRING).output().unwrap();
    let server = fleet.server();
    server.write_bytes(KEYRING, &keyring.stdout);
    server
        .sh("cp /etc/apu-server/gpg/*.gpg /usr/share/keyrings/other.gpg")
        .ok();
    fleet
}

fn none_is_locked_out(suite: Suite) {
    let fleet = up(suite, ["one", "two"]);
    on_the_server(&fleet);
    an_embedded_key(&fleet);
    a_vendors_own_source(&fleet);
    drop(fleet);
    let fleet = up(suite, ["one", "two", "three", "four", "five", "six", "seven"]);
    the_sites_archive_in_other_words(&fleet);
}

fn a_fault_is_named_and_mended(suite: Suite) {
    let fleet = up(suite, ["one", "two"]);
    a_broken_preference(&fleet);
    one_host_first(&fleet);
    sources_of_other_releases(&fleet, suite.name());
    drop(fleet);
    let fleet = up(suite, ["one", "two", "three", "four", "five"]);
    the_machines_own_fault(&fleet);
    one_archive_by_both(&fleet, suite.name());
}

#[test]
fn none_is_locked_out_by_sources_on_bullseye() {
    none_is_locked_out(Suite::Bullseye);
}

#[test]
fn none_is_locked_out_by_sources_on_bookworm() {
    none_is_locked_out(Suite::Bookworm);
}

#[test]
fn none_is_locked_out_by_sources_on_trixie() {
    none_is_locked_out(Suite::Trixie);
}

#[test]
fn a_fault_of_the_machines_own_is_named_and_mended_on_bullseye() {
    a_fault_is_named_and_mended(Suite::Bullseye);
}

#[test]
fn a_fault_of_the_machines_own_is_named_and_mended_on_bookworm() {
    a_fault_is_named_and_mended(Suite::Bookworm);
}

#[test]
fn a_fault_of_the_machines_own_is_named_and_mended_on_trixie() {
    a_fault_is_named_and_mended(Suite::Trixie);
}
