//! Waves: what a canary got and was well with is what the others get, and nothing else.

use apu_tests::{Fleet, Host, Run, Stage};

use crate::sitting::Sitting;

/// Six hosts with the same upgrade.
fn with_an_upgrade() -> Fleet {
    let fleet = Fleet::of((1..=6).map(|number| format!("web{number}")))
        .in_class("web")
        .up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    fleet
}

/// A check of the client's own administrator.
fn check(host: &Host, script: &str) {
    let path = "/etc/apu-client/checks.d/site";
    host.write(path, &format!("#!/bin/sh\n{script}\n"));
    host.sh(&format!("chmod 755 {path}")).ok();
}

/// Which of the six have the new version.
fn upgraded(fleet: &Fleet) -> Vec<&str> {
    let is_new = |host: &&Host| host.version_of("pkg-a").as_deref() == Some("2.0");
    fleet.clients().filter(is_new).map(Host::name).collect()
}

/// The hosts of each wave, in order, with what became of it.
fn waves(run: &Run) -> Vec<(Vec<&str>, &str)> {
    let of = |name: &'static str| run.events().iter().filter(move |event| event["event"] == name);
    let hosts = of("wave-started").map(|event| {
        let hosts = event["hosts"].as_array().unwrap().iter();
        hosts.map(|host| host.as_str().unwrap()).collect()
    });
    let verdicts = of("wave-finished").map(|event| event["verdict"].as_str().unwrap());
    hosts.zip(verdicts).collect()
}

const OTHERS: [&str; 5] = ["web2", "web3", "web4", "web5", "web6"];

#[test]
fn the_others_wait_for_a_canary_and_follow_once_it_is_well() {
    let fleet = with_an_upgrade();
    // Well before the upgrade, and not after it.
    check(
        fleet.host("web1"),
        "dpkg-query -W pkg-a | grep -q '1.0$' || { echo 'HTTP 503'; exit 1; }",
    );
    let run = fleet.apt_all("web upgrade --yes");
    run.ended("web1", "partial").because("web1", "HTTP 503").exited(1);
    for name in OTHERS {
        run.ended(name, "skipped")
            .because(name, "\"cause\":\"wave-failed\"")
            .because(name, "not started: web1 of wave 1 of 2 did not end well");
    }
    assert_eq!(waves(&run), [(vec!["web1"], "failed")]);
    assert_eq!(upgraded(&fleet), ["web1"]);

    // Once the cause is mended, the same command goes on with those that are left.
    let run = fleet.apt_all("web upgrade --yes");
    run.ended("web1", "unchanged").exited(0);
    assert_eq!(
        waves(&run),
        [(vec!["web2"], "passed"), (OTHERS[1..].to_vec(), "passed")]
    );
    assert_eq!(run.end_of("web2")["health"], "pass");
    assert_eq!(upgraded(&fleet).len(), 6);
}

#[test]
fn a_canary_whose_script_fails_or_whose_check_cannot_tell_leaves_the_others_as_they_were() {
    let fleet = with_an_upgrade();
    // The installed package does not let itself be replaced.
    let script = "/var/lib/dpkg/info/pkg-a.prerm";
    let web1 = fleet.host("web1");
    web1.write(script, "#!/bin/sh\necho 'not now'\nexit 1\n");
    web1.sh(&format!("chmod 755 {script}")).ok();
    let run = fleet.apt_all("web upgrade --yes");
    assert_eq!(waves(&run), [(vec!["web1"], "failed")], "{run:?}");
    run.because("web1", "there is no script in the new version")
        .exited(1);
    for name in OTHERS {
        run.ended(name, "skipped");
    }
    assert!(upgraded(&fleet).is_empty());

    check(fleet.host("web2"), "echo 'is being started'; exit 75");
    let run = fleet.apt_all("web upgrade --yes --exclude web1 --pause-limit 0");
    assert_eq!(waves(&run), [(vec!["web2"], "inconclusive")]);
    run.ended("web2", "changed").exited(1);
    assert_eq!(run.end_of("web2")["health"], "inconclusive");
    for name in &OTHERS[1..] {
        run.ended(name, "skipped")
            .because(name, "\"cause\":\"wave-inconclusive\"");
    }
    assert_eq!(upgraded(&fleet), ["web2"]);
}

#[test]
fn a_canary_that_breaks_while_it_is_watched_or_that_lets_nobody_in_stops_the_others() {
    let fleet = with_an_upgrade();
    // Well before, after, and once more; then never again.
    check(
        fleet.host("web1"),
        "n=$(cat /run/times 2>/dev/null || echo 0); echo $((n + 1)) >/run/times; [ $n -lt 3 ] || { echo gone; exit 1; }",
    );
    let run = fleet.apt_all("web upgrade --yes --soak 4s");
    run.ended("web1", "partial").because("web1", "gone").exited(1);
    assert_eq!(run.end_of("web1")["health"], "fail");
    assert_eq!(upgraded(&fleet), ["web1"]);

    // The upgrade succeeds, and no new login is possible after it.
    check(
        fleet.host("web2"),
        "dpkg-query -W pkg-a | grep -q '2.0$' || exit 0\nfor process in /proc/[0-9]*; do\n\
         grep -q 'sshd.*listener' $process/cmdline && kill ${process#/proc/}\ndone\nexit 0",
    );
    let run = fleet.apt_all("web upgrade --yes --exclude web1");
    run.ended("web2", "partial")
        .because("web2", "\"cause\":\"no-login-after-change\"")
        .exited(1);
    for name in &OTHERS[1..] {
        run.ended(name, "skipped");
    }
    assert_eq!(upgraded(&fleet), ["web1", "web2"]);
}

