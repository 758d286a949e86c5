//! `apu slots` on a site of its own, with a scripted mail server and a real web server: what is listed, held, told and refused.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;

/// A site with a class of a host that nobody can reach, and a mail server that keeps what it is given.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(toml: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for folder in ["etc/apu-server/clients", "etc/apu-server/ssh", "usr/sbin"] {
            fs::create_dir_all(desk.path(folder)).unwrap();
        }
        desk.write("etc/apu-server/ssh/id_ed25519", "no key\n");
        desk.write("etc/hostname", "apu.example.org\n");
        desk.write("etc/apu-server/clients/web", "web1 address=127.0.0.1 port=1\n");
        desk.write("etc/apu-server/apu.toml", toml);
        desk.mail_server("exit 0");
        desk
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// A sendmail that keeps its words and the mail, and then ends as the script says.
    fn mail_server(&self, script: &str) {
        let kept = self.path("mail");
        let text = format!(
            "#!/bin/sh\n{{ echo \"$@\"; cat; }} >>{}\n{script}\n",
            kept.display()
        );
        self.write("usr/sbin/sendmail.new", &text);
        let path = self.path("usr/sbin/sendmail.new");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(path, self.path("usr/sbin/sendmail")).unwrap();
    }

    /// How many mails were taken.
    fn mails(&self) -> usize {
        self.read("mail")
            .lines()
            .filter(|line| line.starts_with("Subject: "))
            .count()
    }

    /// What `apu` prints, standard error first, and its exit status.
    fn apu(&self, words: &str) -> (String, i32) {
        let output = Command::new(env!("CARGO_BIN_EXE_apu"))
            .args(words.split_whitespace())
            .arg("--root")
            .arg(self.0.path())
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
        let text = text.replace(self.0.path().to_str().unwrap(), "SITE");
        (text, output.status.code().unwrap())
    }

    /// Changes the file of how far slot `night` is.
    fn rewrite(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let path = "var/lib/apu-server/slots/night.json";
        let mut state: serde_json::Value = serde_json::from_str(&self.read(path)).unwrap();
        change(&mut state);
        self.write(path, &state.to_string());
    }
}

const NIGHT: &str = "[slot.night]\nclass = 'web'\noperation = 'upgrade'\nat = '2040-01-05 22:00 UTC'\nmail = ['ops@example.org']\n";

fn now() -> i64 {
    Timestamp::now().as_second()
}

#[test]
fn a_slot_is_listed_held_and_let_go_on() {
    let desk = Desk::new(NIGHT);
    let line =
        "night: web upgrade, Thu 2040-01-05 22:00 UTC: waiting, its plan is made Wed 2040-01-04 22:00 UTC\n";
    assert_eq!(desk.apu("slots"), (line.to_owned(), 0));
    // To look changes nothing.
    assert!(!desk.path("var/lib/apu-server/slots").exists());
    assert_eq!(desk.apu("slots run"), (String::new(), 0));
    assert_eq!(desk.apu("slots"), (line.to_owned(), 0));
    let held = "slot night is held at Thu 2040-01-05 22:00 UTC; to let it go on: apu slots unskip night\n";
    assert_eq!(desk.apu("slots skip night"), (held.to_owned(), 0));
    let (listed, _) = desk.apu("slots");
    assert!(
        listed.starts_with("night: web upgrade, Thu 2040-01-05 22:00 UTC: held by "),
        "{listed}"
    );
    let (json, _) = desk.apu("slots --json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["slot"], &json["state"], &json["next"], &json["notice"]),
        (
            &"night".into(),
            &"held".into(),
            &"2040-01-05T22:00:00.000Z".into(),
            &86_400.into()
        )
    );
    let goes_on = "slot night goes on at Thu 2040-01-05 22:00 UTC\n";
    assert_eq!(desk.apu("slots unskip night"), (goes_on.to_owned(), 0));
    assert_eq!(desk.apu("slots"), (line.to_owned(), 0));
    assert_eq!(desk.mails(), 0);
}

