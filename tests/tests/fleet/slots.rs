//! Slots: what is told ahead, by a real mail server and a real web server, is what is carried out at its time.

use std::time::{Duration, Instant};

use apu_tests::{Fleet, Host, Service, Stage};
use jiff::{SignedDuration, Timestamp};

/// The other side of a webhook: writes down what is posted, a line each.
const HOOK: &str = r#"
import http.server

class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/root/posted", "ab") as posted:
            posted.write(self.path.encode() + b" " + body + b"\n")
        self.send_response(204)
        self.end_headers()

http.server.HTTPServer(("127.9.0.1", 8025), Hook).serve_forever()
"#;

/// A fleet whose server has mail, an account `ops`, and a webhook.
fn fleet() -> Fleet {
    let fleet = Fleet::of(["web1", "web2"])
        .in_class("web")
        .beside(Service::Exim)
        .up();
    let server = fleet.server();
    server.write("/root/hook.py", HOOK);
    server
        .sh("useradd -m ops; touch /root/posted; umask 077; echo http://127.9.0.1:8025/services/s3cret >/etc/apu-server/webhook; \
             start-stop-daemon --start --background --make-pidfile --pidfile /run/hook.pid --startas /usr/bin/python3 -- /root/hook.py")
        .ok();
    wait_until("somebody listens at the webhook", || {
        server
            .sh("curl -s -o /dev/null http://127.9.0.1:8025/; test $? != 7")
            .code
            == 0
    });
    fleet.upstream_offers(Stage::After);
    fleet
}

/// A slot that comes once, so many seconds from now.
fn slot(server: &Host, seconds: i64, notice: &str) {
    let at = Timestamp::now() + SignedDuration::from_secs(seconds);
    let at = at.strftime("%F %H:%M:%S UTC");
    let text = format!(
        "[notices]\nmail = ['ops@apu.example.org']\nwebhook = '/etc/apu-server/webhook'\n\
         [slot.night]\nclass = 'web'\noperation = 'upgrade'\nat = '{at}'\nnotice = '{notice}'\n"
    );
    let path = "/etc/apu-server/apu.toml";
    let before = server.read(path).unwrap();
    server.write(path, &(before + &text));
}

