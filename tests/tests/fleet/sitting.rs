//! Somebody in front of a terminal of the server.

use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use apu_tests::Host;

/// apt-all at a terminal, and somebody in front of it.
pub(crate) struct Sitting {
    terminal: Child,
    pub(crate) shown: String,
    news: Receiver<Vec<u8>>,
}

impl Sitting {
    pub(crate) fn down(at: &Host, command: &str) -> Self {
        // script(1) is the terminal: it reads keys from its input and shows the screen on its output.
        let mut script = at.command("script");
        script
            .args(["-qec", command, "/dev/null"])
            .env("TERM", "xterm")
            .env("NO_COLOR", "1")
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
    pub(crate) fn sees(&mut self, text: &str) {
        while !self.shown.contains(text) {
            match self.news.recv_timeout(Duration::from_secs(60)) {
                Ok(bytes) => self.shown += &String::from_utf8_lossy(&bytes),
                Err(_) => panic!("never shown: {text:?}; but: {}", self.shown),
            }
        }
    }

    pub(crate) fn types(&mut self, keys: &str) {
        let keyboard = self.terminal.stdin.as_mut().expect("a keyboard");
        keyboard.write_all(keys.as_bytes()).expect("typed");
        self.shown.clear();
    }

    #[track_caller]
    pub(crate) fn leaves(mut self, code: i32) {
        let status = self.terminal.wait().expect("script ends");
        while let Ok(bytes) = self.news.recv_timeout(Duration::from_secs(5)) {
            self.shown += &String::from_utf8_lossy(&bytes);
        }
        assert_eq!(status.code(), Some(code), "{}", self.shown);
    }
}
