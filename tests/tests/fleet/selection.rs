//! Runs that change a selection of what they could: security updates, the packages of a source or those that are named, and all but what is
//! held or too young.

use std::thread::sleep;
use std::time::{Duration, Instant};

use apu_tests::{Fleet, Host, Stage, Suite};
use serde_json::Value;

/// A security archive of the site, in the layout of Debian's.
const SETTINGS: &str = r#"
[[archives]]
name = "fixes"
path = "/srv/fixes"
url = "http://apu.example.org:8080/fixes"
suite = "fixes-security"
"#;

/// `apu serve` on the address of the settings, after apu-data names the archive.
const SERVE: &str = r#"
set -e
gen-apu-data-pkg
start-stop-daemon --start --background --make-pidfile --pidfile /run/apu-serve-fixes.pid --startas /usr/sbin/apu -- serve --listen 127.9.0.1:8080
for try in $(seq 200); do
    grep -q ': 0100097F:1F90 00000000:0000 0A' /proc/net/tcp && exit 0
    sleep 0.05
done
echo "apu serve does not listen" >&2
exit 1
"#;

/// Adds a package to the security archive; `fields` are further lines of its control file.
fn publish(server: &Host, name: &str, version: &str, fields: &str) {
    let control = format!(
        "Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: A <a@example.org>\n{fields}Description: a test\n"
    );
    let file = format!("/tmp/{name}_{version}.deb");
    server.write_bytes(&file, &apu_tests::deb(&control).unwrap());
    server.sh(&format!("apu repo add --archive fixes {file}")).ok();
}

/// The packages of a plan with the version that each would get.
fn planned(answer: &Value) -> Vec<String> {
    let steps = answer["transaction"]["steps"].as_array().unwrap();
    let step = |step: &Value| {
        format!(
            "{} {}",
            step["package"].as_str().unwrap(),
            step["new"].as_str().unwrap()
        )
    };
    steps.iter().map(step).collect()
}

pub(super) fn automatic(host: &Host) -> String {
    host.sh("apt-mark showauto").ok()
}

/// Whether what a run made for itself is gone once its process has ended, which may be a moment after its result.
fn leaves_nothing(host: &Host) -> bool {
    let wait = "for try in $(seq 200); do [ -z \"$(ls /var/lib/apu-client/views)\" ] && exit 0; sleep 0.05; done; exit 1";
    host.sh(wait).code == 0
}

fn security_updates_alone_on(suite: Suite) {
    let fleet = Fleet::of(["one"]).suite(suite).up();
    let (server, one) = (fleet.server(), fleet.host("one"));
    let settings = server.read("/etc/apu-server/apu.toml").unwrap();
    server.write("/etc/apu-server/apu.toml", &format!("{settings}{SETTINGS}"));
    server.sh("mkdir -p /srv/fixes").ok();
    publish(server, "tool", "1.0", "");
    server.sh(SERVE).ok();
    fleet.apt_all("one update").exited(0);
    fleet.apt_all("one dist-upgrade --yes").exited(0);
    fleet.apt_all("one update").exited(0);
    fleet.apt_all("one install tool --yes").ended("one", "changed");
    one.sh("apt-mark auto pkg-a pkg-c pkg-e tool").ok();
    let marks = automatic(one);

    // A version of pkg-a between the installed one and the candidate is a security update; that of tool needs pkg-c.
    publish(server, "pkg-a", "1.5", "");
    publish(server, "tool", "2.0", "Depends: pkg-c (>= 2.0)\n");
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("one update").exited(0);
    // What is on hold is told and keeps the others from nothing.
    one.sh("apt-mark hold pkg-e").ok();
    let all = fleet.apt_all("one upgrade --dry-run");
    assert_eq!(
        planned(all.answer("one")),
        [
            "pkg-a:amd64 2.0",
            "pkg-b:amd64 2.0",
            "pkg-c:amd64 2.0",
            "pkg-d:amd64 2.0",
            "tool:amd64 2.0"
        ]
    );
    // The plan tells which of them are security updates, also where the version that comes is another archive's.
    let security = serde_json::json!(["pkg-a:amd64", "tool:amd64"]);
    assert_eq!(all.answer("one")["security"], security);
    let shown = fleet.plain_apt_all("one upgrade --dry-run").stdout;
    assert!(shown.contains(": 5 upgraded (2 security)\n"), "{shown}");
    let marked = shown.lines().filter(|line| line.contains("  security, from "));
    assert_eq!(marked.count(), 2, "{shown}");
    for operation in ["upgrade", "dist-upgrade"] {
        let narrow = fleet.apt_all(&format!("one {operation} --security --dry-run"));
        let answer = narrow.answer("one");
        assert_eq!(
            planned(answer),
            ["pkg-a:amd64 2.0", "pkg-c:amd64 2.0", "tool:amd64 2.0"],
            "{operation}"
        );
        assert_eq!(answer["security"], security, "{operation}");
        assert_eq!(answer["kept_back"], serde_json::json!(["pkg-e"]));
    }
    one.sh("apt-mark unhold pkg-e").ok();

    // Kept as a plan and carried out later, it is the same selection.
    let made = fleet.plain_apt_all("one upgrade --security --plan");
    assert_eq!(made.code, 0, "{made:?}");
    assert!(
        fleet
            .apu("plans")
            .stdout
            .contains("apt-all one upgrade --security; ")
    );
    let applied = fleet.apu("apply p1");
    assert!(applied.stdout.contains("one: changed: 4 packages"), "{applied:?}");
    for (package, version) in [
        ("pkg-a", "2.0"),
        ("pkg-b", "1.0"),
        ("pkg-c", "2.0"),
        ("pkg-d", "1.0"),
        ("pkg-e", "2.0"),
        ("tool", "2.0"),
    ] {
        assert_eq!(one.version_of(package).as_deref(), Some(version), "{package}");
    }
    assert_eq!(automatic(one), marks, "a mark was lost");
    fleet
        .apt_all("one dist-upgrade --security --yes")
        .ended("one", "unchanged")
        .exited(0);
    // Nothing that was made for the run is left, and the others are as pending as before.
    assert!(leaves_nothing(one));
    fleet.apt_all("one upgrade --yes").ended("one", "changed");
    assert_eq!(one.version_of("pkg-b").as_deref(), Some("2.0"));
}