/// Lets the time of the slot be now.
fn its_time_comes(server: &Host) {
    let now = Timestamp::now().as_second();
    server
        .sh(&format!(
            "sed -i 's/\"at\": [0-9]*/\"at\": {now}/' /var/lib/apu-server/slots/night.json"
        ))
        .ok();
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// How many mails are in a mailbox.
fn count(mailbox: &str) -> usize {
    mailbox.lines().filter(|line| line.starts_with("From ")).count()
}

/// The mails of ops, once there are so many.
fn mails(server: &Host, number: usize) -> String {
    let all = || server.read("/var/mail/ops").unwrap_or_default();
    wait_until("the mail is delivered", || count(&all()) >= number);
    all()
}

fn posted(server: &Host) -> Vec<serde_json::Value> {
    let text = server.read("/root/posted").unwrap_or_default();
    let line = |line: &str| {
        let body = line
            .strip_prefix("/services/s3cret ")
            .unwrap_or_else(|| panic!("{line}"));
        serde_json::from_str(body).unwrap()
    };
    text.lines().map(line).collect()
}

#[test]
fn a_slot_tells_its_plan_by_mail_and_to_a_webhook_and_carries_out_that_plan_and_no_other() {
    let fleet = fleet();
    let server = fleet.server();
    slot(server, 14 * 60, "15m");

    let run = fleet.apu("slots run");
    assert_eq!(run.code, 0, "{run:?}");
    let mail = mails(server, 1);
    for part in [
        "Subject: [apu] night: upgrade of web at ",
        "2 hosts, 10 upgraded",
        "\nAuto-Submitted: auto-generated\n",
        "\nContent-Type: text/plain; charset=utf-8\n",
        "\nTo: ops@apu.example.org\n",
        "\nto hold it: sudo apu slots skip night\n",
        "web[1-2]: the same 5 changes: 5 upgraded",
        "pkg-a:amd64  1.0 -> 2.0",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    let posts = posted(server);
    assert_eq!(posts.len(), 1, "{posts:?}");
    assert_eq!(
        (&posts[0]["notice"], &posts[0]["plan"], &posts[0]["class"]),
        (&"planned".into(), &"p1".into(), &"web".into())
    );
    assert!(
        posts[0]["text"]
            .as_str()
            .unwrap()
            .contains("pkg-a:amd64  1.0 -> 2.0")
    );
    // The packages are there ahead, and nothing is installed.
    for name in ["web1", "web2"] {
        let host = fleet.host(name);
        assert_eq!(host.version_of("pkg-a").as_deref(), Some("1.0"));
        host.sh("test -e /var/cache/apt/archives/pkg-a_2.0_*.deb").ok();
    }
    let listed = fleet.apu("slots");
    assert!(
        listed.stdout.starts_with("night: web upgrade, ") && listed.stdout.ends_with(": planned as p1\n"),
        "{listed:?}"
    );

    // Until its time comes nothing more is done, and nothing is told twice.
    let again = fleet.apu("slots run");
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{again:?}");

    // The administrator of one machine keeps a package back meanwhile.
    let web2 = fleet.host("web2");
    web2.sh("apt-mark hold pkg-a").ok();
    its_time_comes(server);
    let run = fleet.apu("slots run");
    assert_eq!(run.code, 1, "{run:?}");
    assert_eq!(fleet.host("web1").version_of("pkg-a").as_deref(), Some("2.0"));
    assert_eq!(web2.dpkg_l("pkg-b").unwrap().1, "1.0");
    let mail = mails(server, 2);
    for part in [
        ": not all hosts are well",
        "web1: changed: 5 packages",
        "web2: drifted",
        "\nIn-Reply-To: <apu.night.",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    let posts = posted(server);
    assert_eq!(
        (&posts[1]["notice"], &posts[1]["well"]),
        (&"ended".into(), &false.into()),
        "{posts:?}"
    );
    // The time of apu.toml, which was moved here, is still to come, and is planned like any.
    assert!(
        posts[2..].iter().all(|post| post["notice"] == "planned"),
        "{posts:?}"
    );
    let recorded = fleet.apu("runs --json").stdout.lines().count();
    let again = fleet.apu("slots run");
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(fleet.apu("runs --json").stdout.lines().count(), recorded);
    let listed = fleet.apu("slots");
    assert!(listed.stdout.contains(": not all hosts are well\n"), "{listed:?}");
    assert_eq!(count(&mails(server, posts.len())), posts.len());
}

#[test]
fn a_slot_that_is_held_changes_nothing_and_says_so() {
    let fleet = fleet();
    let server = fleet.server();
    slot(server, 14 * 60, "15m");
    fleet.apu("slots run").ok();
    let held = fleet.apu("slots skip night");
    assert!(held.stdout.starts_with("slot night is held at "), "{held:?}");
    its_time_comes(server);
    fleet.apu("slots run").ok();
    assert_eq!(fleet.host("web1").version_of("pkg-a").as_deref(), Some("1.0"));
    assert!(mails(server, 2).contains("night: held by root"));
}

#[test]
fn a_slot_whose_process_is_killed_is_not_begun_twice() {
    let fleet = fleet();
    let server = fleet.server();
    // Without a notice all of it is done at the time itself.
    slot(server, 8, "0");
    fleet.apu("slots run").ok();
    std::thread::sleep(Duration::from_secs(9));
    server
        .sh("start-stop-daemon --start --background --make-pidfile --pidfile /run/slots.pid --startas /usr/sbin/apu -- slots run")
        .ok();
    let state = "/var/lib/apu-server/slots/night.json";
    wait_until("it carries out its plan", || {
        let state = server.read(state).unwrap_or_default();
        state.contains("\"applying\"") || state.contains("\"ended\"")
    });
    server.sh("kill -9 $(cat /run/slots.pid)");
    let begun = |text: &str| text.matches("upgrade").count();
    let runs = || fleet.apu("runs --json").stdout;
    let before = begun(&runs());
    wait_until("its end is told", || {
        let run = fleet.apu("slots run");
        assert!(run.code <= 1, "{run:?}");
        fleet.apu("slots").stdout.contains("does not come again")
    });
    assert_eq!(begun(&runs()), before);
    let mail = mails(server, 2);
    assert!(
        mail.contains("broken off") || mail.contains("all hosts are well"),
        "{mail}"
    );
    if mail.contains(": broken off") && mail.contains("apu resume") {
        let resumed = fleet.apu("resume");
        assert_eq!(resumed.code, 0, "{resumed:?}");
        assert_eq!(fleet.host("web1").version_of("pkg-a").as_deref(), Some("2.0"));
    }
}
