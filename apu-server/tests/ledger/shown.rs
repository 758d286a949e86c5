//! Runs as they are listed, shown and compared.

use std::fs;

use apu_fleet::{Ending, Phase};
use apu_proto::{ClientOutcome, RunResult};

use crate::recorded::{Push, apu, broken_off_run, failed, hosts, json, kill, site, two_runs};

#[test]
fn before_the_first_run_there_is_nothing_to_show_and_nothing_is_made() {
    let site = site();
    for (words, text, code) in [
        ("runs", "no run has begun here\n", 0),
        ("runs --json", "", 0),
        ("history web1", "no run has begun here\n", 0),
        ("locks", "no host is held\n", 0),
        ("ledger check", "no run has begun here\n", 0),
        ("ledger prune", "no run has begun here\n", 0),
        ("show", "error: no run has begun here\n", 2),
        ("log 412", "error: no run has begun here\n", 2),
        ("diff @- @", "error: no run has begun here\n", 2),
        ("unlock web[1-2]", "web[1-2]: not held\n", 1),
    ] {
        assert_eq!(apu(site.path(), words), (text.to_owned(), code), "{words}");
    }
    assert!(!site.path().join("var/lib/apu-server/apu.db").exists());
}

#[test]
fn words_that_name_no_run_are_answered_with_what_to_try() {
    let site = site();
    two_runs(site.path());
    for (words, text) in [
        (
            "show web1",
            "error: \"web1\" is not a run\n  why: a run is a number such as 412, @ for the last one, @- for the one before, \
             or the beginning of its id\n  try: apu runs, which lists them\n",
        ),
        (
            "show 412",
            "error: there is no run 412\n  try: apu runs, which lists them\n",
        ),
        (
            "diff @-- @",
            "error: there is no run @--\n  try: apu runs, which lists them\n",
        ),
        (
            "log @ mail",
            "error: mail is no host of run 2\n  try: apu show 2, which names them\n",
        ),
        (
            "show p3",
            "error: there is no plan p3\n  why: it was never made, was let go, or its file is not whole\n  \
             try: apu plans, which lists them\n",
        ),
        (
            "apply 3",
            "error: \"3\" is not a plan: a plan's name is p and a number\n  try: apu apply p3\n",
        ),
    ] {
        assert_eq!(apu(site.path(), words), (text.to_owned(), 2), "{words}");
    }
    // One that is no ledger is this machine's failure.
    fs::write(
        site.path().join("var/lib/apu-server/apu.db"),
        "no ledger at all, but some text",
    )
    .unwrap();
    for file in ["apu.db-wal", "apu.db-shm"] {
        let _ = fs::remove_file(site.path().join("var/lib/apu-server").join(file));
    }
    let (text, code) = apu(site.path(), "runs");
    assert!(
        text.starts_with("error: cannot use the ledger SITE/var/lib/apu-server/apu.db\n  why: ") && code == 3,
        "{text}"
    );
    assert_eq!(text.matches("why:").count(), 1, "{text}");
}

#[test]
fn runs_are_listed_the_newest_first() {
    let site = site();
    two_runs(site.path());
    broken_off_run(site.path());
    let (text, _) = apu(site.path(), "runs");
    assert_eq!(
        text,
        "RUN  BEGAN             BY     TARGET   OPERATION      STATE\n\
         3    2023-11-14 22:16  alice  web,db1  upgrade --yes  broken off\n\
         2    2023-11-14 22:15  alice  web,db1  upgrade --yes  ended: 4 changed\n\
         1    2023-11-14 22:14  alice  web,db1  upgrade --yes  ended: 2 changed, 1 failed\n"
    );
    assert_eq!(apu(site.path(), "runs -n 1").0.lines().count(), 2);
    let lines = json(site.path(), "runs");
    assert_eq!((&lines[2]["run"], &lines[2]["status"]), (&1.into(), &1.into()));
    assert_eq!(lines[2]["outcomes"]["failed"], 1);
    assert_eq!(
        (&lines[0]["state"], &lines[0]["hosts"]),
        (&"broken-off".into(), &3.into())
    );
}