#[test]
fn what_no_canary_has_tested_starts_nowhere_and_all_at_once_has_to_be_said() {
    let fleet = with_an_upgrade();
    let mut sitting = Sitting::down(fleet.server(), "apt-all web upgrade");
    sitting.sees("Go on with 6 hosts, first web1, then 5? [y/N] ");
    fleet.host("web1").kill_sshd();
    sitting.types("y\n");
    sitting.sees("wave 1 of 2: web1");
    sitting.sees("web[2-6]: skipped: not started: no canary has tested pkg-a:amd64");
    sitting.sees("try: apt-all 'web[2-6]' upgrade, which tests it there");
    sitting.leaves(1);
    assert!(upgraded(&fleet).is_empty());

    let shown = fleet.plain_apt_all("web upgrade --dry-run --canary web4,web5 --exclude web1");
    assert!(
        shown.stdout.contains("in waves: first web[4-5], then 3\n"),
        "{}",
        shown.stdout
    );
    let run = fleet.apt_all("web upgrade --yes --exclude web1 --waves 100%");
    assert!(waves(&run).is_empty());
    run.exited(0);
    assert_eq!(upgraded(&fleet), OTHERS);
}

#[test]
fn a_host_with_more_than_its_canary_gets_what_that_was_well_with_and_the_rest_stays() {
    let fleet = Fleet::of(["web1", "web2", "web3"]).in_class("web").up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    for name in ["web2", "web3"] {
        fleet.host(name).sh("apt-get -q -y install hurts-noisy=1.0").ok();
    }
    let run = fleet.apt_all("web upgrade --yes --canary web1");
    run.all_ended("changed").exited(0);
    for name in ["web2", "web3"] {
        let host = fleet.host(name);
        assert_eq!(host.version_of("pkg-a").as_deref(), Some("2.0"), "{name}");
        assert_eq!(host.version_of("hurts-noisy").as_deref(), Some("1.0"), "{name}");
        let held = run
            .events()
            .iter()
            .find(|event| event["event"] == "held-back" && event["host"] == name);
        assert_eq!(
            held.expect(name)["packages"],
            serde_json::json!(["hurts-noisy:amd64"])
        );
        assert_eq!(
            run.answer(name)["held"],
            serde_json::json!(["hurts-noisy"]),
            "{name}"
        );
    }
    // Nobody has begun to prefer the old version: the next run, in which they are the first, brings the new one.
    let shown = fleet.plain_apt_all("web upgrade --yes");
    assert_eq!(shown.code, 0, "{shown:?}");
    assert_eq!(
        fleet.host("web3").version_of("hurts-noisy").as_deref(),
        Some("2.0")
    );
    assert_eq!(fleet.apu("ledger check").code, 0);
}

#[test]
fn the_example_site_of_databases_changes_one_member_after_the_other() {
    let fleet = Fleet::of(["db1", "db2", "db3"]).up();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/sites/databases");
    let read = |file: &str| std::fs::read_to_string(format!("{example}/{file}")).unwrap();
    let settings = "/etc/apu-server/apu.toml";
    let server = fleet.server();
    server.write(
        settings,
        &format!("{}\n{}", server.read(settings).unwrap(), read("apu.toml")),
    );
    fleet.class("cluster", &read("clients/cluster"));
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("cluster update").exited(0);
    let run = fleet.apt_all("cluster upgrade --yes --soak 0s");
    run.all_ended("changed").exited(0);
    assert_eq!(
        waves(&run),
        ["db1", "db2", "db3"].map(|host| (vec![host], "passed"))
    );
}

const MAN_PAGE: &str = include_str!("../../../debian/man/apu-rollout.7");

/// The example of apu-rollout(7): the command line, and what is shown then.
fn example() -> (&'static str, Vec<String>) {
    let section = MAN_PAGE.split(".SH EXAMPLE").nth(1).expect("the section");
    let example = section
        .split(".nf\n")
        .nth(1)
        .and_then(|text| text.split(".fi").next())
        .expect("the example");
    let (command, shown) = example.split_once('\n').expect("what is shown");
    let command = command.strip_prefix("$ sudo ").expect("a command");
    (
        command,
        shown.lines().map(|line| line.replace("\\-", "-")).collect(),
    )
}

/// A line without what is different each time: numbers of runs, and how long it took.
fn without_figures(line: &str) -> String {
    let line = line.split(", in ").next().unwrap_or(line);
    match line.strip_prefix("run ") {
        Some(_) => "run".to_owned(),
        None => line.to_owned(),
    }
}

#[test]
fn the_example_of_the_manual_page_is_shown_as_it_stands_there() {
    let fleet = Fleet::of((1..=10).map(|number| format!("web{number:02}")))
        .in_class("web")
        .up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web update").exited(0);
    check(
        fleet.host("web01"),
        "dpkg-query -W pkg-a | grep -q '1.0$' || { echo 'HTTP 503 from http://localhost/health'; exit 1; }",
    );
    let (command, expected) = example();
    // Nobody waits here for ten minutes.
    let command = command.replace("\\-", "-").replace("--soak 10m", "--soak 2s");
    let shown = fleet.server().sh(&command);
    assert_eq!(shown.code, 1, "{shown:?}");
    let shown: Vec<String> = shown.stdout.lines().map(without_figures).collect();
    let expected: Vec<String> = expected.iter().map(|line| without_figures(line)).collect();
    assert_eq!(shown, expected);
    assert_eq!(upgraded(&fleet), ["web01"]);
}