#[test]
fn a_security_update_comes_with_what_it_needs_and_everything_else_stays() {
    security_updates_alone_on(Suite::Bookworm);
}

#[test]
fn security_updates_alone_come_on_trixie() {
    security_updates_alone_on(Suite::Trixie);
}

#[test]
fn security_updates_alone_come_on_bullseye() {
    security_updates_alone_on(Suite::Bullseye);
}

fn packages_of_a_source_come_on(suite: Suite) {
    let fleet = Fleet::of(["one"]).suite(suite).up();
    let (server, one) = (fleet.server(), fleet.host("one"));
    let settings = server.read("/etc/apu-server/apu.toml").unwrap();
    server.write("/etc/apu-server/apu.toml", &format!("{settings}{SETTINGS}"));
    server.sh("mkdir -p /srv/fixes").ok();
    let all = ["lab", "lab-tools", "lab-doc", "lab-extra"];
    for name in all {
        let source = if name == "lab" { "" } else { "Source: lab (1.0)\n" };
        publish(server, name, "1.0", source);
    }
    server.sh(SERVE).ok();
    fleet.apt_all("one update").exited(0);
    fleet.apt_all("one dist-upgrade --yes").exited(0);
    fleet.apt_all("one update").exited(0);
    fleet
        .apt_all("one install lab lab-tools lab-doc --yes")
        .ended("one", "changed");
    one.sh("apt-mark auto lab-tools pkg-a pkg-c").ok();
    let marks = automatic(one);
    publish(server, "lab", "2.0", "");
    publish(
        server,
        "lab-tools",
        "2.0",
        "Source: lab\nDepends: pkg-c (>= 2.0)\n",
    );
    publish(server, "lab-doc", "2.0", "Source: lab (2:2.0)\n");
    publish(server, "lab-extra", "2.0", "Source: lab\n");
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("one update").exited(0);
    one.sh("apt-mark hold lab-doc").ok();

    for operation in ["upgrade", "dist-upgrade"] {
        let run = fleet.apt_all(&format!(
            "one {operation} --source lab --source nothing --dry-run"
        ));
        let answer = run.answer("one");
        assert_eq!(
            planned(answer),
            ["lab-tools:amd64 2.0", "lab:amd64 2.0", "pkg-c:amd64 2.0"],
            "{operation}"
        );
        assert_eq!(answer["kept_back"], serde_json::json!(["lab-doc"]), "{operation}");
        assert_eq!(answer["unknown_sources"], serde_json::json!(["nothing"]));
    }
    one.sh("apt-mark unhold lab-doc").ok();
    let made = fleet.plain_apt_all("one upgrade --source lab --plan");
    assert_eq!(made.code, 0, "{made:?}");
    assert!(
        fleet
            .apu("plans")
            .stdout
            .contains("apt-all one upgrade --source lab; ")
    );
    let applied = fleet.apu("apply p1");
    assert!(applied.stdout.contains("one: changed: 4 packages"), "{applied:?}");
    for (package, version) in [
        ("lab", Some("2.0")),
        ("lab-tools", Some("2.0")),
        ("lab-doc", Some("2.0")),
        ("lab-extra", None),
        ("pkg-a", Some("1.0")),
        ("pkg-c", Some("2.0")),
    ] {
        assert_eq!(one.version_of(package).as_deref(), version, "{package}");
    }
    assert_eq!(automatic(one), marks, "a mark was lost");
    assert!(leaves_nothing(one));
    // A source of nothing is told also where nobody looks at the plan.
    let none = fleet.plain_apt_all("one upgrade --source nothing --yes");
    assert!(
        none.stdout
            .contains("no installed package is of the source: nothing"),
        "{none:?}"
    );
    only_upgrades(&fleet);
}

