//! Twelve ways in which sources stop apt on a client. Each ends with a fleet that works, or with one host named and the rest
//! untouched; and the next `gen-apu-data-pkg --push` mends it.
//!
//! apt reads no source at all where two of them disagree, or where one is malformed: without care, no apu-data that mends it
//! could arrive.

mod on_the_client;

use apu_tests::{Finished, Fleet, Host, Suite, in_check_or_long};

use on_the_client::{
    a_broken_preference, one_archive_by_both, one_host_first, sources_of_other_releases,
    the_machines_own_fault,
};

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

/// The code name of its Debian release.
fn release(host: &Host) -> String {
    let name = host.sh(". /etc/os-release && echo $VERSION_CODENAME").ok();
    name.trim().to_owned()
}

/// Whether apt reads its sources, by apt's own word.
fn apt_reads(host: &Host) -> bool {
    host.exec(&["apt-get", "indextargets"]).code == 0
}

/// apt reads the sources of every client, and updates by them.
#[track_caller]
fn all_update(fleet: &Fleet, case: &str) {
    for client in fleet.clients() {
        assert!(apt_reads(client), "{case}: {}", client.name());
    }
    all_are_well(fleet, case, "default update");
}

/// At the end of what a fleet went through: it updates, has nothing broken, and upgrades.
#[track_caller]
fn all_work(fleet: &Fleet, case: &str) {
    all_update(fleet, case);
    for words in ["default check", "default dist-upgrade --yes"] {
        all_are_well(fleet, case, words);
    }
}

#[track_caller]
fn all_are_well(fleet: &Fleet, case: &str, words: &str) {
    let run = fleet.apt_all(words);
    let well = run
        .outcomes()
        .all(|(_, outcome)| ["unchanged", "changed"].contains(&outcome));
    assert!(well, "{case}: {words}: {:?}", run.finished());
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
    all_update(fleet, "an embedded key");
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
    all_update(fleet, "the vendor's archive by apu-data");

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
    all_update(fleet, "a vendor's own source");

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

fn up<const N: usize>(suites: &[Suite], clients: [&str; N]) -> Fleet {
    let fleet = Fleet::of(clients).suites(suites).up();
    let keyring = fleet.host("one").command("cat").arg(KEYRING).output().unwrap();
    let server = fleet.server();
    server.write_bytes(KEYRING, &keyring.stdout);
    server
        .sh("cp /etc/apu-server/gpg/*.gpg /usr/share/keyrings/other.gpg")
        .ok();
    fleet
}

/// The suites of a fleet's clients: all of them in one fleet, or each of them alone.
fn suites() -> Vec<Vec<Suite>> {
    in_check_or_long(
        vec![vec![Suite::Trixie, Suite::Bullseye, Suite::Bookworm]],
        Suite::ALL.map(|suite| vec![suite]).to_vec(),
    )
}

#[test]
fn what_would_stop_apt_is_refused_on_the_server() {
    on_the_server(&up(&[Suite::default()], ["one", "two"]));
}

#[test]
fn none_is_locked_out_by_sources_that_come_with_apu_data_or_a_package() {
    for suites in suites() {
        let fleet = up(&suites, ["one", "two", "three"]);
        an_embedded_key(&fleet);
        a_vendors_own_source(&fleet);
    }
}

#[test]
fn none_is_locked_out_by_the_sites_archive_in_other_words() {
    for suites in suites() {
        let fleet = up(&suites, ["one", "two", "three", "four", "five", "six", "seven"]);
        the_sites_archive_in_other_words(&fleet);
    }
}

#[test]
fn a_fault_of_the_machines_own_is_named_and_mended() {
    for suites in suites() {
        let fleet = up(&suites, ["one", "two", "three", "four", "five"]);
        the_machines_own_fault(&fleet);
        one_archive_by_both(&fleet);
    }
}

#[test]
fn one_host_proves_what_the_others_get() {
    for suites in suites() {
        let fleet = up(&suites, ["one", "two"]);
        a_broken_preference(&fleet);
        one_host_first(&fleet);
        sources_of_other_releases(&fleet);
    }
}
