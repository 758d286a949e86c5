//! The question before packages change, on a terminal: what is shown, and that only what was shown is done.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use apu_tests::{Fleet, Host, Stage};

/// apt-all at a terminal, and somebody in front of it.
struct Sitting {
    terminal: Child,
    shown: String,
    news: Receiver<Vec<u8>>,
}

impl Sitting {
    fn down(at: &Host, command: &str) -> Self {
        // script(1) is the terminal: it reads keys from its input and shows the screen on its output.
        let mut script = at.command("script");
        script
            .args(["-qec", command, "/dev/null"])
            .env("TERM", "xterm")
            .env("LANG", "C.UTF-8");
        let mut terminal = script
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script runs");
        let mut screen = terminal.stdout.take().expect("a screen");
        let (to, news) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                let _ = to.send(bytes[..length].to_vec());
            }
        });
        let shown = String::new();
        Self {
            terminal,
            shown,
            news,
        }
    }

    #[track_caller]
    fn sees(&mut self, text: &str) {
        while !self.shown.contains(text) {
            match self.news.recv_timeout(Duration::from_secs(60)) {
                Ok(bytes) => self.shown += &String::from_utf8_lossy(&bytes),
                Err(_) => panic!("never shown: {text:?}; but: {}", self.shown),
            }
        }
    }

    fn types(&mut self, keys: &str) {
        let keyboard = self.terminal.stdin.as_mut().expect("a keyboard");
        keyboard.write_all(keys.as_bytes()).expect("typed");
        self.shown.clear();
    }

    #[track_caller]
    fn leaves(mut self, code: i32) {
        let status = self.terminal.wait().expect("script ends");
        while let Ok(bytes) = self.news.recv_timeout(Duration::from_secs(5)) {
            self.shown += &String::from_utf8_lossy(&bytes);
        }
        assert_eq!(status.code(), Some(code), "{}", self.shown);
    }
}

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
