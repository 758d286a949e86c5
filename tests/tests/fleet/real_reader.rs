//! apt decides what its sources, its settings and its versions mean: what a client is told to do is done, or refused, under
//! whatever its administrator wrote into /etc/apt.

use apu_tests::{Fleet, Host, Run, Stage, Suite, Vendor};

/// A fleet of one client whose archive offers newer versions.
fn with_updates(suite: Suite) -> Fleet {
    let fleet = Fleet::of(["web1"]).suite(suite).up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").ended("web1", "changed");
    fleet
}

fn configured(client: &Host, text: &str) {
    client.write("/etc/apt/apt.conf.d/99test", text);
}

#[track_caller]
fn refused(run: &Run, part: &str) {
    run.ended("web1", "refused").because("web1", part).exited(1);
}

/// Ways to write a source that apt trusts without a signature.
const TRUSTED: [(&str, &str, &str); 7] = [
    ("a.list", "", "deb [lang=en#x trusted=yes] copy:/srv/un ./\n"),
    ("a.list", "", "deb [%74rusted=yes] copy:/srv/un ./\n"),
    ("a.list", "", "deb [\"trusted\"=yes] copy:/srv/un ./\n"),
    ("a.list", "", "deb [trusted=no trusted=yes] copy:/srv/un ./\n"),
    (
        "a.sources",
        "",
        "Types: deb\nURIs: copy:/srv/un\nSuites: ./\nTrusted: yes\nEnabled: no\nEnabled: yes\n",
    ),
    (
        "a.sources",
        "",
        "Types: deb\nURIs: copy:/srv/un\nSuites: ./\nTrusted: no\nTrusted:\n yes\n",
    ),
    (
        "a.list",
        "Dir::Etc::SourceParts \"/etc/elsewhere\";\n",
        "deb [trusted=yes] copy:/srv/un ./\n",
    ),
];

fn a_source_that_apt_trusts_without_a_signature_gives_nothing(suite: Suite) {
    let fleet = Fleet::of(["web1"]).suite(suite).up();
    let web1 = fleet.host("web1");
    Vendor::unsigned("un").offers(web1, &[("un", "1.0")], "");
    for (file, settings, text) in TRUSTED {
        let folder = if settings.is_empty() {
            "/etc/apt/sources.list.d"
        } else {
            "/etc/elsewhere"
        };
        web1.sh("mkdir -p /etc/elsewhere").ok();
        configured(web1, settings);
        web1.write(&format!("{folder}/{file}"), text);
        // The administrator fetched its lists, and apt would install from there.
        web1.sh("apt-get update && apt-get -sy install un").ok();
        let run = fleet.apt_all("web1 --yes install un");
        refused(&run, "without a signature");
        refused(&run, &format!("{folder}/{file}"));
        refused(&fleet.apt_all("web1 update"), "without a signature");
        assert_eq!(web1.version_of("un"), None, "{text}");
        web1.sh(&format!("rm {folder}/{file}")).ok();
    }
}

#[test]
fn a_source_that_apt_trusts_without_a_signature_gives_nothing_on_bullseye() {
    a_source_that_apt_trusts_without_a_signature_gives_nothing(Suite::Bullseye);
}

#[test]
fn a_source_that_apt_trusts_without_a_signature_gives_nothing_on_bookworm() {
    a_source_that_apt_trusts_without_a_signature_gives_nothing(Suite::Bookworm);
}

#[test]
fn a_source_that_apt_trusts_without_a_signature_gives_nothing_on_trixie() {
    a_source_that_apt_trusts_without_a_signature_gives_nothing(Suite::Trixie);
}

fn settings_change_neither_the_form_nor_the_meaning(suite: Suite) {
    let fleet = with_updates(suite);
    let web1 = fleet.host("web1");
    web1.sh("apt-mark hold pkg-a pkg-b").ok();
    configured(
        web1,
        "APT::Get::Show-Versions \"true\";\nAPT::Output-Version \"30\";\nAPT::Color \"1\";\nquiet \"2\";\n\
         APT::Get::Download-Only \"true\";\nAPT::Get::Simulate \"true\";\nDebug::pkgDPkgPM \"true\";\n\
         Debug::pkgDepCache::Marker \"true\";\nAPT::Get::Purge \"true\";\nAPT::Get::Show-Upgraded \"false\";\n",
    );
    let run = fleet.apt_all("web1 --dry-run dist-upgrade");
    run.ended("web1", "unchanged");
    assert_eq!(
        run.answer("web1")["kept_back"],
        serde_json::json!(["pkg-a", "pkg-b"])
    );
    let steps = &run.answer("web1")["transaction"]["steps"];
    assert!(steps.as_array().is_some_and(|steps| steps.len() >= 3), "{steps}");
    fleet.apt_all("web1 --yes dist-upgrade").ended("web1", "changed");
    assert_eq!(web1.version_of("pkg-c").as_deref(), Some("2.0"));
    // It is on hold, so that `version_of` does not count it as installed.
    assert_eq!(web1.sh("dpkg-query -W -f '${Version}' pkg-a").ok(), "1.0");
    refused(
        &fleet.apt_all("web1 --yes --allow-remove install openssh-server-removing"),
        "no source of this client has",
    );

    configured(web1, "DPkg::Options { \"--force-confold\"; \"--no-act\"; };\n");
    refused(
        &fleet.apt_all("web1 --yes dist-upgrade"),
        "DPkg::Options:: \"--no-act\"",
    );
    configured(web1, "APT::Sources::With { \"/srv/a.deb\"; };\n");
    refused(&fleet.apt_all("web1 --yes dist-upgrade"), "APT::Sources::With");
}

