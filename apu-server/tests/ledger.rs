//! The commands that read the ledger, on runs that were recorded as apt-all records them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use apu_fleet::{
    EVENTS_VERSION, Ending, Event, HostName, Phase, PushId, Rollout, RunState, Sink, TimedEvent,
};
use apu_ledger::{Ledger, NewRun, Recorder, Work};
use apu_proto::{Cause, Change, ClientOutcome, Operation, Plan, Reason, RunResult};
use apu_server::stored_plans::{self, StoredPlan};
use apu_site::Site;
use jiff::Timestamp;
use serde_json::Value;

const APU: &str = env!("CARGO_BIN_EXE_apu");

/// A site with classes, in which nothing was done yet.
fn site() -> tempfile::TempDir {
    let site = tempfile::tempdir().unwrap();
    let clients = site.path().join("etc/apu-server/clients");
    fs::create_dir_all(&clients).unwrap();
    fs::write(clients.join("web"), "web[1-3]\n").unwrap();
    fs::create_dir_all(site.path().join("var/lib/apu-server")).unwrap();
    site
}

/// What a command printed, first its errors, and its exit status.
fn apu(site: &Path, words: &str) -> (String, i32) {
    let mut command = Command::new(APU);
    command.args(words.split_whitespace()).arg("--root").arg(site);
    let output = command
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    (
        text.replace(site.to_str().unwrap(), "SITE"),
        output.status.code().unwrap(),
    )
}

/// The lines of JSON that a command printed.
fn json(site: &Path, words: &str) -> Vec<Value> {
    let (text, code) = apu(site, &format!("{words} --json"));
    assert_eq!(code, 0, "{text}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A push that is recorded as it would be by apt-all.
struct Push {
    recorder: Recorder,
    state: RunState,
    id: PushId,
}

fn changed(packages: &[&str]) -> Ending {
    let mut result = RunResult::new(ClientOutcome::Changed);
    let change = |package: &&str| Change {
        package: package.parse().unwrap(),
        old: Some("1".into()),
        new: Some("2".into()),
    };
    result.packages_mut().changes = packages.iter().map(change).collect();
    Ending::of_result(Box::new(result), None)
}

fn failed() -> Ending {
    let reason = Reason::from(Cause::AptFailed).detailed("E: no\u{1b}[2J space left\nsecond line");
    Ending::of_result(Box::new(RunResult::because(ClientOutcome::Failed, reason)), None)
}

impl Push {
    /// One whose hosts are about to do it.
    fn new(site: &Path, id: u8, hosts: Vec<HostName>) -> Self {
        let mut push = Self::announced(site, id, hosts.clone());
        push.begin(&hosts);
        push.phase(Phase::Apply, hosts);
        push
    }

    /// One of which no host was asked anything yet.
    fn announced(site: &Path, id: u8, hosts: Vec<HostName>) -> Self {
        let ledger = Ledger::open(&site.join("var/lib/apu-server/apu.db")).unwrap();
        let push = PushId::from_bytes([id; 16]);
        let new = NewRun {
            push,
            parent: None,
            operation: "upgrade --yes".into(),
            request: "apu/1 upgrade".into(),
            target: "web,db1".into(),
            by: "alice".into(),
            begun: at(id, 0),
            hosts: hosts.clone(),
        };
        let mut push = Self {
            recorder: Recorder::new(ledger, new),
            state: RunState::new(push),
            id: push,
        };
        push.tell(Event::PushStarted {
            version: EVENTS_VERSION,
            operation: Operation::Upgrade,
            packages: Vec::new(),
            hosts,
            by: "alice".into(),
        });
        push
    }

    fn begin(&self, hosts: &[HostName]) {
        let mut work = Work::new("apu/1 upgrade".into(), Rollout::default());
        work.parallel = 50;
        let work = work.for_hosts(hosts.iter().map(|host| (host, None)));
        let id = self.id.to_string().replace('0', "a");
        self.recorder.begin(Some((id.parse().unwrap(), &work))).unwrap();
    }

    fn phase(&mut self, phase: Phase, hosts: Vec<HostName>) {
        let operation = Operation::Upgrade;
        self.tell(Event::PhaseStarted {
            phase,
            operation,
            hosts,
        });
    }

    fn tell(&mut self, event: Event) {
        let event = TimedEvent {
            at: at(self.id.to_string().as_bytes()[1] - b'0', 2),
            push: self.id,
            event,
        };
        self.state.apply(&event);
        self.recorder.take(&event, &self.state).unwrap();
    }

    fn start(&mut self, host: &HostName) {
        let host = host.clone();
        self.tell(Event::HostStarted { host, run: None });
    }

    fn print(&mut self, host: &str, text: &str) {
        let (host, text) = (host.parse().unwrap(), text.to_owned());
        self.tell(Event::Line { host, text });
    }

    fn end(&mut self, host: &HostName, ending: Ending) {
        self.start(host);
        let (host, ending) = (host.clone(), Box::new(ending));
        self.tell(Event::HostFinished {
            host,
            seconds: 1.5,
            ending,
        });
    }

    fn finish(mut self, status: u8) {
        let outcomes = self.state.phase_outcomes();
        self.tell(Event::PhaseFinished {
            phase: Phase::Apply,
            seconds: 12.34,
            outcomes: outcomes.clone(),
        });
        self.tell(Event::PushFinished {
            status,
            seconds: 14.0,
            outcomes,
        });
        self.recorder.close().unwrap();
    }
}

fn at(run: u8, second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + 60 * i64::from(run) + second).unwrap()
}

fn hosts(names: &[&str]) -> Vec<HostName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// A run as it goes: two hosts change, one fails. Then one that changes other packages.
fn two_runs(site: &Path) {
    let names = hosts(&["web1", "web2", "db1"]);
    let mut push = Push::new(site, 1, names.clone());
    push.print("web1", "Unpacking a …");
    push.print("web1", "\u{1b}[2Jdone");
    push.end(&names[0], changed(&["a:all"]));
    push.end(&names[1], changed(&["a:all"]));
    push.print("db1", "E: no space left");
    push.end(&names[2], failed());
    push.finish(1);
    let names = hosts(&["web1", "web2", "db1", "new"]);
    let mut push = Push::new(site, 2, names.clone());
    push.end(&names[0], changed(&["a:all", "b:all"]));
    push.end(&names[1], changed(&["a:all", "b:all"]));
    push.end(&names[2], changed(&[]));
    push.end(&names[3], changed(&[]));
    push.finish(0);
}

/// A run whose process is gone: web1 was asked, web2 and web3 were not.
fn broken_off_run(site: &Path) {
    let names = hosts(&["web1", "web2", "web3"]);
    let mut push = Push::new(site, 3, names.clone());
    push.start(&names[0]);
    kill(site, &push, 3);
}

/// Makes the process that works on a run one that is gone.
fn kill(site: &Path, push: &Push, number: i64) {
    push.recorder.close().unwrap();
    let connection = rusqlite::Connection::open(site.join("var/lib/apu-server/apu.db")).unwrap();
    connection
        .execute(
            "UPDATE run SET owner = 'another-boot 1 1' WHERE number = ?",
            [number],
        )
        .unwrap();
}

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
fn runs_hosts_and_plans_are_completed() {
    let site = site();
    two_runs(site.path());
    stored_plans::keep(&Site::below(site.path()), &plan()).unwrap();
    for (words, found) in [
        ("show 1", "1\t2023-11-14 22:14 web,db1: upgrade --yes\n"),
        ("diff 1 2", "2\t2023-11-14 22:15 web,db1: upgrade --yes\n"),
        ("log 1 web1", "web1\thost\n"),
        ("apply p", "p1\tplan\n"),
    ] {
        let words = format!("complete -- apu {words}");
        let site = site.path().to_str().unwrap();
        let mut command = Command::new(APU);
        command
            .arg("--root")
            .arg(site)
            .args(words.split(' '))
            .env("TZ", "UTC");
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), found, "{words}");
    }
}