#[test]
fn a_slot_that_cannot_be_is_answered_with_what_why_and_what_to_try() {
    let with = |from: &str, to: &str| Desk::new(&NIGHT.replace(from, to));
    for (from, to, words, expected) in [
        (
            "2040-01-05 22:00 UTC",
            "Thursdays",
            "slots",
            "error: \"Thursdays\" is no calendar expression\n  why: Failed to parse calendar specification 'Thursdays': Invalid argument\n",
        ),
        (
            "2040-01-05 22:00 UTC",
            "daily",
            "slots run",
            "error: slot night: its notice of 24 h is not shorter than the 24 h between two of its times\n",
        ),
        (
            "'web'",
            "'mail'",
            "slots",
            "error: there is no class or host `mail`\n",
        ),
        (
            "mail = ['ops@example.org']\n",
            "",
            "slots",
            "error: cannot read the settings in SITE/etc/apu-server/apu.toml\n  why: [slot.night]: nobody is told of it",
        ),
        (
            "mail",
            "hold = ['a b']\nmail",
            "slots run",
            "error: [slot.night] in SITE/etc/apu-server/apu.toml cannot be used\n  why: hold has \"a b\"\n",
        ),
        (
            "",
            "",
            "slots skip nihgt",
            "error: there is no slot \"nihgt\"\n  try: write `night` instead\n",
        ),
    ] {
        let (said, status) = with(from, to).apu(words);
        assert!(said.contains(expected), "{to}: {said}");
        assert_eq!(status, 2, "{said}");
    }
}