#[test]
fn settings_change_neither_the_form_nor_the_meaning_on_bullseye() {
    settings_change_neither_the_form_nor_the_meaning(Suite::Bullseye);
}

#[test]
fn settings_change_neither_the_form_nor_the_meaning_on_bookworm() {
    settings_change_neither_the_form_nor_the_meaning(Suite::Bookworm);
}

#[test]
fn settings_change_neither_the_form_nor_the_meaning_on_trixie() {
    settings_change_neither_the_form_nor_the_meaning(Suite::Trixie);
}

#[test]
fn versions_are_compared_as_versions() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    let vendor = Vendor::signed(web1, "vendor");
    vendor.offers(web1, &[("epoch-null", "0:1.0"), ("padded", "1.00-0")], "");
    web1.write("/etc/apt/sources.list.d/vendor.list", &vendor.line(""));
    fleet.apt_all("web1 update").ended("web1", "changed");
    fleet
        .apt_all("web1 --yes install epoch-null")
        .ended("web1", "changed")
        .exited(0);
    fleet
        .apt_all("web1 --yes install padded=1.0-0")
        .ended("web1", "changed")
        .exited(0);
    fleet
        .apt_all("web1 --yes install epoch-null=1.0")
        .ended("web1", "unchanged");
    refused(
        &fleet.apt_all("web1 --yes install padded=1.1"),
        "the candidate of padded",
    );
}

#[test]
fn the_cache_is_emptied_where_apt_has_it() {
    let fleet = with_updates(Suite::default());
    let web1 = fleet.host("web1");
    web1.sh("mkdir -p /srv/cache/partial").ok();
    configured(web1, "Dir::Cache::Archives \"/srv/cache\";\n");
    web1.sh("apt-get -y --download-only dist-upgrade && ls /srv/cache/*.deb")
        .ok();
    fleet.apt_all("web1 clean").ended("web1", "changed");
    assert_ne!(web1.sh("ls /srv/cache/*.deb").code, 0);
    fleet.apt_all("web1 clean").ended("web1", "unchanged");
}

/// Makes the lists of an archive on this client too old.
fn expire(client: &Host, name: &str) {
    let list = format!("/var/lib/apt/lists/_srv_{name}_._InRelease");
    let line = "Valid-Until: Sat, 01 Jan 2000 00:00:00 UTC";
    client
        .sh(&format!(
            "test -e {list} && sed -i 's/^Valid-Until:.*/{line}/' {list}"
        ))
        .ok();
    assert!(client.read(&list).unwrap().contains(line));
}

const LONG: &str = "Valid-Until: Sat, 01 Jan 2050 00:00:00 UTC\n";

fn an_expired_archive_gives_nothing_and_the_others_install(suite: Suite) {
    let fleet = Fleet::of(["web1"]).suite(suite).up();
    let web1 = fleet.host("web1");
    let vendor = Vendor::signed(web1, "vendor");
    vendor.offers(web1, &[("pkg-a", "9.0"), ("tool", "1.0")], LONG);
    web1.write("/etc/apt/sources.list.d/vendor.list", &vendor.line(""));
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").ended("web1", "changed");
    expire(web1, "vendor");

    let run = fleet.apt_all("web1 --yes dist-upgrade");
    run.ended("web1", "changed");
    let notes = run.notes("web1");
    assert!(notes.contains("copy:/srv/vendor ./ was valid until"), "{notes}");
    assert!(notes.contains("/etc/apt/sources.list.d/vendor.list:1"), "{notes}");
    assert_eq!(web1.version_of("pkg-a").as_deref(), Some("2.0"));
    assert_eq!(web1.version_of("pkg-e").as_deref(), Some("2.0"));
    refused(
        &fleet.apt_all("web1 --yes install tool"),
        "no source of this client has a package tool",
    );

    // A waiver counts for the archive that it stands beside, and for no other.
    let other = Vendor::signed(web1, "other");
    other.offers(web1, &[("other-tool", "1.0")], LONG);
    web1.write(
        "/etc/apt/sources.list.d/vendor.list",
        &(vendor.line("") + &other.line("check-valid-until=no")),
    );
    vendor.offers(web1, &[("pkg-a", "9.0"), ("tool", "1.0")], LONG);
    fleet.apt_all("web1 update").ended("web1", "changed");
    expire(web1, "vendor");
    expire(web1, "other");
    fleet
        .apt_all("web1 --yes install other-tool")
        .ended("web1", "changed");
    fleet.apt_all("web1 --yes install tool").ended("web1", "refused");
    assert_eq!(web1.version_of("tool"), None);
}

