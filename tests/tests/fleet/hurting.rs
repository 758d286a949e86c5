//! Packages whose maintainer scripts hurt: none hangs a run, and each ends in the outcome that is true.

use std::time::Instant;

use apu_tests::{Fleet, Run, Stage, Suite};

/// Upgrades a host that has the package in version 1.0 to 2.0, after `prepare` was run on it.
fn upgrade_of(package: &str, prepare: &str) -> (Fleet, Run) {
    let fleet = Fleet::of(["web1"]).up();
    fleet
        .host("web1")
        .sh(&format!(
            "DEBIAN_FRONTEND=noninteractive apt-get -q -y install {package}"
        ))
        .ok();
    fleet.host("web1").sh(prepare).ok();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").ended("web1", "changed").exited(0);
    let run = fleet.apt_all("web1 upgrade --yes");
    // Whatever the one package did, the others were not its victims.
    assert_eq!(
        fleet.host("web1").version_of("pkg-e").as_deref(),
        Some("2.0"),
        "{run:?}"
    );
    (fleet, run)
}

#[test]
fn a_changed_conffile_is_kept_and_reported() {
    let mine = "# mine\ncolour = red\n";
    let (fleet, run) = upgrade_of(
        "hurts-conffile",
        &format!("printf '{mine}' >/etc/hurts-conffile.conf"),
    );
    let web1 = fleet.host("web1");

    run.ended("web1", "changed").exited(0);
    assert_eq!(web1.version_of("hurts-conffile").as_deref(), Some("2.0"));
    assert_eq!(web1.read("/etc/hurts-conffile.conf").as_deref(), Some(mine));
    assert!(
        web1.read("/etc/hurts-conffile.conf.dpkg-dist")
            .unwrap()
            .contains("2.0")
    );
    assert_eq!(
        run.answer("web1")["conffiles_kept"],
        serde_json::json!(["/etc/hurts-conffile.conf"])
    );
    // It is told until somebody has decided, and so is one that is missing.
    web1.sh("rm /etc/hurts-conffile.conf.dpkg-dist; cp /etc/hurts-conffile.conf /etc/hurts-conffile.conf.dpkg-old").ok();
    web1.sh("mv /etc/sudo.conf /root/").ok();
    let listed = fleet.apt_all("web1 conffiles");
    listed.ended("web1", "unchanged").exited(0);
    let files = listed.answer("web1")["files"].as_array().unwrap();
    let told: Vec<(&str, &str)> = files
        .iter()
        .map(|file| (file["path"].as_str().unwrap(), file["state"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("/etc/hurts-conffile.conf", "replaced"),
            ("/etc/sudo.conf", "missing")
        ]
    );
    assert_eq!(files[0]["sha256"], files[0]["other_sha256"]);
    let shown = fleet.plain_apt_all("web1 conffiles");
    assert!(
        shown
            .stdout
            .contains("/etc/hurts-conffile.conf  replaced (.dpkg-old)"),
        "{shown:?}"
    );
    assert!(
        shown
            .stdout
            .contains("web1: unchanged: 2 configuration files to look at"),
        "{shown:?}"
    );
}

/// What the plan says about configuration files and questions once the packages are there, and what dpkg and debconf then do.
fn questions_are_foretold_on(suite: Suite) {
    let fleet = Fleet::of(["web1"]).suite(suite).up();
    let web1 = fleet.host("web1");
    let install = "DEBIAN_FRONTEND=noninteractive apt-get -q -y install hurts-conffile hurts-debconf";
    web1.sh(&format!("{install} && echo mine >/etc/hurts-conffile.conf"))
        .ok();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").exited(0);
    let planned = fleet.apt_all("web1 upgrade --dry-run");
    let unknown = &planned.answer("web1")["changed_conffiles"];
    assert!(unknown.is_null(), "{unknown}");

    let prepared = fleet.plain_apt_all("web1 upgrade --prepare");
    assert_eq!(prepared.code, 0, "{prepared:?}");
    for said in [
        "changed here and in the packages, stay as they are: /etc/hurts-conffile.conf\n",
        "may ask, and the defaults apply: hurts-debconf/colour\n",
    ] {
        assert!(prepared.stdout.contains(said), "{prepared:?}");
    }
    let planned = fleet.apt_all("web1 upgrade --dry-run");
    let (files, questions) = (
        &planned.answer("web1")["changed_conffiles"],
        &planned.answer("web1")["new_questions"],
    );
    assert_eq!(files["keeps"], true);
    let run = fleet.apt_all("web1 upgrade --yes");
    run.ended("web1", "changed").exited(0);
    let answer = run.answer("web1");
    assert_eq!(files["paths"], answer["conffiles_kept"]);
    assert_eq!(questions["names"], answer["questions_defaulted"]);
}

#[test]
fn questions_are_foretold_on_bookworm() {
    questions_are_foretold_on(Suite::Bookworm);
}

#[test]
fn questions_are_foretold_on_trixie() {
    questions_are_foretold_on(Suite::Trixie);
}

#[test]
fn questions_are_foretold_on_bullseye() {
    questions_are_foretold_on(Suite::Bullseye);
}

#[test]
fn an_unchanged_conffile_follows_the_package() {
    let (fleet, run) = upgrade_of("hurts-conffile", "true");
    run.ended("web1", "changed").exited(0);
    assert!(
        fleet
            .host("web1")
            .read("/etc/hurts-conffile.conf")
            .unwrap()
            .contains("2.0")
    );
    assert!(run.answer("web1")["conffiles_kept"].is_null());
}

/// What an administrator may have written for all runs of apt and dpkg.
const KEEP_EVERYWHERE: &str = "printf 'DPkg::Options { \"--force-confdef\"; \"--force-confold\"; };\\n' \
    >/etc/apt/apt.conf.d/99conffiles; printf 'force-confdef\\nforce-confold\\n' >/etc/dpkg/dpkg.cfg.d/conffiles";
const NEW_EVERYWHERE: &str = "printf 'DPkg::Options { \"--force-confnew\"; };\\n' \
    >/etc/apt/apt.conf.d/99conffiles; printf 'force-confnew\\n' >/etc/dpkg/dpkg.cfg.d/conffiles";

#[test]
fn a_policy_of_new_conffiles_wins_over_the_settings_of_apt_and_dpkg() {
    let (fleet, run) = upgrade_of(
        "hurts-conffile",
        &format!(
            "{KEEP_EVERYWHERE}; echo mine >/etc/hurts-conffile.conf; \
             echo 'conffiles = \"new\"' >/etc/apu-client/policy.toml"
        ),
    );
    run.ended("web1", "changed").exited(0);
    let text = fleet.host("web1").read("/etc/hurts-conffile.conf").unwrap();
    assert!(text.contains("2.0"), "{text}");
    let notes = run.notes("web1");
    assert!(notes.contains("/etc/hurts-conffile.conf was replaced"), "{notes}");
}

#[test]
fn a_policy_of_kept_conffiles_wins_over_the_settings_of_apt_and_dpkg() {
    let (fleet, run) = upgrade_of(
        "hurts-conffile",
        &format!("{NEW_EVERYWHERE}; echo mine >/etc/hurts-conffile.conf"),
    );
    run.ended("web1", "changed").exited(0);
    assert_eq!(
        fleet.host("web1").read("/etc/hurts-conffile.conf").as_deref(),
        Some("mine\n")
    );
}

#[test]
fn a_critical_question_gets_its_default_and_is_reported() {
    let (fleet, run) = upgrade_of("hurts-debconf", "true");
    run.ended("web1", "changed").exited(0);
    assert_eq!(
        fleet.host("web1").read("/var/lib/hurts-debconf").as_deref(),
        Some("green\n")
    );
    assert!(
        run.answer("web1")["questions_defaulted"]
            .to_string()
            .contains("hurts-debconf/colour"),
        "{run:?}"
    );
}

#[test]
fn a_script_that_reads_finds_the_end_of_its_input() {
    let (fleet, run) = upgrade_of("hurts-stdin", "true");
    run.ended("web1", "changed").exited(0);
    assert_eq!(
        fleet.host("web1").read("/var/lib/hurts-stdin").as_deref(),
        Some("end of file\n")
    );
}

#[test]
fn a_failing_script_is_partial_and_names_its_package() {
    let (fleet, run) = upgrade_of("hurts-failing", "true");
    run.ended("web1", "partial").exited(1);
    assert!(run.answer("web1")["broken"].to_string().contains("hurts-failing"));
    let (letters, _) = fleet.host("web1").dpkg_l("hurts-failing").unwrap();
    assert_eq!(letters, "iF");
    fleet.apt_all("web1 check").ended("web1", "failed").exited(1);
}

#[test]
fn a_slow_script_is_waited_for() {
    let (fleet, run) = upgrade_of("hurts-slow", "echo 40 >/etc/hurts-slow");
    run.ended("web1", "changed").exited(0);
    assert_eq!(
        fleet.host("web1").version_of("hurts-slow").as_deref(),
        Some("2.0")
    );
    assert!(run.answer("web1")["seconds"].as_f64().unwrap() >= 4.0);
}

#[test]
fn noise_is_escaped_and_never_taken_for_an_answer() {
    let (fleet, run) = upgrade_of("hurts-noisy", "true");
    run.ended("web1", "changed").exited(0);
    assert_eq!(
        fleet.host("web1").version_of("hurts-noisy").as_deref(),
        Some("2.0")
    );
    let changes = run.answer("web1")["changes"].as_array().unwrap();
    assert_eq!(
        changes.len(),
        6,
        "the result that the script made up was believed: {changes:?}"
    );
}

#[test]
fn a_daemon_that_holds_the_output_does_not_hold_the_run() {
    let begin = Instant::now();
    let (fleet, run) = upgrade_of("hurts-daemon", "true");
    run.ended("web1", "changed").exited(0);
    assert!(begin.elapsed().as_secs() < 120, "{:?}", begin.elapsed());
    assert!(
        fleet
            .host("web1")
            .processes()
            .unwrap()
            .contains(&"sleep 600".to_owned())
    );
}

#[test]
fn maintainer_scripts_get_a_constant_environment() {
    let (fleet, run) = upgrade_of("hurts-environment", "true");
    run.ended("web1", "changed").exited(0);
    let environment = fleet.host("web1").read("/var/lib/hurts-environment").unwrap();
    let names: Vec<_> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name)
        .collect();
    // DPKG_* and the like are dpkg's own, told to every script.
    let foreign: Vec<_> = names
        .iter()
        .filter(|name| {
            let ours = [
                "PATH",
                "HOME",
                "LC_ALL",
                "DEBIAN_FRONTEND",
                "TERM",
                "PWD",
                "OLDPWD",
                "SHLVL",
                "_",
            ];
            let told = [
                "DPKG_",
                "DEBIAN_",
                "DEBCONF_",
                "APT_LISTCHANGES_",
                "NEEDRESTART_",
                "UCF_",
            ];
            !ours.contains(name) && !told.iter().any(|start| name.starts_with(start))
        })
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}\n{environment}");
}
