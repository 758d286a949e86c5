//! The new apu-data on its way: `gen-apu-data-pkg --push`, and `apu status`, which names who has not got it.

use apu_tests::{Fleet, Host};

fn data(host: &Host) -> u32 {
    let version = host.version_of("apu-data").expect("an apu-data");
    version.parse().expect("a number")
}

/// An input of apu-data changes.
fn change(fleet: &Fleet, port: u16) {
    let proxy = format!("Acquire::http::Proxy::proxied.example.org \"http://proxy.example.org:{port}\";\n");
    fleet.server().write("/etc/apu-server/50apu", &proxy);
}

#[test]
fn a_push_brings_the_new_apu_data_and_status_names_who_lags() {
    let fleet = Fleet::of(["web1", "web2", "web3"]).up();
    let (server, web3) = (fleet.server(), fleet.host("web3"));
    let well = fleet.apu("status");
    assert_eq!(well.code, 0, "{well:?}");
    assert!(
        well.stdout.contains("3 with the newest apu-data"),
        "{}",
        well.stdout
    );
    let (old, asked) = (data(web3), fleet.upstream().asked().len());

    change(&fleet, 3128);
    let pushed = server
        .exec(&["gen-apu-data-pkg", "--push", "web1,web2", "--yes"])
        .ok();
    assert!(
        pushed.contains(&format!("apu-data {} is ready", old + 1)),
        "{pushed}"
    );
    for name in ["web1", "web2"] {
        assert_eq!(data(fleet.host(name)), old + 1, "{name}");
        let proxy = fleet.host(name).read("/etc/apt/apt.conf.d/50apu").expect("50apu");
        assert!(proxy.contains(":3128"), "{proxy}");
    }
    assert_eq!(data(web3), old);
    assert_eq!(
        fleet.upstream().asked().len(),
        asked,
        "more was fetched than the site's own"
    );

    let lag = fleet.apu("status");
    assert_eq!(lag.code, 1, "{lag:?}");
    let line = |host: &str| {
        lag.stdout
            .lines()
            .find(|line| line.starts_with(host))
            .unwrap_or_default()
    };
    assert!(line("web3").ends_with("behind"), "{}", lag.stdout);
    assert!(!line("web1").ends_with("behind"), "{}", lag.stdout);
    assert!(
        lag.stdout.contains("try: gen-apu-data-pkg --push web3\n"),
        "{}",
        lag.stdout
    );
    assert_eq!(fleet.apu("status web1,web2").code, 0);

    // A second push makes nothing new, and brings what is there to who has not got it.
    let again = server
        .exec(&["gen-apu-data-pkg", "--push", "default", "--yes"])
        .ok();
    assert!(again.contains("is up to date"), "{again}");
    assert_eq!(data(web3), old + 1);
    assert_eq!(fleet.apu("status").code, 0);
}

#[test]
fn a_host_that_is_off_is_named_by_the_push_and_by_status() {
    let fleet = Fleet::of(["web1", "web2"]).up();
    fleet.host("web2").kill_sshd();
    change(&fleet, 3129);

    let pushed = fleet
        .server()
        .exec(&["gen-apu-data-pkg", "--push", "default", "--yes"]);
    assert_eq!(pushed.code, 1, "{pushed:?}");
    assert!(pushed.stdout.contains("web2: unreachable"), "{}", pushed.stdout);
    let status = fleet.apu("status");
    assert_eq!(status.code, 1, "{status:?}");
    let line = status.stdout.lines().find(|line| line.starts_with("web2"));
    assert!(
        line.unwrap_or_default().contains("unreachable"),
        "{}",
        status.stdout
    );
    assert!(status.stdout.contains("1 silent"), "{}", status.stdout);
}

#[test]
fn a_push_to_nobody_is_told_after_publishing() {
    let fleet = Fleet::of(["web1"]).up();
    let said = fleet
        .server()
        .exec(&["gen-apu-data-pkg", "--push", "nobody", "--yes"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.stderr.contains("there is no class or host `nobody`"),
        "{}",
        said.stderr
    );
}