#[test]
fn an_expired_archive_gives_nothing_and_the_others_install_on_bullseye() {
    an_expired_archive_gives_nothing_and_the_others_install(Suite::Bullseye);
}

#[test]
fn an_expired_archive_gives_nothing_and_the_others_install_on_bookworm() {
    an_expired_archive_gives_nothing_and_the_others_install(Suite::Bookworm);
}

#[test]
fn an_expired_archive_gives_nothing_and_the_others_install_on_trixie() {
    an_expired_archive_gives_nothing_and_the_others_install(Suite::Trixie);
}

#[test]
fn the_lists_are_as_old_as_the_archive_that_cannot_be_fetched() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    fleet.apt_all("web1 update").exited(0);
    web1.sh("find /var/lib/apt/lists /var/lib/apu-client /var/lib/apt/periodic -exec touch -h -d '30 days ago' {} +; true")
        .ok();
    let vendor = Vendor::signed(web1, "vendor");
    vendor.offers(web1, &[("tool", "1.0")], "");
    web1.write("/etc/apt/sources.list.d/vendor.list", &vendor.line(""));
    fleet.upstream().behave(apu_tests::Manner::Unavailable);
    fleet.apt_all("web1 update").ended("web1", "partial");
    let age = |run: &Run| run.answer("web1")["status"]["lists_age"].as_u64().unwrap() / 86_400;
    assert_eq!(age(&fleet.apt_all("web1 status")), 30);
    fleet.upstream().behave(apu_tests::Manner::Well);
    fleet.apt_all("web1 update").exited(0);
    assert_eq!(age(&fleet.apt_all("web1 status")), 0);
}

#[test]
fn a_client_that_is_shown_the_archive_of_yesterday_is_stale() {
    let fleet = Fleet::of(["web1", "web2"]).up();
    let web1 = fleet.host("web1");
    fleet.site_offers("tool", "1.0");
    fleet.apt_all("web1,web2 update").all_ended("changed");
    // The archive as it is now, behind another address under the same name.
    let mut tar = fleet.server().command("tar");
    let old = tar
        .args(["-C", "/var/lib/apu-data/repo", "-cf", "-", "local"])
        .output()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("old.tar"), old.stdout).unwrap();
    let mut untar = std::process::Command::new("tar");
    assert!(
        untar
            .current_dir(&folder)
            .args(["-xf", "old.tar"])
            .status()
            .unwrap()
            .success()
    );
    fleet.upstream().serve_instead(folder.path().to_owned());
    web1.sh("rm /etc/apt/sources.list.d/upstream.sources; sed 's/^127.9.0.1 /127.9.0.2 /' /etc/hosts >/tmp/hosts && cat /tmp/hosts >/etc/hosts")
        .ok();
    fleet.apt_all("web1 update").exited(0);

    fleet.server().sh("sleep 1.1").ok();
    fleet.site_offers("tool", "2.0");
    let run = fleet.apt_all("web1 update");
    run.ended("web1", "stale").exited(1);
    run.because("web1", "http://apu.example.org/local ./ gave it lists that are");
    let plain = fleet.plain_apt_all("web1 update");
    assert_eq!(plain.code, 1, "{plain:?}");
    assert!(plain.stdout.contains("stale"), "{plain:?}");
    let releases = run.answer("web1")["releases"].clone();
    assert_eq!(releases[0]["own"], true, "{releases}");
    let status = fleet.plain_apt_all("web1,web2 status -v");
    assert_eq!(status.code, 0, "{status:?}");
    let stale = "stale: lists of http://apu.example.org/local ./ are ";
    assert!(status.stdout.contains(stale), "{status:?}");
    assert!(status.stdout.contains("package lists were made"), "{status:?}");

    web1.sh("sed 's/^127.9.0.2 /127.9.0.1 /' /etc/hosts >/tmp/hosts && cat /tmp/hosts >/etc/hosts")
        .ok();
    fleet.apt_all("web1 update").ended("web1", "changed").exited(0);
    let status = fleet.plain_apt_all("web1 status");
    assert!(!status.stdout.contains("stale"), "{status:?}");
}

#[test]
fn an_update_counts_as_security_by_any_version_in_between() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    let vendor = Vendor::signed(web1, "vendor");
    vendor.offers(web1, &[("pkg-e", "3.0"), ("pkg-d", "3.0")], "");
    web1.write("/etc/apt/sources.list.d/vendor.list", &vendor.line(""));
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").ended("web1", "changed");
    let run = fleet.apt_all("web1 status");
    let pending = run.answer("web1")["status"]["pending"]
        .as_array()
        .unwrap()
        .clone();
    let of = |name: &str| pending.iter().find(|one| one["package"] == name).unwrap().clone();
    assert_eq!(of("pkg-e:amd64")["new"], "3.0");
    assert_eq!(of("pkg-e:amd64")["security"], true);
    assert_eq!(of("pkg-d:amd64")["security"], false);
    let releases = run.answer("web1")["status"]["releases"].to_string();
    for part in ["copy:/srv/vendor", "http://apu.example.org/local", "\"own\":true"] {
        assert!(releases.contains(part), "{releases}");
    }
}