#[test]
fn an_occurrence_whose_time_passed_is_told_as_missed_once_and_not_done() {
    let desk = Desk::new(&NIGHT.replace("2040-01-05 22:00 UTC", "Thu 22:00 UTC"));
    desk.apu("slots run");
    desk.rewrite(|state| state["now"]["at"] = (now() - 2 * 3600).into());
    let (said, status) = desk.apu("slots run");
    assert_eq!(
        (said.as_str(), status),
        ("warning: slot night: missed: its time passed\n", 1)
    );
    let mail = desk.read("mail");
    for part in [
        "-t -oi -f root@apu.example.org\n",
        "To: ops@example.org\n",
        "Subject: [apu] night: missed: its time passed\n",
        "try: apt-all web upgrade\n",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    assert_eq!(desk.apu("slots run"), (String::new(), 0));
    assert_eq!(desk.mails(), 1);
    let (listed, _) = desk.apu("slots");
    assert!(listed.contains(": waiting, its plan is made Wed "), "{listed}");
    assert!(listed.ends_with(": missed: its time passed\n"), "{listed}");
    // The file has no run: no host was asked.
    assert!(!desk.path("var/lib/apu-server/apu.db").exists());
}

#[test]
fn a_plan_that_nobody_could_be_told_of_is_not_carried_out() {
    let desk = Desk::new(NIGHT);
    desk.mail_server("echo 'no space left' >&2; exit 75");
    desk.apu("slots run");
    let planned = |at: i64| {
        move |state: &mut serde_json::Value| {
            let occurrence = &mut state["now"];
            occurrence["at"] = at.into();
            occurrence["state"] = "planned".into();
            occurrence["plan"] = serde_json::json!({"number": 7, "sha256": "00"});
            occurrence["text"] = "web1: 1 change: 1 upgraded\n".into();
            occurrence["summary"] = "1 host, 1 upgraded".into();
        }
    };
    desk.rewrite(planned(now() + 23 * 3600));
    let (said, status) = desk.apu("slots run");
    let warning = "warning: slot night: no mail was sent: sendmail: exit status: 75: no space left\n";
    assert_eq!((said.as_str(), status), (warning, 1));
    let (listed, _) = desk.apu("slots");
    assert!(
        listed.contains(": planned as p7, which is not told yet\n"),
        "{listed}"
    );
    assert!(
        listed.contains("  warning: no mail was sent: sendmail: exit status: 75: no space left\n"),
        "{listed}"
    );

    // Half of the notice is over.
    desk.rewrite(|state| state["now"]["at"] = (now() + 11 * 3600).into());
    let (said, status) = desk.apu("slots run");
    assert!(
        said.contains("slot night: plan p7 was not carried out: nobody could be told of it in time\n"),
        "{said}"
    );
    assert_eq!(status, 1);

    // It is told again until then, and the mail says how to hold it.
    let desk = Desk::new(NIGHT);
    desk.apu("slots run");
    desk.rewrite(planned(now() + 23 * 3600));
    assert_eq!(desk.apu("slots run"), (String::new(), 0));
    assert_eq!(desk.apu("slots run"), (String::new(), 0));
    assert_eq!(desk.mails(), 1);
    let mail = desk.read("mail");
    assert!(mail.contains("to hold it: sudo apu slots skip night\n"), "{mail}");
    assert!(mail.ends_with("\n\nweb1: 1 change: 1 upgraded\n"), "{mail}");

    // Told, and yet not there any more, or another by its number: neither is carried out.
    for file in [None, Some("{}")] {
        desk.rewrite(|state| state["now"]["at"] = now().into());
        if let Some(text) = file {
            fs::create_dir_all(desk.path("var/lib/apu-server/plans")).unwrap();
            desk.write("var/lib/apu-server/plans/7", text);
        }
        let (said, status) = desk.apu("slots run");
        assert!(
            said.contains("plan p7 was not carried out: it is not kept any more\n"),
            "{said}"
        );
        assert_eq!(status, 1);
        desk.rewrite(|state| {
            state["now"] = state["last"].take();
            planned(now())(state);
            state["now"]["told"] = (now() - 86_400).into();
        });
    }
}

#[test]
fn a_slot_whose_words_changed_since_its_plan_was_told_is_withdrawn() {
    let desk = Desk::new(NIGHT);
    desk.apu("slots run");
    desk.rewrite(|state| {
        let occurrence = &mut state["now"];
        occurrence["at"] = (now() + 3600).into();
        occurrence["state"] = "planned".into();
        occurrence["plan"] = serde_json::json!({"number": 7, "sha256": "00"});
        occurrence["text"] = "".into();
        occurrence["summary"] = "".into();
        occurrence["told"] = (now() - 3600).into();
    });
    desk.write(
        "etc/apu-server/apu.toml",
        &NIGHT.replace("'upgrade'", "'dist-upgrade'"),
    );
    let (said, _) = desk.apu("slots run");
    assert!(
        said.contains("plan p7 was not carried out: apu.toml says something else by now"),
        "{said}"
    );
    assert_eq!(desk.mails(), 1);
}

#[test]
fn where_no_host_answers_no_plan_is_made_and_it_is_tried_again_later() {
    let desk = Desk::new(NIGHT);
    desk.apu("slots run");
    desk.rewrite(|state| state["now"]["at"] = (now() + 23 * 3600).into());
    let (said, status) = desk.apu("slots run");
    assert!(said.contains("web1: unreachable"), "{said}");
    assert!(
        said.contains("warning: slot night: no plan was made\n  why: no host could say what would change\n"),
        "{said}"
    );
    assert_eq!(status, 1);
    let (listed, _) = desk.apu("slots");
    assert!(
        listed.contains(": no plan as yet: no host could say what would change\n"),
        "{listed}"
    );
    // Not in the next five minutes.
    assert_eq!(desk.apu("slots run"), (String::new(), 0));
    assert_eq!(desk.mails(), 0);
}

/// What a web server was asked, and whether a list of processes told the secret meanwhile.
#[derive(Default)]
struct Seen {
    asked: Vec<(String, String)>,
    is_in_a_command_line: bool,
}

/// A web server that answers every post with this status, for as long as the test takes.
fn web_server(status: u16, secret: &'static str) -> (SocketAddr, Arc<Mutex<Seen>>) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let kept = Arc::clone(&seen);
    let (to, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            to.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                let answer = service_fn(move |request: Request<Incoming>| {
                    let kept = Arc::clone(&kept);
                    async move { answer(request, status, secret, &kept).await }
                });
                let served =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                // curl has gone away.
                let _ = served.await;
            }
        });
    });
    (address.recv().unwrap(), seen)
}

async fn answer(
    request: Request<Incoming>,
    status: u16,
    secret: &str,
    kept: &Mutex<Seen>,
) -> Result<Response<String>, Infallible> {
    let path = request.uri().to_string();
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) =
        std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await
    {
        if let Ok(data) = frame.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    let mut kept = kept.lock().unwrap();
    kept.asked.push((path, String::from_utf8(bytes).unwrap()));
    // curl waits for this answer: it is there to be looked at.
    kept.is_in_a_command_line |= command_lines().iter().any(|line| line.contains(secret));
    assert!(
        command_lines()
            .iter()
            .any(|line| line.starts_with("/usr/bin/curl"))
    );
    let answer = Response::builder().status(status);
    Ok(answer
        .header("Location", "http://127.0.0.1:1/")
        .body("x".repeat(1 << 20))
        .unwrap())
}

