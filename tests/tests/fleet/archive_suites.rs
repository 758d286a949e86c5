//! Archives with suites and components, as the real apt of every supported release reads them.

use apu_tests::{Fleet, Host, Suite};

/// Two suites of one directory: one with two components, one with nothing but a package for all architectures.
const SETTINGS: &str = r#"
[[archives]]
name = "tools"
path = "/srv/apt"
url = "http://apu.example.org:8080/apt"
suite = "stable"
components = ["main", "extra"]
contents = true

[[archives]]
name = "trials"
path = "/srv/apt"
url = "http://apu.example.org:8080/apt"
suite = "next"
"#;

const PUBLISH: &str = r#"
set -e
mkdir -p /srv/apt
deb() {
    mkdir -p /tmp/tree/DEBIAN "/tmp/tree/usr/share/$1"
    echo "$1" >"/tmp/tree/usr/share/$1/name"
    printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: A <a@example.org>\nSection: utils\nDescription: a test\n' \
        "$1" "$2" "$3" >/tmp/tree/DEBIAN/control
    dpkg-deb -Zxz --build /tmp/tree "/tmp/$1.deb" >/dev/null
    rm -r /tmp/tree
}
deb main-tool 1.0 amd64
deb extra-tool 1.0 all
deb trial 1.0 all
# Debian's own come from Debian, however high the version.
deb pkg-a 9.0 amd64
apu repo add --archive tools --component main /tmp/main-tool.deb /tmp/pkg-a.deb
apu repo add --archive tools --component extra /tmp/extra-tool.deb
apu repo add --archive trials /tmp/trial.deb
apu repo check tools
apu repo check trials
gen-apu-data-pkg
start-stop-daemon --start --background --make-pidfile --pidfile /run/apu-serve-suites.pid --startas /usr/sbin/apu -- serve --listen 127.9.0.1:8080
for try in $(seq 200); do
    grep -q ': 0100097F:1F90 00000000:0000 0A' /proc/net/tcp && exit 0
    sleep 0.05
done
echo "apu serve does not listen" >&2
exit 1
"#;

/// As apt-file asks for Contents.
const CONTENTS: &str = r#"
Acquire::IndexTargets::deb::Contents-deb {
    MetaKey "$(COMPONENT)/Contents-$(ARCHITECTURE)";
    ShortDescription "Contents-$(ARCHITECTURE)";
    Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Contents (deb)";
    flatMetaKey "Contents-$(ARCHITECTURE)";
    flatDescription "$(RELEASE) Contents (deb)";
    KeepCompressed "true";
};
"#;

/// Runs apt-get as an administrator of the client would.
fn apt_get(client: &Host, words: &str) -> (i32, String) {
    let done = client.sh(&format!(
        "DEBIAN_FRONTEND=noninteractive apt-get -y -q -o APT::Sandbox::User=root -o APT::Update::Error-Mode=any {words} 2>&1"
    ));
    (done.code, done.stdout)
}

/// apt-get does it, and has nothing to remark.
#[track_caller]
fn smoothly(client: &Host, words: &str) {
    let (code, said) = apt_get(client, words);
    let remarks = said
        .lines()
        .filter(|line| ["W:", "E:", "N:"].iter().any(|start| line.starts_with(start)));
    assert!(
        code == 0 && remarks.count() == 0,
        "apt-get {words} on {}: {said}",
        client.name()
    );
}

fn apt_reads_suites_on(suite: Suite) {
    let fleet = Fleet::of(["one"]).suite(suite).up();
    let (server, one) = (fleet.server(), fleet.host("one"));
    let settings = server.read("/etc/apu-server/apu.toml").unwrap();
    server.write("/etc/apu-server/apu.toml", &format!("{settings}{SETTINGS}"));
    server.sh(PUBLISH).ok();

    fleet.apt_all("default update").all_ended("changed").exited(0);
    fleet
        .apt_all("default dist-upgrade --yes")
        .all_ended("changed")
        .exited(0);
    smoothly(one, "update");
    smoothly(one, "install main-tool extra-tool trial");
    for package in ["main-tool", "extra-tool", "trial"] {
        assert_eq!(one.version_of(package).as_deref(), Some("1.0"), "{package}");
    }
    for (package, from) in [
        ("main-tool", "stable/main"),
        ("extra-tool", "stable/extra"),
        ("trial", "next/main"),
    ] {
        let policy = one.sh(&format!("apt-cache policy {package}")).ok();
        let source = format!("100 http://apu.example.org:8080/apt {from} amd64 Packages");
        assert!(policy.contains(&source), "{policy}");
    }
    smoothly(one, "dist-upgrade");
    assert_eq!(
        one.version_of("pkg-a").as_deref(),
        Some("1.0"),
        "the site's archive replaced it"
    );

    one.write("/etc/apt/apt.conf.d/50contents", CONTENTS);
    smoothly(one, "update");
    let contents = one.sh(
        "for file in /var/lib/apt/lists/*_Contents-*; do /usr/lib/apt/apt-helper cat-file \"$file\"; done",
    );
    let contents = contents.ok();
    for package in ["main-tool", "extra-tool"] {
        let line = format!("usr/share/{package}/name\tutils/{package}\n");
        assert!(contents.contains(&line), "no {line:?} in {contents:?}");
    }

    // What is not as the signed Release says is not taken.
    let index = server
        .sh("ls /srv/apt/dists/stable/main/binary-amd64/Packages.xz")
        .ok();
    server
        .sh(&format!(
            "printf X | dd of={} bs=1 seek=40 conv=notrunc 2>&1",
            index.trim()
        ))
        .ok();
    one.sh("rm -r /var/lib/apt/lists/*").ok();
    let (code, said) = apt_get(one, "update");
    assert!(code != 0 && said.contains("Hash Sum mismatch"), "{code}: {said}");
    server.sh("apu repo check tools >&2; test $? = 1").ok();
}

#[test]
fn apt_reads_suites_on_bullseye() {
    apt_reads_suites_on(Suite::Bullseye);
}

#[test]
fn apt_reads_suites_on_bookworm() {
    apt_reads_suites_on(Suite::Bookworm);
}

#[test]
fn apt_reads_suites_on_trixie() {
    apt_reads_suites_on(Suite::Trixie);
}
