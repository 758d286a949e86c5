//! The server's own unit: the archive over HTTP, by a user that can do nothing else.

use std::fs::{self, File};
use std::path::PathBuf;

use apu_tests::systemd::Machine;

/// The built apu-server.
fn package() -> PathBuf {
    let dist = concat!(env!("CARGO_MANIFEST_DIR"), "/../dist");
    let entries = fs::read_dir(dist).expect("try: make deb").flatten();
    let mut paths = entries.map(|entry| entry.path());
    let is_server = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("apu-server_") && name.ends_with(".deb")
    };
    paths.find(is_server).expect("try: make deb")
}

#[test]
fn the_archive_is_served_when_it_is_asked_for_and_by_nobody_who_could_do_more() {
    let machine = Machine::for_server();
    let copied = machine
        .command("tee")
        .arg("/root/apu-server.deb")
        .stdin(File::open(package()).unwrap())
        .stdout(std::process::Stdio::null())
        .status();
    assert!(copied.unwrap().success());
    machine
        .sh("DEBIAN_FRONTEND=noninteractive apt-get -q -y install /root/apu-server.deb")
        .ok();

    let is = |what: &str| machine.exec(&["systemctl", what, "apu-serve"]).stdout;
    assert_eq!(
        (is("is-enabled"), is("is-active")),
        ("disabled\n".into(), "inactive\n".into())
    );

    // On port 80 of this network is the archive that the machine's own packages come from.
    machine.sh("mkdir /etc/systemd/system/apu-serve.service.d").ok();
    machine.write(
        "/etc/systemd/system/apu-serve.service.d/port.conf",
        "[Service]\nExecStart=\nExecStart=/usr/sbin/apu serve --listen 127.0.0.1:81\n",
    );
    machine.exec(&["systemctl", "daemon-reload"]).ok();
    machine.exec(&["systemctl", "enable", "--now", "apu-serve"]).ok();
    machine.wait_until("somebody listens", |host| {
        host.exec(&["bash", "-c", ": </dev/tcp/127.0.0.1/81"]).code == 0
    });
    machine
        .sh("cd /root && /usr/lib/apt/apt-helper download-file http://127.0.0.1:81/local/InRelease got")
        .ok();
    machine
        .exec(&["cmp", "/root/got", "/var/lib/apu-data/repo/local/InRelease"])
        .ok();

    let about = machine
        .sh("cat /proc/$(systemctl show --value --property MainPID apu-serve)/status")
        .ok();
    let field = |name: &str| {
        let line = about
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_default();
        line.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    assert_ne!(field("Uid:"), "0");
    // CAP_NET_BIND_SERVICE, for a port below 1024, and no other.
    assert_eq!(
        (field("CapEff:"), field("CapBnd:")),
        ("0000000000000400".into(), "0000000000000400".into())
    );
    let secrets = machine.sh(
        "nsenter --mount --target $(systemctl show --value --property MainPID apu-serve) \
         cat /etc/apu-server/ssh/id_ed25519",
    );
    assert_ne!(secrets.code, 0);

    machine.exec(&["systemctl", "restart", "apu-serve"]).ok();
    machine.exec(&["systemctl", "stop", "apu-serve"]).ok();
    assert_eq!(is("is-active"), "inactive\n");
}
