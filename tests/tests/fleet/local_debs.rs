//! `apt-all CLASS install ./foo.deb`: through the site's own archive to every client, and no other way.

use apu_tests::{Finished, Fleet, Host, Suite, deb};

/// A .deb in root's home on the server, as an administrator has it.
pub(crate) fn put(fleet: &Fleet, file: &str, fields: &str) -> String {
    let control = format!("{fields}\nMaintainer: A <a@example.org>\nDescription: a test\n");
    let path = format!("/root/{file}");
    fleet
        .server()
        .write_bytes(&path, &deb(&control).expect("dpkg-deb"));
    path
}

/// `site-tool`, which no other archive has.
pub(crate) fn site_tool(fleet: &Fleet, version: &str) -> String {
    put(
        fleet,
        &format!("site-tool_{version}_all.deb"),
        &format!("Package: site-tool\nVersion: {version}\nArchitecture: all"),
    )
}

#[track_caller]
pub(crate) fn has(host: &Host, package: &str, version: Option<&str>) {
    assert_eq!(
        host.version_of(package).as_deref(),
        version,
        "{package} on {}",
        host.name()
    );
}

/// apt-all as a person's script would call it, without `--json`.
pub(crate) fn plain(fleet: &Fleet, words: &str) -> Finished {
    fleet.plain_apt_all(words)
}

/// Every list that is not of the site's archive, with its content and its time; and the time of them all.
fn other_lists(client: &Host, directory: &str) -> String {
    let script = "set -e
        cd \"$1\"
        ls | grep -v -e '^apu.example.org_local' -e '^lock$' -e '^partial$' -e '^auxfiles$' >/tmp/others
        [ -s /tmp/others ]
        xargs sha256sum </tmp/others
        xargs stat -c '%n %y' </tmp/others
        stat -c '%n %y' .";
    client.exec(&["sh", "-c", script, "sh", directory]).ok()
}

/// By file: installed, upgraded, and not again; only the site's lists were fetched for it.
#[track_caller]
fn a_file_reaches_every_client(fleet: &Fleet, lists: &str) {
    fleet.apt_all("default update").exited(0);
    let others =
        |fleet: &Fleet| -> Vec<String> { fleet.clients().map(|client| other_lists(client, lists)).collect() };
    let (before, asked) = (others(fleet), fleet.upstream().asked().len());

    for version in ["1.0", "2.0"] {
        let file = site_tool(fleet, version);
        let run = fleet.apt_all(&format!("default install {file} --yes"));
        run.all_ended("changed").exited(0);
        for client in fleet.clients() {
            has(client, "site-tool", Some(version));
        }
        let said = &run.finished().stderr;
        assert!(
            said.contains(&format!("added site-tool {version} all\n")),
            "{said}"
        );
        let started = &run.events()[0];
        assert_eq!(
            started["packages"][0],
            format!("site-tool={version}"),
            "{started}"
        );
    }
    let again = fleet.apt_all("default install /root/site-tool_2.0_all.deb --yes");
    again.all_ended("unchanged").exited(0);
    let said = &again.finished().stderr;
    assert!(said.contains("already there: site-tool 2.0 all\n"), "{said}");

    assert_eq!(others(fleet), before, "other lists than the site's were touched");
    assert_eq!(
        fleet.upstream().asked().len(),
        asked,
        "{:?}",
        &fleet.upstream().asked()[asked..]
    );
    assert_eq!(fleet.apu("repo check").code, 0);
}

#[test]
fn a_file_reaches_every_client_on_bullseye() {
    let fleet = Fleet::of(["one", "two"]).suite(Suite::Bullseye).up();
    a_file_reaches_every_client(&fleet, "/var/lib/apt/lists");
}

#[test]
fn a_file_reaches_every_client_on_bookworm() {
    let fleet = Fleet::of(["one", "two", "three"]).up();
    a_file_reaches_every_client(&fleet, "/var/lib/apt/lists");
}

#[test]
fn a_file_reaches_every_client_on_trixie() {
    let fleet = Fleet::of(["one", "two"]).suite(Suite::Trixie).up();
    a_file_reaches_every_client(&fleet, "/var/lib/apt/lists");
}