/// Named packages come where they are installed, lose no mark, and bring what they need and nothing else.
fn only_upgrades(fleet: &Fleet) {
    let (server, one) = (fleet.server(), fleet.host("one"));
    publish(server, "lab", "3.0", "Depends: pkg-a (>= 2.0)\n");
    publish(server, "lab-tools", "3.0", "Source: lab\n");
    publish(server, "lab-extra", "3.0", "Source: lab\n");
    fleet.apt_all("one update").exited(0);
    one.sh("apt-mark auto lab").ok();
    let marks = automatic(one);
    let words = "one install --only-upgrade lab lab-extra no-such-package";
    let run = fleet.apt_all(&format!("{words} --dry-run"));
    let answer = run.answer("one");
    assert_eq!(planned(answer), ["lab:amd64 3.0", "pkg-a:amd64 2.0"]);
    assert_eq!(
        answer["not_installed"],
        serde_json::json!(["lab-extra", "no-such-package"])
    );
    let made = fleet.plain_apt_all(&format!("{words} --plan"));
    assert!(
        made.stdout
            .contains("to be upgraded, and not installed: lab-extra, no-such-package"),
        "{made:?}"
    );
    let applied = fleet.apu("apply p2");
    assert!(applied.stdout.contains("one: changed: 2 packages"), "{applied:?}");
    for (package, version) in [
        ("lab", Some("3.0")),
        ("lab-tools", Some("2.0")),
        ("lab-extra", None),
        ("pkg-a", Some("2.0")),
    ] {
        assert_eq!(one.version_of(package).as_deref(), version, "{package}");
    }
    assert_eq!(automatic(one), marks, "a mark was lost");
    fleet
        .apt_all("one install --only-upgrade lab-extra --yes")
        .ended("one", "unchanged");
    assert!(leaves_nothing(one));
}

#[test]
fn the_packages_of_a_source_come_with_what_they_need_and_everything_else_stays() {
    packages_of_a_source_come_on(Suite::Bookworm);
}

#[test]
fn the_packages_of_a_source_come_on_trixie() {
    packages_of_a_source_come_on(Suite::Trixie);
}

#[test]
fn the_packages_of_a_source_come_on_bullseye() {
    packages_of_a_source_come_on(Suite::Bullseye);
}

