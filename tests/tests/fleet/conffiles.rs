//! Configuration files that exist in two versions: one decision for all hosts that have these versions, and the way back.

use apu_tests::{Fleet, Stage};

const FILE: &str = "/etc/hurts-conffile.conf";

/// Two hosts on which an upgrade kept the machine's version, and one with another version of it.
fn decided_fleet() -> Fleet {
    let fleet = Fleet::of(["web1", "web2", "web3"]).up();
    for (host, text) in [("web1", "mine"), ("web2", "mine"), ("web3", "other")] {
        let install = "DEBIAN_FRONTEND=noninteractive apt-get -q -y install hurts-conffile";
        let script = format!("{install} && echo {text} >{FILE} && chmod 640 {FILE}");
        fleet.host(host).sh(&script).ok();
    }
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("all update").exited(0);
    fleet.apt_all("all upgrade --yes --waves 100%").exited(0);
    fleet
}

#[test]
fn a_configuration_file_is_decided_on_once_for_all_that_have_these_versions_and_comes_back() {
    let fleet = decided_fleet();
    let apu = |words: &str| fleet.server().sh(&format!("apu conffile {FILE} {words}"));
    let text = |host: &str| fleet.host(host).read(FILE).unwrap_or_default();
    let has_dist = |host: &str| fleet.host(host).read(&format!("{FILE}.dpkg-dist")).is_some();

    // Nobody has agreed, and nothing is changed.
    assert_eq!(apu("new --on all").code, 2);
    let shown = apu("new --on all --dry-run");
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("web[1-2]"), "{shown:?}");
    assert!(shown.stdout.contains("web3"), "{shown:?}");
    assert_eq!(text("web1"), "mine\n");

    // The package's version is in place, with owner and mode as they were; the machine's is kept for root alone.
    let done = apu("new --on all --exclude web3 --yes");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(
        done.stdout.contains("web[1-2]: changed: the package's version is in place; put away into /var/lib/apu-client/conffiles/"),
        "{done:?}"
    );
    for host in ["web1", "web2"] {
        assert!(text(host).contains("2.0") && !has_dist(host), "{host}");
        let mode = fleet.host(host).sh(&format!("stat -c '%a %U' {FILE}")).ok();
        assert_eq!(mode, "640 root\n");
        let kept = fleet
            .host(host)
            .sh("stat -c %a /var/lib/apu-client/conffiles/*")
            .ok();
        assert_eq!(kept, "700\n");
    }
    assert!(text("web3") == "other\n" && has_dist("web3"));
    let recorded = fleet.server().sh("apu runs --verbose").ok();
    assert!(recorded.contains(&format!("conffile {FILE} new")), "{recorded}");

    // And back; a second time there is nothing to bring back.
    let undone = apu("undo --on all --yes");
    assert_eq!(undone.code, 0, "{undone:?}");
    for host in ["web1", "web2"] {
        assert!(text(host) == "mine\n" && has_dist(host), "{host}");
    }
    assert!(
        undone
            .stdout
            .contains("web3: unchanged: nothing of it was put away"),
        "{undone:?}"
    );

    // A host that was changed since its versions were seen leaves them alone.
    let line = "apu/1 conffile conffile_path=/etc/hurts-conffile.conf conffile_decision=new \
                conffile_versions=.dpkg-dist:00000000:ed9c86a6";
    let output = fleet.ssh("web1", &[]).arg(line).output().unwrap();
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.contains("conffile-changed"), "{answer}");

    // The machine's own administrator has the last word.
    fleet
        .host("web1")
        .sh("echo 'conffile_decisions = \"keep\"' >/etc/apu-client/policy.toml")
        .ok();
    let refused = apu("new --on web1 --yes");
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stdout.contains("does not allow the decision new"),
        "{refused:?}"
    );
    let kept = apu("keep --on web1 --yes");
    assert_eq!(kept.code, 0, "{kept:?}");
    assert!(text("web1") == "mine\n" && !has_dist("web1"));
}

#[test]
fn no_decision_leads_out_of_the_folders_of_root() {
    let fleet = decided_fleet();
    let web1 = fleet.host("web1");
    // What says what the server may do is decided on by nobody but root there.
    let policy = "/etc/apu-client/policy.toml";
    web1.sh(&format!("echo 'operations = [\"ping\"]' >{policy}.dpkg-dist"))
        .ok();
    let refused = fleet
        .server()
        .sh(&format!("apu conffile {policy} new --on web1 --yes"));
    assert!(refused.stdout.contains("no request decides on it"), "{refused:?}");
    // A folder that another user may change.
    web1.sh("mkdir -m 777 /etc/open; echo mine >/etc/open/x; echo theirs >/etc/open/x.dpkg-dist")
        .ok();
    let refused = fleet.server().sh("apu conffile /etc/open/x new --on web1 --yes");
    assert!(
        refused
            .stdout
            .contains("/etc/open may be changed by others than root"),
        "{refused:?}"
    );
    assert_eq!(web1.read("/etc/open/x").as_deref(), Some("mine\n"));
}

