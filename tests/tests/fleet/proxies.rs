//! Proxies on the server: many clients fetch from upstream what one client needs.
//!
//! squid and apt-cacher-ng are Debian's packages, set up from `examples/` and nothing else; `apu setup` has found them and
//! gen-apu-data-pkg has told the clients.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use apu_tests::{Fleet, Host, Manner, Service, Stage, in_check_or_long};

const UPGRADED: [&str; 5] = ["pkg-a", "pkg-b", "pkg-c", "pkg-d", "pkg-e"];

/// The site's archive as a client's apt keeps it.
const LIST: &str = "/var/lib/apt/lists/apu.example.org_local_._InRelease";

#[track_caller]
fn is_upgraded(client: &Host) {
    for package in UPGRADED {
        assert_eq!(
            client.version_of(package).as_deref(),
            Some("4.0"),
            "{package} on {}",
            client.name()
        );
    }
}

/// The bytes that the upstream archive sent, heads included.
fn upstream_bytes(fleet: &Fleet) -> usize {
    fleet
        .upstream()
        .answered()
        .iter()
        .map(|answered| answered.bytes)
        .sum()
}

#[track_caller]
fn upgrade(fleet: &Fleet, hosts: &str, count: usize, options: &str) {
    fleet
        .apt_all(&format!("{hosts} update{options}"))
        .all_ended("changed")
        .exited(0);
    let run = fleet.apt_all(&format!("{hosts} dist-upgrade --yes"));
    run.all_ended("changed").exited(0);
    assert_eq!(run.outcomes().count(), count);
}

/// What one client without a proxy needs. Measured once, for both proxies.
fn direct() -> usize {
    static BYTES: OnceLock<usize> = OnceLock::new();
    *BYTES.get_or_init(|| {
        let fleet = Fleet::of(["alone"]).up();
        fleet.upstream_offers(Stage::Heavy);
        upgrade(&fleet, "alone", 1, "");
        is_upgraded(fleet.host("alone"));
        upstream_bytes(&fleet)
    })
}

/// How a class is upgraded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rollout {
    /// All at the same time.
    Together,
    /// One host first. Then the others, which fetch lists one after the other and packages all at the same time.
    OneFirst,
}

/// Clients upgrade behind a proxy that knows nothing yet: what upstream sent, and how often each file was sent whole.
fn through(service: Service, clients: usize, rollout: Rollout) -> (usize, BTreeMap<String, usize>) {
    let fleet = Fleet::of_size(clients).beside(service).up();
    // So far away that everybody asks before the first has an answer.
    fleet.upstream().behave(Manner::Slowly);
    fleet.upstream_offers(Stage::Heavy);
    if rollout == Rollout::OneFirst {
        upgrade(&fleet, "client001", 1, "");
        fleet.class("default", &others(&fleet));
        upgrade(&fleet, "default", clients - 1, " --parallel 1");
    } else {
        upgrade(&fleet, "default", clients, "");
    }
    fleet.clients().for_each(is_upgraded);

    let mut times = BTreeMap::new();
    for answered in fleet.upstream().answered() {
        assert!([200, 206, 304].contains(&answered.status), "{answered:?}");
        *times.entry(answered.path).or_default() += usize::from(answered.status == 200 && answered.whole);
    }
    for package in UPGRADED {
        let path = format!("/pool/stable/{package}_4.0_amd64.deb");
        assert!(
            times.contains_key(&path),
            "{path} did not come from upstream: {times:?}"
        );
    }
    (upstream_bytes(&fleet), times)
}

/// The class without its first host.
fn others(fleet: &Fleet) -> String {
    let names = fleet
        .clients()
        .skip(1)
        .map(|client| format!("{}\n", client.name()));
    names.collect()
}

#[track_caller]
fn each_once(times: &BTreeMap<String, usize>) {
    let again: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
    assert!(again.is_empty(), "not fetched once: {again:?}");
}

fn tell(what: &str, bytes: usize, direct: usize) {
    #[allow(clippy::cast_precision_loss)] // A figure for people.
    let ratio = bytes as f64 / direct as f64;
    println!("{what}: {bytes} bytes from upstream, {ratio:.4} of what 1 client needs without a proxy");
}

