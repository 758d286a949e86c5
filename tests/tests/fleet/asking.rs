//! The question before packages change, on a terminal: what is shown, and that only what was shown is done.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use apu_tests::{Fleet, Stage};

use crate::sitting::Sitting;

fn with_an_upgrade(names: &[&str]) -> Fleet {
    let fleet = Fleet::of(names.iter().copied()).up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("default update").exited(0);
    fleet
}

#[test]
fn what_will_change_is_shown_once_for_all_and_done_after_a_yes() {
    let fleet = with_an_upgrade(&["web1", "web2"]);
    let mut sitting = Sitting::down(fleet.server(), "apt-all default upgrade");
    sitting.sees("web[1-2]");
    sitting.sees("pkg-a:amd64  1.0 → 2.0");
    sitting.sees("Go on with 2 hosts? [y/N]");
    assert_eq!(fleet.host("web1").version_of("pkg-a").as_deref(), Some("1.0"));
    sitting.types("y\n");
    sitting.sees("2 changed");
    sitting.leaves(0);
    assert_eq!(fleet.host("web2").version_of("pkg-a").as_deref(), Some("2.0"));
}

#[test]
fn without_a_yes_nothing_changes() {
    let fleet = with_an_upgrade(&["web1"]);
    let mut sitting = Sitting::down(fleet.server(), "apt-all default upgrade");
    sitting.sees("Go on with 1 host? [y/N]");
    sitting.types("\n");
    sitting.sees("nothing was done");
    sitting.leaves(1);
    assert_eq!(fleet.host("web1").version_of("pkg-a").as_deref(), Some("1.0"));
}

#[test]
fn what_was_not_shown_is_not_done() {
    let fleet = with_an_upgrade(&["web1", "web2"]);
    let mut sitting = Sitting::down(fleet.server(), "apt-all default upgrade");
    sitting.sees("Go on with 2 hosts? [y/N]");
    // Somebody else changes what there is to do on one of them.
    fleet.host("web2").sh("apt-get -q -y install pkg-a").ok();
    sitting.types("y\n");
    sitting.sees("1 drifted");
    sitting.leaves(1);
    assert_eq!(fleet.host("web1").version_of("pkg-b").as_deref(), Some("2.0"));
    assert_eq!(fleet.host("web2").version_of("pkg-b").as_deref(), Some("1.0"));
}

#[test]
fn a_deb_with_other_bytes_is_not_what_was_shown() {
    let fleet = with_an_upgrade(&["web1", "web2"]);
    let mut sitting = Sitting::down(fleet.server(), "apt-all default upgrade");
    sitting.sees("Go on with 2 hosts? [y/N]");
    // One of them has the lists of an archive that built a version again.
    fleet.upstream_offers(Stage::Republished);
    fleet.host("web2").sh("apt-get -q update").ok();
    sitting.types("y\n");
    sitting.sees("with other contents: pkg-a:amd64");
    sitting.sees("1 drifted");
    sitting.leaves(1);
    assert_eq!(fleet.host("web2").version_of("pkg-a").as_deref(), Some("1.0"));
}

#[test]
fn a_deb_that_lies_in_the_cache_is_not_taken_for_the_one_that_was_shown() {
    let fleet = with_an_upgrade(&["web1"]);
    let web1 = fleet.host("web1");
    web1.sh("apt-get -q -y -d install pkg-a").ok();
    let cached = "/var/cache/apt/archives/pkg-a_2.0_amd64.deb";
    let spoil = format!("size=$(stat -c %s {cached}) && head -c $size /dev/zero >{cached}");
    web1.sh(&spoil).ok();
    let mut sitting = Sitting::down(fleet.server(), "apt-all default upgrade");
    sitting.sees("Go on with 1 host? [y/N]");
    sitting.types("y\n");
    sitting.sees("1 changed");
    sitting.leaves(0);
    assert_eq!(web1.version_of("pkg-a").as_deref(), Some("2.0"));
}