fn held_packages_stay_on(suite: Suite) {
    let fleet = Fleet::of(["one"]).suite(suite).up();
    let one = fleet.host("one");
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("one update").exited(0);
    // The machine's own preferences count for everything else, in the file as in the directory.
    one.write(
        "/etc/apt/preferences",
        "Package: pkg-a\nPin: version *\nPin-Priority: 999\n\nPackage: pkg-d\nPin: version 2.0\nPin-Priority: -1\n",
    );
    one.write(
        "/etc/apt/preferences.d/own",
        "Package: pkg-b\nPin: version *\nPin-Priority: 999\n",
    );
    let own = one
        .sh("sha256sum /etc/apt/preferences /etc/apt/preferences.d/*")
        .ok();

    let hold = "--hold pkg-a --hold pkg-[bc] --hold nothing-*";
    for operation in ["upgrade", "dist-upgrade"] {
        let run = fleet.apt_all(&format!("one {operation} {hold} --dry-run"));
        let answer = run.answer("one");
        assert_eq!(planned(answer), ["pkg-e:amd64 2.0"], "{operation}");
        assert_eq!(answer["held"], serde_json::json!(["pkg-a", "pkg-b", "pkg-c"]));
        assert_eq!(answer["held_nothing"], serde_json::json!(["nothing-*"]));
    }
    let shown = fleet.plain_apt_all(&format!("one upgrade {hold} --plan"));
    for part in [
        "\n  held for this run: pkg-a, pkg-b, pkg-c\n",
        "\n  to be held, and not installed: nothing-*\n",
    ] {
        assert!(shown.stdout.contains(part), "{shown:?}");
    }
    let applied = fleet.apu("apply p1");
    assert!(
        applied.stdout.contains("one: changed: 1 package\n"),
        "{applied:?}"
    );
    assert!(applied.stdout.contains("held for this run: pkg-a"), "{applied:?}");
    for (package, version) in [
        ("pkg-a", "1.0"),
        ("pkg-b", "1.0"),
        ("pkg-c", "1.0"),
        ("pkg-d", "1.0"),
        ("pkg-e", "2.0"),
    ] {
        assert_eq!(one.version_of(package).as_deref(), Some(version), "{package}");
    }

    // Nothing stays behind: no hold of dpkg's, no preferences.
    assert_eq!(one.sh("apt-mark showhold").ok(), "");
    assert_eq!(
        one.sh("sha256sum /etc/apt/preferences /etc/apt/preferences.d/*")
            .ok(),
        own
    );
    assert!(leaves_nothing(one));
    fleet.apt_all("one upgrade --yes").ended("one", "changed");
    assert_eq!(one.version_of("pkg-a").as_deref(), Some("2.0"));
    assert_eq!(one.version_of("pkg-d").as_deref(), Some("1.0"));
}

#[test]
fn what_is_held_for_a_run_stays_at_its_version_and_only_for_this_run() {
    held_packages_stay_on(Suite::Bookworm);
}

#[test]
fn what_is_held_for_a_run_stays_on_trixie() {
    held_packages_stay_on(Suite::Trixie);
}

#[test]
fn what_is_held_for_a_run_stays_on_bullseye() {
    held_packages_stay_on(Suite::Bullseye);
}

#[test]
fn what_is_held_for_a_run_is_not_removed_and_does_not_come_as_a_dependency() {
    let fleet = Fleet::of(["one"]).up();
    let one = fleet.host("one");
    one.sh("apt-get -q -y install hurts-oldtimer").ok();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("one update").exited(0);
    fleet
        .apt_all("one install hurts-newcomer --allow-remove --hold hurts-old* --yes")
        .ended("one", "refused")
        .because(
            "one",
            "this would change packages that are held for this run: hurts-oldtimer:amd64",
        )
        .exited(1);
    assert_eq!(one.version_of("hurts-oldtimer").as_deref(), Some("1.0"));

    // needs-newcomer 2.0 needs newcomer, which may not come.
    fleet
        .apt_all("one install needs-newcomer --hold newcomer --yes")
        .ended("one", "failed")
        .because("one", "newcomer");
    assert_eq!(one.version_of("newcomer"), None);
    fleet
        .apt_all("one install needs-newcomer --yes")
        .ended("one", "changed");
}