#[test]
fn many_clients_behind_squid_fetch_each_file_once() {
    let direct = direct();
    tell("no proxy, 1 client", direct, direct);
    let (one, times) = through(Service::Squid, 1, Rollout::Together);
    tell("squid, 1 client", one, direct);
    each_once(&times);
    let clients = in_check_or_long(10, 20);
    let (many, times) = through(Service::Squid, clients, Rollout::Together);
    tell(&format!("squid, {clients} clients at once"), many, direct);
    each_once(&times);
    assert!(
        one * 100 <= direct * 105 && many * 100 <= direct * 105,
        "{direct}, {one}, {many}"
    );
}

/// apt-cacher-ng 3.7.4 shares a file only from when the head of its answer is there: clients that ask before fetch it each,
/// and where many ask at once for what may change, it happens that none gets an answer. So one client goes before the
/// others, and lists are fetched by one at a time.
#[test]
fn many_clients_behind_apt_cacher_ng_fetch_each_file_once_after_the_first() {
    let direct = direct();
    let clients = in_check_or_long(8, 20);
    let (many, times) = through(Service::AptCacherNg, clients, Rollout::OneFirst);
    tell(
        &format!("apt-cacher-ng, 1 of {clients} clients first"),
        many,
        direct,
    );
    each_once(&times);
    assert!(many * 100 <= direct * 105, "{direct}, {many}");
}

/// What the clients have of the site's archive is what the server has, each time it has changed.
fn a_new_archive_is_seen_at_once(service: Service) {
    let fleet = Fleet::of(["one", "two"]).beside(service).up();
    let (server, port) = (fleet.server(), service.port());
    let setting = format!("Acquire::http::Proxy \"http://apu.example.org:{port}\";");
    for (host, path) in [
        (server, "/etc/apu-server/50apu"),
        (fleet.host("one"), "/etc/apt/apt.conf.d/50apu"),
    ] {
        let text = host.read(path).unwrap_or_default();
        assert!(text.contains(&setting), "{}: {path}: {text}", host.name());
    }
    let log = server.sh("cat /var/log/squid/access.log /var/log/apt-cacher-ng/apt-cacher.log");
    assert!(!log.stdout.contains("local"), "{}", log.stdout);

    for version in ["1.0", "2.0", "3.0"] {
        fleet.site_offers("site-tool", version);
        fleet.apt_all("default update").all_ended("changed").exited(0);
        let now = server.read("/var/lib/apu-data/repo/local/InRelease");
        for client in fleet.clients() {
            assert_eq!(client.read(LIST), now, "{} after {version}", client.name());
        }
        fleet
            .apt_all("default install site-tool --yes")
            .all_ended("changed")
            .exited(0);
        for client in fleet.clients() {
            assert_eq!(client.version_of("site-tool").as_deref(), Some(version));
        }
    }
    // All of that came through the proxy.
    let log = server.sh("cat /var/log/squid/access.log /var/log/apt-cacher-ng/apt-cacher.log");
    assert!(log.stdout.contains("site-tool_3.0_all.deb"), "{}", log.stdout);
}

#[test]
fn clients_behind_squid_see_a_new_archive_at_once() {
    a_new_archive_is_seen_at_once(Service::Squid);
}

#[test]
fn clients_behind_apt_cacher_ng_see_a_new_archive_at_once() {
    a_new_archive_is_seen_at_once(Service::AptCacherNg);
}

/// An archive that keeps the newest versions alone drops, while a canary proves itself, what the canary got. The others still get that
/// from the proxy; without one they get nothing, and change nothing.
#[test]
fn what_upstream_drops_after_the_canary_comes_from_squid() {
    for (proxy, outcome, version) in [(true, "changed", "4.0"), (false, "failed", "1.0")] {
        let fleet = Fleet::of(["canary", "rest"]);
        let fleet = if proxy {
            fleet.beside(Service::Squid)
        } else {
            fleet
        };
        let fleet = fleet.up();
        fleet.upstream_offers(Stage::Heavy);
        fleet.apt_all("default update").all_ended("changed").exited(0);
        fleet
            .apt_all("canary dist-upgrade --yes")
            .all_ended("changed")
            .exited(0);
        is_upgraded(fleet.host("canary"));
        fleet.upstream_offers(Stage::Before);

        fleet
            .apt_all("rest dist-upgrade --yes")
            .all_ended(outcome)
            .exited(i32::from(!proxy));
        for package in UPGRADED {
            let now = fleet.host("rest").version_of(package);
            assert_eq!(now.as_deref(), Some(version), "{package}, proxy: {proxy}");
        }
    }
}