fn command_lines() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

fn missed(desk: &Desk) -> (String, i32) {
    desk.apu("slots run");
    desk.rewrite(|state| state["now"]["at"] = (now() - 2 * 3600).into());
    desk.apu("slots run")
}

#[test]
fn a_webhook_gets_the_facts_and_its_address_is_told_to_nobody_else() {
    const SECRET: &str = "s3cret-of-the-webhook";
    let (address, seen) = web_server(204, SECRET);
    let url = format!("http://{address}/services/{SECRET}?q=[1]");
    let hooked = NIGHT.replace(
        "mail = ['ops@example.org']",
        "webhook = '/etc/apu-server/webhook'",
    );
    let desk = Desk::new(&hooked);
    desk.write("etc/apu-server/webhook", &format!("{url}\n"));
    let (said, _) = missed(&desk);
    assert_eq!(said, "warning: slot night: missed: its time passed\n");
    {
        let seen = seen.lock().unwrap();
        let (path, body) = &seen.asked[0];
        assert_eq!(path, &format!("/services/{SECRET}?q=[1]"));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let expected = serde_json::json!({"how": "missed", "why": null});
        assert_eq!(
            (
                &body["notice"],
                &body["slot"],
                &body["end"],
                &body["well"],
                &body["server"]
            ),
            (
                &"ended".into(),
                &"night".into(),
                &expected,
                &false.into(),
                &"apu.example.org".into()
            )
        );
        assert!(body["text"].as_str().unwrap().contains("missed"), "{body}");
        assert!(!seen.is_in_a_command_line);
        assert_eq!(seen.asked.len(), 1);
    }
    // Nothing of it stays.
    assert_eq!(fs::read_dir(desk.path("run/apu-server")).unwrap().count(), 0);

    // An answer that is no yes is a warning, a redirect too: what is elsewhere was not meant.
    for status in [404, 302] {
        let (address, seen) = web_server(status, SECRET);
        let desk = Desk::new(&hooked);
        desk.write("etc/apu-server/webhook", &format!("http://{address}/{SECRET}"));
        let (said, code) = missed(&desk);
        let warning = format!("nothing was posted to http://{address}/…: it answered with status {status}\n");
        assert!(said.contains(&warning) && code == 1, "{said}");
        assert_eq!(seen.lock().unwrap().asked.len(), 1);
        let (listed, _) = desk.apu("slots");
        assert!(
            listed.contains("  warning: nothing was posted") && !listed.contains(SECRET),
            "{listed}"
        );
    }
    let desk = Desk::new(&hooked);
    desk.write("etc/apu-server/webhook", &format!("http://127.0.0.1:1/{SECRET}"));
    let (said, _) = missed(&desk);
    assert!(
        said.contains("nothing was posted to http://127.0.0.1:1/…: curl: (7)"),
        "{said}"
    );
    let state = desk.read("var/lib/apu-server/slots/night.json");
    assert!(!said.contains(SECRET) && !state.contains(SECRET), "{said}{state}");
}

#[test]
fn the_words_of_an_administrators_own_curlrc_have_no_say() {
    let (address, seen) = web_server(200, "s3cret");
    let desk = Desk::new(&NIGHT.replace(
        "mail = ['ops@example.org']",
        &format!("webhook = 'http://{address}/'"),
    ));
    let home: &Path = desk.0.path();
    fs::write(home.join(".curlrc"), "url = \"http://127.0.0.1:1/\"\n").unwrap();
    desk.apu("slots run");
    desk.rewrite(|state| state["now"]["at"] = (now() - 2 * 3600).into());
    let output = Command::new(env!("CARGO_BIN_EXE_apu"))
        .args(["slots", "run", "--root"])
        .arg(home)
        .env("HOME", home)
        .env("CURL_HOME", home)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "warning: slot night: missed: its time passed\n");
    assert_eq!(seen.lock().unwrap().asked.len(), 1);
}