fn plan() -> StoredPlan {
    StoredPlan {
        at: 1_700_000_000.0,
        by: "alice".into(),
        target: "web".into(),
        operation: Operation::Upgrade,
        packages: Vec::new(),
        allow_remove: false,
        options: Vec::new(),
        hosts: vec![("web1".parse().unwrap(), Plan::default())],
        waves: vec![1],
        soak: 60,
    }
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

#[test]
fn a_host_is_let_go_unless_its_run_is_alive() {
    let site = site();
    two_runs(site.path());
    broken_off_run(site.path());
    let (text, _) = apu(site.path(), "locks");
    assert!(
        text.starts_with("HOST  RUN  BY     SINCE             STATE\nweb1  3    alice  "),
        "{text}"
    );
    assert!(text.ends_with("  unknown since broken off\n"), "{text}");

    // This process works on a run of its own.
    let names = hosts(&["db1", "db2"]);
    let mut living = Push::new(site.path(), 4, names.clone());
    living.start(&names[0]);
    living.recorder.close().unwrap();
    let states: Vec<Value> = json(site.path(), "locks")
        .iter()
        .map(|line| line["state"].clone())
        .collect();
    assert_eq!(states, ["at-work", "waiting", "unknown"]);
    let refused = format!(
        "error: run 4 is at work, and holds db[1-2]\n  why: its process {} is alive\n  \
         try: apu abort 4, which ends it; or apu unlock --force 'db[1-2]'\n",
        std::process::id()
    );
    assert_eq!(apu(site.path(), "unlock web1 db[1-2]"), (refused, 2));
    assert_eq!(json(site.path(), "locks").len(), 3);

    assert_eq!(
        apu(site.path(), "unlock web1 web2"),
        ("web2: not held\nweb1: let go; run 3 held it\n".to_owned(), 1)
    );
    assert_eq!(
        apu(site.path(), "unlock --force db1"),
        ("db1: let go; run 4 held it\n".to_owned(), 0)
    );
    assert_eq!(json(site.path(), "locks").len(), 1);
}

#[test]
fn the_ledger_is_checked_and_the_oldest_runs_go() {
    let site = site();
    two_runs(site.path());
    assert_eq!(
        apu(site.path(), "ledger check"),
        ("the ledger holds together\n".to_owned(), 0)
    );
    let connection = rusqlite::Connection::open(site.path().join("var/lib/apu-server/apu.db")).unwrap();
    connection
        .execute("INSERT INTO lease VALUES ('web1', 1, 0)", [])
        .unwrap();
    assert_eq!(
        apu(site.path(), "ledger check"),
        ("web1 is held for a run that has ended\n".to_owned(), 1)
    );
    // They began more than two years ago.
    assert_eq!(apu(site.path(), "ledger prune").0, "2 runs were forgotten\n");
    assert_eq!(apu(site.path(), "ledger prune").0, "nothing is to be forgotten\n");
    assert_eq!(
        apu(site.path(), "runs"),
        ("no run has begun here\n".to_owned(), 0)
    );
}

/// The names of all fields in a value.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        // The keys of outcomes are outcomes; the others are in apu-events(7).
        Value::Object(object) => {
            for (name, value) in object {
                found.insert(name.clone());
                if !["outcomes", "reason", "plans"].contains(&name.as_str()) {
                    fields(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_of_the_json_is_in_the_manual() {
    let site = site();
    two_runs(site.path());
    broken_off_run(site.path());
    stored_plans::keep(&Site::below(site.path()), &plan()).unwrap();
    let made = tempfile::tempdir().unwrap();
    let status = Command::new(APU).arg("man").arg(made.path()).status().unwrap();
    assert!(status.success());
    let page = |name: &str| fs::read_to_string(made.path().join(format!("apu-{name}.8"))).unwrap();
    for (words, pages) in [
        ("runs", &["runs"][..]),
        ("show 1", &["show", "runs"]),
        ("show 3", &["show", "runs"]),
        ("log 1", &["log"]),
        ("history db1", &["history", "runs", "show"]),
        ("diff 1 3", &["diff", "show"]),
        ("locks", &["locks"]),
        ("plans", &["plans"]),
        ("show p1", &["show", "plans"]),
    ] {
        let mut found = BTreeSet::new();
        let lines = json(site.path(), words);
        assert!(!lines.is_empty(), "{words}");
        lines.iter().for_each(|line| fields(line, &mut found));
        let text: String = pages.iter().map(|name| page(name)).collect();
        let (_, text) = text.split_once(".SH JSON").unwrap();
        for name in found {
            let is_named = text
                .lines()
                .filter(|line| line.starts_with(".B"))
                .any(|line| line.split([' ', '"', ',']).any(|word| word == name));
            assert!(is_named, "{words}: {name}");
        }
    }
}

/// How many hosts a large fleet has.
const MANY: usize = 10_000;

#[test]
fn three_runs_of_ten_thousand_hosts_are_shown_by_every_command() {
    let site = site();
    let names: Vec<HostName> = (0..MANY)
        .map(|n| format!("node{n:05}").parse().unwrap())
        .collect();
    for run in 1..=3 {
        let mut push = Push::new(site.path(), run, names.clone());
        for (place, name) in names.iter().enumerate() {
            let is_failed = run == 2 && place % 100 == 0;
            push.end(name, if is_failed { failed() } else { changed(&["a:all"]) });
        }
        push.finish(u8::from(run == 2));
    }
    let mut push = Push::new(site.path(), 4, names.clone());
    push.start(&names[0]);
    push.recorder.close().unwrap();
    for (words, part) in [
        (
            "runs",
            "\n2    2023-11-14 22:15  alice  web,db1  upgrade …  ended: 9900 changed, 100 failed\n",
        ),
        (
            "show 2",
            "\n9900 changed, 100 failed, in 12.3 s\n\ntry: apu retry 2 --failed\n",
        ),
        ("log 2", "no host printed anything in run 2\n"),
        ("history node00100", "\n2    2023-11-14 22:15  alice  failed "),
        ("diff 1 2", "changed → failed\n  - a:all  1 → 2\n"),
        ("locks", "\nnode[00001-09999]  4    alice  "),
    ] {
        let (text, code) = apu(site.path(), words);
        assert_eq!(code, 0, "{words}: {text}");
        assert!(text.contains(part), "{words}: {}", &text[..text.len().min(4000)]);
        assert!(
            text.lines().count() < 20,
            "{words}: {} lines",
            text.lines().count()
        );
    }
    assert_eq!(
        json(site.path(), "show 2")[0]["ends"].as_array().unwrap().len(),
        MANY
    );
    assert_eq!(json(site.path(), "locks").len(), MANY);
    assert_eq!(json(site.path(), "history node00001").len(), 4);
}