#[test]
fn what_was_agreed_to_is_what_apt_would_download() {
    let fleet = with_an_upgrade(&["web1"]);
    let run = fleet.apt_all("default upgrade --dry-run");
    let transaction = &run.answer("web1")["transaction"];
    let steps = transaction["steps"].as_array().unwrap();
    assert!(steps.len() >= 2, "{transaction:#}");
    let web1 = fleet.host("web1");
    for step in steps {
        let package = step["package"].as_str().unwrap().split(':').next().unwrap();
        let version = step["new"].as_str().unwrap();
        let shown = web1.sh(&format!("apt-cache show {package}={version}")).ok();
        let sum = step["sha256"].as_str().unwrap();
        assert!(shown.contains(&format!("SHA256: {sum}\n")), "{step}: {shown}");
    }
}

#[test]
fn ctrl_c_on_a_terminal_waits_for_what_was_begun() {
    let fleet = Fleet::of(["web1"]).up();
    fleet
        .host("web1")
        .sh("apt-get -q -y install hurts-slow && echo 30 >/etc/hurts-slow")
        .ok();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("default update").exited(0);
    let mut sitting = Sitting::down(fleet.server(), "apt-all default upgrade --yes");
    sitting.sees("hurts-slow");
    sitting.types("\u{3}");
    sitting.sees("nothing new is begun");
    sitting.sees("1 changed");
    sitting.leaves(130);
}

#[test]
fn ctrl_c_at_the_question_ends_it_and_nothing_is_sent() {
    let fleet = with_an_upgrade(&["web1"]);
    let journal = journal_of(&fleet);
    let mut sitting = Sitting::down(fleet.server(), "apt-all default upgrade");
    sitting.sees("Go on with 1 host? [y/N]");
    sitting.types("\u{3}");
    sitting.sees("nothing was done");
    sitting.leaves(130);
    assert_eq!(fleet.host("web1").version_of("pkg-a").as_deref(), Some("1.0"));
    let line = read_line(&journal);
    assert!(
        line.contains("operation=upgrade run=none ") && line.contains(" exit=130 "),
        "{line}"
    );
}

#[test]
fn keys_that_were_pressed_before_the_question_are_no_answer() {
    let fleet = with_an_upgrade(&["web1"]);
    let command = "until [ -e /root/go ]; do sleep 0.1; done; apt-all default upgrade";
    let mut sitting = Sitting::down(fleet.server(), command);
    sitting.types("y\n");
    // The terminal has them.
    sitting.sees("y\r\n");
    fleet.server().write("/root/go", "");
    sitting.sees("Go on with 1 host? [y/N]");
    sitting.types("n\n");
    sitting.sees("nothing was done");
    sitting.leaves(1);
    assert_eq!(fleet.host("web1").version_of("pkg-a").as_deref(), Some("1.0"));
}

#[test]
fn a_removal_is_counted_in_the_headline_and_in_the_question() {
    let fleet = Fleet::of(["web1"]).up();
    fleet.host("web1").sh("apt-get -q -y install hurts-oldtimer").ok();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("default update").exited(0);
    let mut sitting = Sitting::down(
        fleet.server(),
        "apt-all default install hurts-newcomer --allow-remove",
    );
    sitting.sees("web1: 2 changes: 1 REMOVED, 1 new\r\n  hurts-oldtimer:");
    sitting.sees("Altogether 1 REMOVED, 1 new. Go on with 1 host? [y/N]");
    sitting.types("y\n");
    sitting.sees("web1: changed: 2 packages: 1 REMOVED, 1 new");
    sitting.leaves(0);
}

#[test]
fn the_plan_says_what_it_fetches_in_apts_own_figures() {
    let fleet = with_an_upgrade(&["web1"]);
    let before = fleet.host("web1").version_of("pkg-a");
    let run = fleet.apt_all("default upgrade --dry-run");
    let sizes = &run.answer("web1")["sizes"];
    let apt = fleet.host("web1").sh("apt-get -q --print-uris upgrade").ok();
    let line = format!("Need to get {} of archives.", sizes["download"].as_str().unwrap());
    assert!(apt.contains(&line), "{line}: {apt}");
    let disk = sizes["disk"].as_str().unwrap();
    let (size, _) = disk.rsplit_once(' ').unwrap();
    assert!(
        apt.contains(&format!("After this operation, {size} ")),
        "{disk}: {apt}"
    );
    assert_eq!(fleet.host("web1").version_of("pkg-a"), before);
    let shown = fleet.plain_apt_all("default upgrade --dry-run");
    assert!(shown.stdout.contains("\n  to fetch: "), "{}", shown.stdout);
}