#[test]
fn a_file_reaches_clients_that_use_the_servers_sources_alone() {
    let fleet = Fleet::of(["one"]).up();
    let (server, one) = (fleet.server(), fleet.host("one"));
    let keyring = one
        .command("cat")
        .arg("/usr/share/keyrings/upstream.gpg")
        .output()
        .unwrap();
    server.write_bytes("/usr/share/keyrings/upstream.gpg", &keyring.stdout);
    server.write(
        "/etc/apu-server/sources.list",
        "deb [signed-by=/usr/share/keyrings/upstream.gpg] http://upstream.example.org stable main\n",
    );
    server
        .sh("sed -i 's/^\\[client\\]/[client]\\nexclusive = true/' /etc/apu-server/apu.toml")
        .ok();
    server
        .exec(&["gen-apu-data-pkg", "--push", "default", "--yes"])
        .ok();
    assert!(one.read("/usr/share/apu-data/exclusive/apu.sources").is_some());

    a_file_reaches_every_client(&fleet, "/var/lib/apu-client/lists");
}

#[test]
fn files_stand_beside_names_and_an_older_one_is_refused_before_anybody_is_asked() {
    let fleet = Fleet::of(["one"]).up();
    let one = fleet.host("one");
    let tool = site_tool(&fleet, "2.0");
    let more = put(
        &fleet,
        "download.deb",
        "Package: site-more\nVersion: 1:3.1-2\nArchitecture: amd64\nDepends: site-tool",
    );
    fleet
        .apt_all(&format!("one install {more} pkg-x {tool} --yes"))
        .ended("one", "changed")
        .exited(0);
    has(one, "site-more", Some("1:3.1-2"));
    has(one, "site-tool", Some("2.0"));
    has(one, "pkg-x", Some("1.0"));

    let old = site_tool(&fleet, "1.0");
    let watch = one.watch().unwrap();
    let refused = plain(&fleet, &format!("one install {old} --yes"));
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("the archive has 2.0"),
        "{}",
        refused.stderr
    );
    assert!(
        refused.stderr.contains("apu repo remove site-tool=2.0"),
        "{}",
        refused.stderr
    );
    assert_eq!(watch.programs().unwrap(), [""; 0]);
}

#[test]
fn a_dry_run_judges_the_file_and_publishes_nothing_and_asks_nobody() {
    let fleet = Fleet::of(["one"]).up();
    let file = site_tool(&fleet, "1.0");
    let archive = || {
        fleet
            .server()
            .sh("cd /var/lib/apu-data/repo/local && sha256sum *Release *.deb")
            .ok()
    };
    let before = archive();
    let watch = fleet.host("one").watch().unwrap();

    let said = plain(&fleet, &format!("one install {file} --dry-run"));

    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stdout.contains("site-tool 1.0 all would be added to"),
        "{}",
        said.stdout
    );
    assert_eq!(watch.programs().unwrap(), [""; 0]);
    assert_eq!(archive(), before);
}

#[test]
fn a_package_for_another_kind_of_machine_is_refused_in_dpkgs_own_words() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    let native = web1.sh("dpkg --print-architecture").ok().trim().to_owned();
    let other = if native == "arm64" { "riscv64" } else { "arm64" };
    let fields = format!("Package: foreign-tool\nVersion: 1.0\nArchitecture: {other}");
    let file = put(&fleet, &format!("foreign-tool_1.0_{other}.deb"), &fields);
    let run = fleet.apt_all(&format!("web1 install {file} --yes"));
    let refused = format!("package architecture ({other}) does not match system ({native})");
    run.ended("web1", "refused")
        .because("web1", &refused)
        .because("web1", &format!("dpkg --add-architecture {other}"))
        .exited(1);
    has(web1, "foreign-tool", None);

    // What is advised is what helps.
    web1.sh(&format!("dpkg --add-architecture {other}")).ok();
    fleet
        .apt_all(&format!("web1 install {file} --yes"))
        .ended("web1", "changed")
        .exited(0);
}