#[test]
fn a_run_is_shown_as_at_its_end_by_number_from_the_end_and_by_its_id() {
    let site = site();
    two_runs(site.path());
    let (text, code) = apu(site.path(), "show 1");
    assert_eq!(code, 0);
    assert!(
        text.starts_with("run 1: upgrade --yes\n  target  web,db1\n"),
        "{text}"
    );
    assert!(
        text.ends_with(
            "\nweb[1-2]: changed: 1 package\n  a:all  1 → 2\ndb1: failed: E: no\u{fffd}[2J space left\n  | second line\n\
             2 changed, 1 failed, in 12.3 s\n\ntry: apu retry 1 --failed\n"
        ),
        "{text}"
    );
    for word in ["@-", "a1a1a1"] {
        assert_eq!(apu(site.path(), &format!("show {word}")).0, text, "{word}");
    }
    let (last, _) = apu(site.path(), "show");
    assert!(last.starts_with("run 2: ") && !last.contains("try:"), "{last}");

    broken_off_run(site.path());
    let (text, _) = apu(site.path(), "show");
    assert!(
        text.ends_with("\nweb1: unknown\nweb[2-3]: not asked\n1 unknown, 2 not asked\n\ntry: apu resume 3\n"),
        "{text}"
    );
    let ends = json(site.path(), "show")[0]["ends"].clone();
    assert_eq!(
        (&ends[0]["host_state"], &ends[1]["host_state"]),
        (&"unknown".into(), &"not-asked".into())
    );
}

#[test]
fn a_host_that_only_said_what_it_would_change_is_not_told_to_be_unchanged() {
    let site = site();
    let names = hosts(&["web1", "web2"]);
    let mut push = Push::announced(site.path(), 1, names.clone());
    push.phase(Phase::Plan, names.clone());
    push.end(
        &names[0],
        Ending::of_result(Box::new(RunResult::new(ClientOutcome::Unchanged)), None),
    );
    push.end(&names[1], failed());
    push.begin(&names[..1]);
    kill(site.path(), &push, 1);
    let (text, _) = apu(site.path(), "show");
    assert!(text.contains("\nweb2: failed: "), "{text}");
    assert!(
        text.ends_with("\nweb1: not asked\n1 failed, 1 not asked\n\ntry: apu resume 1\n"),
        "{text}"
    );
}

#[test]
fn what_hosts_printed_is_shown_clean_with_their_names_where_there_are_several() {
    let site = site();
    two_runs(site.path());
    assert_eq!(
        apu(site.path(), "log 1").0,
        "web1| Unpacking a …\nweb1| \u{fffd}[2Jdone\ndb1| E: no space left\n"
    );
    assert_eq!(apu(site.path(), "log 1 db1").0, "E: no space left\n");
    assert_eq!(
        apu(site.path(), "log 1 web2").0,
        "web2 printed nothing in run 1\n"
    );
    assert_eq!(apu(site.path(), "log 2").0, "no host printed anything in run 2\n");
    let lines = json(site.path(), "log 1 web1");
    assert_eq!(lines[1]["text"], "\u{1b}[2Jdone");
}

#[test]
fn a_host_has_a_history_with_reasons_and_packages() {
    let site = site();
    two_runs(site.path());
    assert_eq!(
        apu(site.path(), "history db1").0,
        "RUN  BEGAN             BY     OUTCOME  TOOK   OPERATION\n\
         2    2023-11-14 22:15  alice  changed  1.5 s  upgrade --yes\n\
         1    2023-11-14 22:14  alice  failed   1.5 s  upgrade --yes\n  \
         E: no\u{fffd}[2J space left; second line\n"
    );
    let web = apu(site.path(), "history web1 -n 1").0;
    assert!(web.ends_with("\n  a:all  1 → 2\n  b:all  1 → 2\n"), "{web}");
    assert_eq!(
        apu(site.path(), "history mail").0,
        "no run of mail is known here\n"
    );
    assert_eq!(
        json(site.path(), "history web1")[0]["changes"][1]["package"],
        "b:all"
    );
}

#[test]
fn two_runs_are_compared() {
    let site = site();
    two_runs(site.path());
    assert_eq!(
        apu(site.path(), "diff @- @").0,
        "- 1  2023-11-14 22:14  alice  web,db1: upgrade --yes\n\
         + 2  2023-11-14 22:15  alice  web,db1: upgrade --yes\n\
         web[1-2]: changed in both\n  \
         + b:all  1 → 2\n\
         db1: failed → changed\n\
         new: not in 1, changed\n"
    );
    assert_eq!(json(site.path(), "diff 1 2").len(), 3);
    assert!(apu(site.path(), "diff 1 1").0.ends_with("\nno host differs\n"));
}