#[test]
fn a_package_is_held_back_for_a_changed_file_and_only_as_long_as_it_would_conflict() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    let install = "DEBIAN_FRONTEND=noninteractive apt-get -q -y install hurts-conffile";
    web1.sh(&format!("{install} && echo mine >{FILE}")).ok();
    let policy = |text: &str| {
        let script = format!("printf '%s\\n' '{text}' >/etc/apu-client/policy.toml");
        web1.sh(&script).ok();
    };
    policy("[conffiles]\nhold-back = [\"/etc/hurts-*\"]");
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").exited(0);
    let planned = fleet.plain_apt_all("web1 upgrade --dry-run").stdout;
    let named =
        format!("held back for configuration files that were changed here: hurts-conffile:amd64 ({FILE})");
    assert!(planned.contains(&named), "{planned}");
    let run = fleet.apt_all("web1 upgrade --yes");
    run.ended("web1", "changed").exited(0);
    assert_eq!(run.answer("web1")["held_back"][0]["paths"][0], FILE);
    assert_eq!(web1.version_of("hurts-conffile").as_deref(), Some("1.0"));
    assert_eq!(web1.version_of("pkg-e").as_deref(), Some("2.0"));

    // With the .deb there it is known that it conflicts.
    fleet.apt_all("web1 upgrade -d").exited(0);
    let planned = fleet.plain_apt_all("web1 upgrade --dry-run").stdout;
    assert!(planned.contains(&named), "{planned}");

    // The package's version comes for this path, although the machine's stays in general.
    policy("[conffiles]\nnew = [\"/etc/hurts-*\"]");
    let run = fleet.apt_all("web1 upgrade --yes");
    run.ended("web1", "changed").exited(0);
    assert!(web1.read(FILE).unwrap().contains("2.0"));
    assert!(web1.read(&format!("{FILE}.dpkg-dist")).is_none());
    assert!(run.answer("web1")["conffiles_kept"].is_null(), "{run:?}");
    let undone = fleet
        .server()
        .sh(&format!("apu conffile {FILE} undo --on web1 --yes"));
    assert_eq!(undone.code, 0, "{undone:?}");
    assert_eq!(web1.read(FILE).as_deref(), Some("mine\n"));
}

#[test]
fn the_rules_of_a_class_are_those_of_its_hosts_whatever_the_target_is() {
    let fleet = Fleet::of(["db1", "web1", "web2"]).up();
    fleet.class("web", "web1\nweb2\n");
    let install = "DEBIAN_FRONTEND=noninteractive apt-get -q -y install hurts-conffile";
    for host in ["db1", "web1", "web2"] {
        fleet
            .host(host)
            .sh(&format!("{install} && echo mine >{FILE}"))
            .ok();
    }
    let settings = fleet.server().read("/etc/apu-server/apu.toml").unwrap();
    let set = |rules: &str| {
        let text = format!("{settings}\n[ssh]\nconnect_timeout = 3\n{rules}");
        fleet.server().write("/etc/apu-server/apu.toml", &text);
    };
    let versions = |host: &str| {
        let of = |package: &str| fleet.host(host).version_of(package).unwrap_or_default();
        [of("hurts-conffile"), of("pkg-e")]
    };
    set("[conffiles.web]\nhold-back = [\"/etc/hurts-*\"]\n");
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("default update").exited(0);
    // Rules that change after the plan are no part of it.
    let made = fleet.plain_apt_all("default upgrade --plan --exclude web2,db1");
    assert_eq!(made.code, 0, "{made:?}");
    set("");
    let applied = fleet.apu("apply p1");
    assert_eq!(applied.code, 0, "{applied:?}");
    assert_eq!(versions("web1"), ["1.0", "2.0"]);
    set("[conffiles.web]\nhold-back = [\"/etc/hurts-*\"]\n");

    fleet.host("web2").pull_the_cable();
    let run = fleet.apt_all("default upgrade --yes --queue 8h --waves 100%");
    run.ended("db1", "changed").ended("web2", "unreachable");
    assert_eq!(versions("web1"), ["1.0", "2.0"]);
    assert_eq!(versions("db1"), ["2.0", "2.0"]);
    // And in a later turn, which has a target of its own.
    fleet.host("web2").plug_the_cable_in();
    let turn = fleet.apu("queue run");
    assert_eq!(versions("web2"), ["1.0", "2.0"], "{turn:?}");

    // A class that is not there has rules for nobody, which must not go unnoticed.
    set("[conffiles.nowhere]\nkeep = [\"/etc/x\"]\n");
    let wrong = fleet.plain_apt_all("default upgrade --yes");
    assert_eq!(wrong.code, 2, "{wrong:?}");
}

#[test]
fn what_differs_is_shown_once_and_nothing_of_a_file_that_is_for_root() {
    let fleet = decided_fleet();
    for host in ["web1", "web2"] {
        fleet
            .host(host)
            .sh(&format!("chmod 644 {FILE} {FILE}.dpkg-dist"))
            .ok();
    }
    let shown = fleet.plain_apt_all("all conffiles --diff");
    assert_eq!(shown.code, 0, "{shown:?}");
    let told = format!("web[1-2]: {FILE} (.dpkg-dist)\n--- {FILE}\n+++ {FILE}.dpkg-dist\n");
    assert!(shown.stdout.contains(&told), "{shown:?}");
    assert_eq!(shown.stdout.matches("\n-mine\n").count(), 1, "{shown:?}");
    let hidden = format!("web3: {FILE} (.dpkg-dist): not readable by everybody on the host");
    assert!(shown.stdout.contains(&hidden), "{shown:?}");
    assert!(!shown.stdout.contains("-other"), "{shown:?}");
    // Without the option nothing of a file leaves a host.
    let plain = fleet.plain_apt_all("all conffiles");
    assert!(
        plain.stdout.contains("web[1-2]") && !plain.stdout.contains("mine"),
        "{plain:?}"
    );
    let wrong = fleet.plain_apt_all("all status --diff");
    assert!(
        wrong.code == 2 && wrong.stderr.contains("status has no --diff"),
        "{wrong:?}"
    );
}
