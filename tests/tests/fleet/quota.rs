//! What a stolen push key can use up: not the places of root, not those of a change of apu-data, and no package without a
//! plan that somebody approved.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use apu_tests::{Fleet, Host};

/// Asks a client's root side through the courier, as the push key's user or as root.
fn ask(host: &Host, user: &str, request: &str) -> String {
    let script = format!(
        "SSH_ORIGINAL_COMMAND='{request}' setpriv --reuid={user} --regid={user} --clear-groups /usr/lib/apu/apu-wrapper"
    );
    host.sh(&script).stdout
}

/// A process that holds the lock which every run of apu takes first, until it is dropped.
struct Holder(Child);

impl Holder {
    #[track_caller]
    fn of_the_turn(host: &Host) -> Self {
        let script = r#"use Fcntl; open(F, "+>>", "/var/lib/apu-client/lock") or die; chmod(0600, "/var/lib/apu-client/lock");
            my $lock = pack("s s l! l! i x4", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $lock) or die; open(G, ">", "/tmp/held"); sleep 600"#;
        let mut command = host.command("perl");
        let child = command.args(["-e", script]).stdin(Stdio::null()).spawn().unwrap();
        wait_until("the lock is held", || host.read("/tmp/held").is_some());
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[track_caller]
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(180);
    while !holds() {
        assert!(Instant::now() < patience, "{what}: that never came");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_flood_of_the_push_key_keeps_neither_root_nor_a_new_apu_data_out() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    let holder = Holder::of_the_turn(web1);
    web1.sh(
        "for number in $(seq 1 48); do
            SSH_ORIGINAL_COMMAND=\"apu/1 update run_id=$(printf %032x $number) lock_wait=86400\" setpriv --reuid=apu --regid=apu \
                --clear-groups /usr/lib/apu/apu-wrapper >/tmp/flood.$number 2>&1 </dev/null &
        done",
    )
    .ok();
    let count = |word: &str| {
        let lines = web1.sh(&format!("grep -l '{word}' /tmp/flood.*")).stdout;
        lines.lines().count()
    };
    wait_until("each of the flood waits or is refused", || {
        count("\"frame\":\"waiting\"") + count("\"frame\":\"result\"") == 48
    });
    assert_eq!(count("\"frame\":\"waiting\""), 16);

    // Nothing more of the same; not even a look, which costs seconds.
    for request in ["update lock_wait=0", "status"] {
        let answer = ask(web1, "apu", &format!("apu/1 {request}"));
        assert!(answer.contains("too-many-requests"), "{answer}");
    }
    // Both get their place, and wait for the lock like everybody.
    for (user, request) in [
        ("root", "apu/1 update lock_wait=0"),
        ("apu", "apu/1 install lock_wait=0 apu-data"),
        ("apu", "apu/1 update lock_wait=0 lists_of=site"),
    ] {
        let answer = ask(web1, user, request);
        assert!(
            answer.contains("\"lock-held\",\"parameters\":{\"lock\":\"/var/lib/apu-client/lock\""),
            "{user} {request}: {answer}"
        );
    }
    assert!(ask(web1, "root", "apu/1 status").contains("\"outcome\":\"unchanged\""));
    assert!(ask(web1, "apu", "apu/1 ping").contains("\"outcome\":\"unchanged\""));
    drop(holder);
}

#[test]
fn the_push_key_alone_removes_no_package_on_the_way() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    let answer = ask(web1, "apu", "apu/1 install allow_remove=yes pkg-x");
    assert!(
        answer.contains("\"refused\"") && answer.contains("\"removal\""),
        "{answer}"
    );
    assert_eq!(web1.version_of("pkg-x"), None);
    // With a plan's hash, as apt-all sends it.
    fleet
        .apt_all("web1 install pkg-x --allow-remove --yes")
        .ended("web1", "changed")
        .exited(0);
    assert_eq!(web1.version_of("pkg-x").as_deref(), Some("1.0"));
}

#[test]
fn a_lock_that_another_user_holds_already_stops_no_run() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    // As an earlier version left it, and somebody opened it then.
    web1.sh(
        "touch /var/lib/apu-client/lock; chmod 644 /var/lib/apu-client/lock; chmod 755 /var/lib/apu-client",
    )
    .ok();
    let script = r#"use Fcntl; open(F, "<", "/var/lib/apu-client/lock") or die;
        my $lock = pack("s s l! l! i x4", F_RDLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $lock) or die; open(G, ">", "/tmp/held"); sleep 600"#;
    let mut command = web1.command("setpriv");
    command.args([
        "--reuid=nobody",
        "--regid=nogroup",
        "--clear-groups",
        "perl",
        "-e",
        script,
    ]);
    let _holder = Holder(command.stdin(Stdio::null()).spawn().unwrap());
    wait_until("the lock is held", || web1.read("/tmp/held").is_some());

    fleet.apt_all("web1 update --timeout 120").exited(0);
    let modes = web1
        .sh("stat -c '%a %n' /var/lib/apu-client /var/lib/apu-client/runs /var/lib/apu-client/lock")
        .ok();
    assert_eq!(
        modes,
        "700 /var/lib/apu-client\n700 /var/lib/apu-client/runs\n600 /var/lib/apu-client/lock\n"
    );
}
