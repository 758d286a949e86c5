//! Answers of the server to debconf's questions: checked, approved with the plan, set before the packages come, and never seen.

use apu_tests::{Fleet, Host};

const FILE: &str = "/etc/apu-server/debconf/web";
const MADE: &str = "/var/lib/asks-answers";
const SECRET: &str = "tr0ub4dor-and-3";

/// A fleet of class `web` whose server has these answers.
fn fleet_with(answers: &str) -> Fleet {
    let fleet = Fleet::of(["web1"]).in_class("web").up();
    answer(&fleet, answers);
    fleet.apt_all("web update").exited(0);
    fleet
}

fn answer(fleet: &Fleet, answers: &str) {
    let server = fleet.server();
    server.sh("mkdir -p /etc/apu-server/debconf").ok();
    server.write(FILE, answers);
    server.sh(&format!("chmod 600 {FILE}")).ok();
}

/// The files of a host below these directories that have the secret, and the lists of its processes that show it.
fn traces(host: &Host, directories: &str) -> String {
    let script = format!(
        "grep -rslaF -e {SECRET} {directories}; journalctl --no-pager -q 2>/dev/null | grep -F -e {SECRET}; \
         for seen in /root/seen/*; do [ ! -e \"$seen\" ] || tr '\\0' ' ' <\"$seen\" | grep -aF -e {SECRET}; done; true"
    );
    host.sh(&script).stdout
}

#[test]
fn answers_are_set_before_the_packages_come_and_the_plan_tells_of_them() {
    let fleet = fleet_with(
        "# for a package that does not change\npostfix postfix/mailname string mail.example.org\n\
         asks-answers asks-answers/colour select deep red\nasks-answers asks-answers/secret password x y\n",
    );
    let planned = fleet.plain_apt_all("web install asks-answers --dry-run");
    for said in [
        "answered by the server: asks-answers/colour, asks-answers/secret\n",
        "1 answer of the server is for a package that does not change here",
    ] {
        assert!(planned.stdout.contains(said), "{planned:?}");
    }
    let run = fleet.apt_all("web install asks-answers --yes");
    run.ended("web1", "changed").exited(0);
    assert_eq!(fleet.host("web1").read(MADE).as_deref(), Some("deep red 3\n"));
    let answer_of_run = run.answer("web1");
    assert_eq!(
        answer_of_run["questions_answered"],
        serde_json::json!(["asks-answers/colour", "asks-answers/secret"])
    );
    assert!(answer_of_run["questions_defaulted"].is_null(), "{answer_of_run}");
    // What was answered before is replaced, and that is told; of a password nothing is.
    answer(
        &fleet,
        "asks-answers asks-answers/colour select blue\nasks-answers asks-answers/secret password z\n",
    );
    fleet.host("web1").sh("dpkg --purge asks-answers; echo 'asks-answers asks-answers/colour select green' | debconf-set-selections").ok();
    let again = fleet.plain_apt_all("web install asks-answers --dry-run");
    let said = "answered by the server: asks-answers/colour (was: green), asks-answers/secret\n";
    assert!(again.stdout.contains(said), "{again:?}");
}

#[test]
fn questions_tells_ahead_what_packages_would_ask_and_who_answers() {
    let fleet = fleet_with("asks-answers asks-answers/colour select blue\n");
    let told = fleet.plain_apt_all("web questions install asks-answers");
    assert_eq!(told.code, 0, "{told:?}");
    let lines: Vec<String> = (told.stdout.lines())
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for line in [
        "asks-answers/colour select green unknown the server's web1",
        "asks-answers/secret password unknown the default web1",
        "ready: web1",
    ] {
        assert!(lines.iter().any(|told| told == line), "{line}: {told:?}");
    }
    assert_eq!(fleet.host("web1").version_of("asks-answers"), None);
    // Nothing is pending, so nothing is asked.
    let none = fleet.plain_apt_all("web questions upgrade");
    assert!(none.stdout.contains("no questions\n"), "{none:?}");
    // With the packages there, a wrong answer is refused by the plan.
    answer(&fleet, "asks-answers asks-answers/colour select pink\n");
    let refused = fleet.plain_apt_all("web install asks-answers --dry-run");
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused
            .stdout
            .contains("asks-answers/colour takes only what it offers"),
        "{refused:?}"
    );
}

