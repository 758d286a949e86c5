//! One bad thing does not stop the good ones, and what is told of it is its cause.

use apu_tests::{Fleet, Host, Stage};

/// Makes `hurts-failing` half-configured on `web1`, with updates of other packages pending.
fn fleet_with_a_broken_package() -> Fleet {
    let fleet = Fleet::of(["web1"]).up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").ended("web1", "changed");
    let broken = fleet
        .host("web1")
        .sh("DEBIAN_FRONTEND=noninteractive apt-get -q -y install hurts-failing");
    assert_ne!(broken.code, 0);
    fleet
}

fn write_hook(host: &Host, hook: &str) {
    host.write("/etc/apt/apt.conf.d/99hook", &format!("{hook}\n"));
}

#[test]
fn updates_come_beside_a_package_that_cannot_be_configured() {
    let fleet = fleet_with_a_broken_package();
    let web1 = fleet.host("web1");
    assert_eq!(web1.version_of("pkg-e").as_deref(), Some("1.0"));

    let run = fleet.apt_all("web1 upgrade --yes");
    run.ended("web1", "partial").exited(1);
    assert_eq!(web1.version_of("pkg-e").as_deref(), Some("2.0"));
    assert!(run.answer("web1")["broken"].to_string().contains("hurts-failing"));
    run.because("web1", "post-installation script")
        .because("web1", "the script's last words: it was not to be");

    // With nothing left to do, what is broken is still named.
    let again = fleet.apt_all("web1 upgrade --yes");
    again.ended("web1", "failed").because("web1", "hurts-failing");
}

#[test]
fn the_plan_beside_a_broken_package_has_the_other_updates() {
    let fleet = fleet_with_a_broken_package();
    let plan = fleet.apt_all("web1 upgrade --dry-run");
    let answer = plan.answer("web1");
    assert!(answer["transaction"].to_string().contains("pkg-e"), "{answer:#}");
    assert!(
        answer["broken"].to_string().contains("hurts-failing"),
        "{answer:#}"
    );
}

#[test]
fn a_file_of_two_packages_is_named_with_the_other_package() {
    let fleet = Fleet::of(["web1"]).up();
    fleet
        .apt_all("web1 install hurts-overlap-a --yes")
        .ended("web1", "changed");
    let run = fleet.apt_all("web1 install hurts-overlap-b --yes");
    run.ended("web1", "failed").because(
        "web1",
        "trying to overwrite '/usr/share/hurts-overlap/file', which is also in package hurts-overlap-a",
    );
    let text = run.end_of("web1")["text"].as_str().unwrap().to_owned();
    assert!(
        text.lines().next().unwrap().contains("trying to overwrite"),
        "{text}"
    );
}

#[test]
fn a_hook_of_the_machine_does_not_make_an_update_fail() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    for hook in [
        "APT::Update::Post-Invoke:: \"echo 'E: only words'\";",
        "APT::Update::Post-Invoke:: \"false\";",
        "APT::Update::Pre-Invoke:: \"false\";",
    ] {
        write_hook(web1, hook);
        let run = fleet.apt_all("web1 update").exited(0).clone();
        let notes = run.notes("web1");
        assert!(notes.contains("hook"), "{hook}: {notes}");
    }
    // Lists that could not be fetched are missing all the same.
    web1.sh("echo 'deb [signed-by=/usr/share/keyrings/upstream.gpg] http://127.9.0.1:1/nothing stable main' >/etc/apt/sources.list.d/dead.list")
        .ok();
    let run = fleet.apt_all("web1 update");
    run.exited(1).because("web1", "127.9.0.1:1");
}

#[test]
fn a_missing_key_is_named() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    // The archive of the site is signed by another key than this source trusts.
    web1.sh("sed 's|^Signed-By:.*|Signed-By: /usr/share/keyrings/upstream.gpg|; s|/local$|/local/.|' \
             /etc/apt/sources.list.d/apu.sources | sed -n '/local/,$p' | sed '1i Types: deb' >/etc/apt/sources.list.d/other.sources; \
             cat /etc/apt/sources.list.d/other.sources")
        .ok();
    let run = fleet.apt_all("web1 update");
    run.exited(1).because("web1", "NO_PUBKEY");
}

#[test]
fn what_was_installed_automatically_is_manual_once_it_is_asked_for() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    web1.sh("apt-get -q -y install pkg-x && apt-mark auto pkg-x").ok();

    fleet
        .apt_all("web1 install pkg-x --yes")
        .ended("web1", "changed")
        .exited(0);
    assert_eq!(web1.sh("apt-mark showmanual pkg-x").stdout.trim(), "pkg-x");
    fleet.apt_all("web1 autoremove --yes").exited(0);
    assert_eq!(web1.version_of("pkg-x").as_deref(), Some("1.0"));
    // Once is enough.
    fleet
        .apt_all("web1 install pkg-x --yes")
        .ended("web1", "unchanged")
        .exited(0);
}

#[test]
fn a_database_that_was_left_broken_is_repaired_by_a_push_whether_apt_can_plan_on_it_or_not() {
    let fleet = Fleet::of(["web1", "web2"]).in_class("web").up();
    // dpkg was ended in the middle: its journal is there.
    let web1 = fleet.host("web1");
    let journal = "/var/lib/dpkg/updates/0001";
    web1.sh(&format!("dpkg-query -s pkg-c >{journal}")).ok();
    // A package was unpacked and what it needs is gone: apt plans nothing before that is mended.
    let web2 = fleet.host("web2");
    web2.sh("sed -i '/^Package: pkg-d$/,/^$/ { s/install ok installed/install ok unpacked/; s/^Version:.*/&\\nDepends: pkg-x/ }' /var/lib/dpkg/status")
        .ok();
    web2.sh("! apt-get -s upgrade").ok();

    let plan = fleet.apt_all("web upgrade --dry-run");
    for name in ["web1", "web2"] {
        plan.ended(name, "unchanged");
        assert_eq!(plan.answer(name)["repair"], true, "{:#}", plan.answer(name));
    }
    let run = fleet.apt_all("web upgrade --yes");
    assert!(web1.read(journal).is_none(), "{run:?}");
    assert_eq!(web2.version_of("pkg-d").as_deref(), Some("1.0"), "{run:?}");
    fleet.apt_all("web check").all_ended("unchanged").exited(0);
}