#[test]
fn with_tee_the_plan_comes_before_its_question_and_the_log_has_it_too() {
    let fleet = with_an_upgrade(&["web1"]);
    let mut sitting = Sitting::down(fleet.server(), "apt-all default upgrade | tee /root/log");
    sitting.sees("Go on with 1 host? [y/N]");
    let plan = sitting.shown.find("pkg-a:amd64  1.0 → 2.0");
    assert!(plan < sitting.shown.find("Go on with"), "{}", sitting.shown);
    assert!(plan.is_some(), "{}", sitting.shown);
    sitting.types("y\n");
    sitting.sees("1 changed");
    sitting.leaves(0);
    let log = fleet.server().read("/root/log").unwrap();
    assert!(log.contains("pkg-a:amd64  1.0 → 2.0"), "{log}");
}

#[test]
fn what_could_not_be_shown_is_not_done() {
    let fleet = with_an_upgrade(&["web1"]);
    let mut sitting = Sitting::down(fleet.server(), "apt-all default upgrade >/dev/full");
    sitting.sees("Go on with 1 host? [y/N]");
    sitting.types("y\n");
    sitting.sees("No space left on device");
    sitting.leaves(3);
    assert_eq!(fleet.host("web1").version_of("pkg-a").as_deref(), Some("1.0"));
}

#[test]
fn a_host_that_cannot_be_reached_is_told_once() {
    let fleet = with_an_upgrade(&["web1", "web2"]);
    fleet.host("web2").kill_sshd();
    let mut sitting = Sitting::down(fleet.server(), "apt-all default upgrade");
    sitting.sees("Go on with 1 host? [y/N]");
    let told = sitting.shown.matches("web2: unreachable").count();
    assert_eq!(told, 1, "{}", sitting.shown);
    sitting.types("y\n");
    sitting.sees("1 changed, 1 unreachable, in ");
    assert!(!sitting.shown.contains("web2: unreachable"), "{}", sitting.shown);
    sitting.leaves(1);
}

/// Stands where the server's log listens.
fn journal_of(fleet: &Fleet) -> UnixDatagram {
    let path = format!("/proc/{}/root/dev/log", fleet.server().init());
    let journal = UnixDatagram::bind(path).expect("the server has no log yet");
    journal.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    journal
}

fn read_line(journal: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    let length = journal.recv(&mut bytes).expect("a line for the journal");
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[test]
fn each_press_of_the_button_leaves_one_line_that_says_who_what_where_and_how_it_ended() {
    let fleet = with_an_upgrade(&["web1", "web2"]);
    let journal = journal_of(&fleet);
    let server = fleet.server();
    let pressed = server.sh("SUDO_USER=alice apt-all default upgrade --yes");
    let line = read_line(&journal);
    for part in [
        "<85>",
        " apt-all[",
        ": by=alice ",
        " user=root target=default operation=\"upgrade --yes\" number=",
        " run=",
        " outcomes=changed:2 exit=0 ",
        " hosts=2 names=web[1-2]",
    ] {
        assert!(line.contains(part), "no {part:?} in {line}");
    }
    // The run is on the screen, too, and can be found again by it.
    let run = line
        .split(" run=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .unwrap();
    let number = line
        .split(" number=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .unwrap();
    assert!(pressed.ok().starts_with(&format!("run {number}; ")), "{line}");
    server.sh(&format!("apu attach {number}")).ok();
    server.sh(&format!("apu attach default {run}")).ok();

    let mut sitting = Sitting::down(server, "apt-all web1 install hurts-slow");
    sitting.sees("Go on with 1 host? [y/N]");
    sitting.types("y\n");
    sitting.sees("1 changed");
    sitting.leaves(0);
    let line = read_line(&journal);
    let plan = line
        .split(" plan=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .unwrap();
    assert_eq!(plan.len(), 64, "{line}");
    journal.set_nonblocking(true).unwrap();
    assert!(journal.recv(&mut [0; 10]).is_err(), "one line for each");
}