#[test]
fn a_wrong_answer_is_refused_by_name_and_nothing_changes() {
    let fleet = fleet_with(
        "asks-answers asks-answers/colour select pink\nasks-answers asks-answers/color select blue\n\
         asks-answers asks-answers/secret string x\n",
    );
    let web1 = fleet.host("web1");
    let before = web1
        .sh("sha256sum /var/lib/dpkg/status /var/cache/debconf/*.dat")
        .stdout;
    let run = fleet.plain_apt_all("web install asks-answers --yes");
    assert_eq!(run.code, 1, "{run:?}");
    for said in [
        "asks-answers/colour takes only what it offers: blue, green, deep red",
        "asks-answers/color: no package that changes here has this question",
        "asks-answers/secret is of another type",
    ] {
        assert!(run.stdout.contains(said), "{said}: {run:?}");
    }
    assert_eq!(web1.version_of("asks-answers"), None);
    let after = web1
        .sh("sha256sum /var/lib/dpkg/status /var/cache/debconf/*.dat")
        .stdout;
    assert_eq!(before, after);
    // A file that is not understood, or that others may read, asks nobody.
    for (text, mode, said) in [
        (
            "asks-answers asks-answers/secret hunter2\n",
            "600",
            "line 1: its third word is none of",
        ),
        (
            "asks-answers asks-answers/secret password x\n",
            "644",
            "others than root may read the file",
        ),
    ] {
        answer(&fleet, text);
        fleet.server().sh(&format!("chmod {mode} {FILE}")).ok();
        let refused = fleet.plain_apt_all("web install asks-answers --yes");
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(
            refused.stderr.contains(said) && refused.stderr.contains(FILE),
            "{refused:?}"
        );
        assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
    }
}

#[test]
fn a_machine_that_takes_no_answers_refuses_those_that_concern_it() {
    let fleet = fleet_with("asks-answers asks-answers/colour select blue\n");
    let web1 = fleet.host("web1");
    web1.sh("echo 'answers = \"never\"' >/etc/apu-client/policy.toml")
        .ok();
    let refused = fleet.plain_apt_all("web install asks-answers --yes");
    assert_eq!(refused.code, 1, "{refused:?}");
    let said = "this client's policy takes no answers to questions of its packages: asks-answers/colour";
    assert!(refused.stdout.contains(said), "{refused:?}");
    assert_eq!(web1.version_of("asks-answers"), None);
    fleet.apt_all("web install pkg-a --yes").exited(0);
}

#[test]
fn other_answers_than_those_of_the_plan_are_drifted() {
    let fleet = fleet_with("asks-answers asks-answers/colour select blue\n");
    let made = fleet.plain_apt_all("web install asks-answers --plan");
    assert_eq!(made.code, 0, "{made:?}");
    answer(&fleet, "asks-answers asks-answers/colour select deep red\n");
    let applied = fleet.apu("apply p1");
    assert!(applied.stdout.contains("web1: drifted"), "{applied:?}");
    assert_eq!(fleet.host("web1").read(MADE), None);
    fleet.server().sh(&format!("rm {FILE}")).ok();
    let applied = fleet.apu("apply p1");
    assert!(applied.stdout.contains("web1: drifted"), "{applied:?}");
    // Those that came since then are no part of the plan.
    answer(
        &fleet,
        "asks-answers asks-answers/colour select blue\nasks-answers asks-answers/secret password late\n",
    );
    let applied = fleet.apu("apply p1");
    assert_eq!(applied.code, 0, "{applied:?}");
    assert_eq!(fleet.host("web1").read(MADE).as_deref(), Some("blue 0\n"));
}

#[test]
fn a_password_is_in_no_log_no_record_and_no_list_of_processes() {
    let fleet = fleet_with(&format!(
        "asks-answers asks-answers/colour select blue\nasks-answers asks-answers/secret password {SECRET}\n"
    ));
    let (server, web1) = (fleet.server(), fleet.host("web1"));
    // Every program that starts is looked at, for as long as it takes.
    let watch = "mkdir -p /root/seen; (while [ ! -e /root/stop ]; do for p in /proc/[0-9]*; do \
                 n=${p#/proc/}; [ $n = $$ ] || cat $p/cmdline $p/environ >>/root/seen/all 2>/dev/null; done; done) >/dev/null 2>&1 &";
    for host in [server, web1] {
        host.sh(watch).ok();
    }
    // A word of a command line is seen there.
    for host in [server, web1] {
        let marked =
            "sleep 1; : a-word-that-is-seen; grep -qaF a-word-that-is-seen /root/seen/all && echo seen";
        assert_eq!(host.sh(marked).stdout, "seen\n");
    }
    fleet.plain_apt_all("web install asks-answers --plan").ok();
    let applied = fleet.apu("apply p1");
    for host in [server, web1] {
        host.sh("touch /root/stop; sleep 1").ok();
    }
    assert_eq!(applied.code, 0, "{applied:?}");
    assert_eq!(web1.read(MADE), Some(format!("blue {}\n", SECRET.len())));
    assert_eq!(traces(server, "/var/log /var/lib /run/apu-server"), "");
    assert_eq!(traces(web1, "/var/log /var/lib /run"), "");
    // Where it is looked for, it would be found.
    let found = web1
        .sh(&format!("grep -rlF -e {SECRET} /var/cache/debconf"))
        .stdout;
    assert!(found.contains("passwords.dat"), "{found}");
    assert!(!format!("{applied:?}").contains(SECRET));
}