fn young_packages_stay_on(suite: Suite) {
    let fleet = Fleet::of(["one"]).suite(suite).up();
    let (server, one) = (fleet.server(), fleet.host("one"));
    let settings = server.read("/etc/apu-server/apu.toml").unwrap() + SETTINGS;
    server.write("/etc/apu-server/apu.toml", &settings);
    server.sh("mkdir -p /srv/fixes").ok();
    for name in ["base", "needs", "fix"] {
        publish(server, name, "1.0", "");
    }
    server.sh(SERVE).ok();
    fleet.apt_all("one update").exited(0);
    fleet.apt_all("one dist-upgrade --yes").exited(0);
    fleet.apt_all("one update").exited(0);
    fleet
        .apt_all("one install base needs fix --yes")
        .ended("one", "changed");
    publish(server, "base", "2.0", "");
    publish(server, "needs", "2.0", "Depends: base (>= 2.0)\n");
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("one update").exited(0);

    // Nothing that is offered was known before.
    let first = fleet.apt_all("one upgrade --min-age 1h --dry-run");
    assert_eq!(planned(first.answer("one")), Vec::<String>::new());
    assert_eq!(
        first.answer("one")["too_young"],
        serde_json::json!(["base", "needs", "pkg-a", "pkg-b", "pkg-c", "pkg-d", "pkg-e"])
    );
    let known_since = Instant::now();
    // No plan below takes as long: what it sees first is younger than the age that it asks for.
    sleep(Duration::from_secs(15));
    let age = || known_since.elapsed().as_secs();

    // Two versions come later. What would need one of them stays, too, although it is known for long enough.
    publish(server, "base", "2.1", "");
    publish(server, "fix", "2.0", "");
    fleet.apt_all("one update").exited(0);
    let upstream = ["pkg-a", "pkg-b", "pkg-c", "pkg-d", "pkg-e"].map(|name| format!("{name}:amd64 2.0"));
    for operation in ["upgrade", "dist-upgrade"] {
        let run = fleet.apt_all(&format!("one {operation} --min-age {}s --dry-run", age()));
        let answer = run.answer("one");
        assert_eq!(planned(answer), upstream, "{operation}");
        assert_eq!(
            answer["too_young"],
            serde_json::json!(["base", "fix"]),
            "{operation}"
        );
    }
    // Security updates come at once where the file says so.
    let of_class = || format!("{settings}[rollout.one]\nmin_age = \"{}s\"\n", age());
    let but_security = of_class() + "security_at_once = true\n";
    server.write("/etc/apu-server/apu.toml", &but_security);
    let run = fleet.apt_all("one upgrade --dry-run");
    assert_eq!(
        planned(run.answer("one"))
            .iter()
            .filter(|line| !line.starts_with("pkg-"))
            .count(),
        3,
        "{:?}",
        planned(run.answer("one"))
    );
    server.write("/etc/apu-server/apu.toml", &of_class());

    // Kept as a plan and carried out later, it is the same selection.
    let made = fleet.plain_apt_all("one upgrade --plan");
    assert!(made.stdout.contains("\n  too young: base, fix\n"), "{made:?}");
    let applied = fleet.apu("apply p1");
    assert!(applied.stdout.contains("one: changed: 5 packages"), "{applied:?}");
    for (package, version) in [
        ("base", "1.0"),
        ("needs", "1.0"),
        ("fix", "1.0"),
        ("pkg-c", "2.0"),
    ] {
        assert_eq!(one.version_of(package).as_deref(), Some(version), "{package}");
    }
    assert!(leaves_nothing(one));
    fleet
        .apt_all("one upgrade --yes --min-age 0")
        .ended("one", "changed");
    for (package, version) in [("base", "2.1"), ("needs", "2.0"), ("fix", "2.0")] {
        assert_eq!(one.version_of(package).as_deref(), Some(version), "{package}");
    }
}

#[test]
fn a_version_comes_once_this_server_has_known_it_for_long_enough() {
    young_packages_stay_on(Suite::Bookworm);
}

#[test]
fn young_versions_stay_away_on_trixie() {
    young_packages_stay_on(Suite::Trixie);
}

#[test]
fn young_versions_stay_away_on_bullseye() {
    young_packages_stay_on(Suite::Bullseye);
}

#[test]
fn a_run_that_is_asked_again_has_the_same_minimum_age() {
    let fleet = Fleet::of(["one", "two"]).up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("default update").exited(0);
    let two = fleet.host("two");
    two.kill_sshd();
    fleet
        .apt_all("default upgrade --min-age 1h --yes")
        .ended("one", "unchanged")
        .ended("two", "unreachable");
    two.start_sshd();
    let again = fleet.apu("retry @ --unreachable --yes");
    assert_eq!(again.code, 0, "{again:?}");
    for client in fleet.clients() {
        assert_eq!(client.version_of("pkg-a").as_deref(), Some("1.0"));
    }
}

#[test]
fn a_run_that_is_asked_again_holds_the_same_packages() {
    let fleet = Fleet::of(["one", "two"]).up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("default update").exited(0);
    let two = fleet.host("two");
    two.kill_sshd();
    fleet
        .apt_all("default upgrade --security --hold pkg-e --yes")
        .ended("one", "unchanged")
        .ended("two", "unreachable");
    two.start_sshd();
    let again = fleet.apu("retry @ --failed --yes");
    assert_eq!(again.code, 0, "{again:?}");
    for client in fleet.clients() {
        for package in ["pkg-a", "pkg-e"] {
            assert_eq!(client.version_of(package).as_deref(), Some("1.0"), "{package}");
        }
    }
}
