//! How often a client simulates: once for a plan, and no more where nothing has changed when it is carried out.

use apu_tests::{Fleet, Host, Stage};

use crate::sitting::Sitting;

/// Writes down each call of apt-get on a host.
fn write_calls_down(host: &Host) {
    host.sh("mv /usr/bin/apt-get /usr/bin/apt-get.real").ok();
    host.write(
        "/usr/bin/apt-get",
        "#!/bin/sh\necho \"$*\" >>/run/calls\nexec /usr/bin/apt-get.real \"$@\"\n",
    );
    host.sh("chmod 755 /usr/bin/apt-get").ok();
}

/// How many of the calls so far were simulations, and how many asked for the checksums; forgets them.
fn simulations(host: &Host) -> (usize, usize) {
    let calls = host.read("/run/calls").unwrap_or_default();
    host.sh("rm -f /run/calls").ok();
    let of = |word: &str| {
        let calls = calls.lines();
        calls
            .filter(|call| call.split(' ').any(|other| other == word))
            .count()
    };
    (of("APT::Get::Simulate=true"), of("--print-uris"))
}

#[test]
fn a_plan_is_carried_out_without_another_simulation_unless_something_has_changed() {
    let fleet = Fleet::of(["web1"]).up();
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").exited(0);
    let web1 = fleet.host("web1");
    write_calls_down(web1);

    // Between the plan and the yes, the machine's own administrator keeps a package back.
    let mut sitting = Sitting::down(fleet.server(), "apt-all web1 upgrade");
    sitting.sees("Go on with 1 host? [y/N] ");
    assert_eq!(simulations(web1), (1, 1));
    web1.write(
        "/etc/apt/preferences.d/keep",
        "Package: pkg-a\nPin: version 2.0\nPin-Priority: -1\n",
    );
    sitting.types("y\n");
    sitting.sees("web1: drifted");
    sitting.leaves(1);
    assert_eq!(simulations(web1), (1, 1));
    assert_eq!(web1.version_of("pkg-b").as_deref(), Some("1.0"));

    web1.sh("rm /etc/apt/preferences.d/keep").ok();
    fleet
        .apt_all("web1 upgrade --yes")
        .ended("web1", "changed")
        .exited(0);
    assert_eq!(simulations(web1), (1, 1));
    assert_eq!(web1.version_of("pkg-a").as_deref(), Some("2.0"));
}
