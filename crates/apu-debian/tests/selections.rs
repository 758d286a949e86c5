//! Compares the reader of answers with debconf's own on generated texts: debconf-set-selections(1) has to be installed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use apu_debian::debconf::{SelectionFault, SelectionsError, selections};

const PROGRAM: &str = "/usr/bin/debconf-set-selections";

/// What debconf does with a text.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    /// Whether it refuses or passes over any line.
    complains: bool,
    /// The answers that it reads, as `QUESTION [TYPE] VALUE`.
    answers: Vec<String>,
}

/// Asks debconf, with a database of its own.
fn ask(directory: &Path, text: &[u8]) -> Said {
    let database = format!("File{{{}}}", directory.join("db").display());
    let mut child = Command::new(PROGRAM)
        .args(["--verbose", "--checkonly"])
        .env("DEBCONF_DB_OVERRIDE", database)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("debconf is installed");
    child.stdin.take().unwrap().write_all(text).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // A value may hold what looks like a line of its own, but for a line end.
    let answers = said.split('\n').filter_map(|line| {
        let (question, rest) = line.strip_prefix("info: Trying to set '")?.split_once("' [")?;
        let (kind, value) = rest.strip_suffix('\'')?.split_once("] to '")?;
        Some(format!("{question} [{kind}] {value}"))
    });
    Said {
        complains: !output.status.success()
            || said.contains("parse error on line")
            || said.contains("warning: Unknown type"),
        answers: answers.collect(),
    }
}

/// Numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

fn line(numbers: &mut Numbers) -> String {
    let gaps = [" ", "  ", "\t", " \t "];
    let starts = ["", "", "", " ", "\t", "#", " # "];
    let owners = ["postfix", "postfix", "lib1", "lib1", "d-i", "d-i", "g++", "A", ""];
    let names = [
        "postfix/mailname",
        "a/b/c",
        "x/y",
        "p.q/r_s",
        "t/u",
        "plain",
        "\u{e4}/b",
    ];
    let kinds = [
        "string",
        "string",
        "string",
        "boolean",
        "select",
        "multiselect",
        "password",
        "password",
        "note",
        "seen",
        "",
    ];
    let values = [
        "",
        "true",
        "false",
        "mail.example.org",
        " two  words ",
        "a, b",
        "\\",
        "x\\",
        "#x",
        "it's",
        "\u{e4}\u{a0}",
    ];
    let ends = ["\n", "\n", "\n", "\r\n", "\\\n", "\\\r\n", "", "\n\n"];
    format!(
        "{}{}{}{}{}{}{}{}{}",
        numbers.one_of(&starts),
        numbers.one_of(&owners),
        numbers.one_of(&gaps),
        numbers.one_of(&names),
        numbers.one_of(&gaps),
        numbers.one_of(&kinds),
        numbers.one_of(&[" ", " ", "  ", "\t", ""]),
        numbers.one_of(&values),
        numbers.one_of(&ends)
    )
}

#[test]
fn what_is_accepted_is_what_debconf_reads_and_what_debconf_refuses_is_refused() {
    assert!(
        Path::new(PROGRAM).exists(),
        "{PROGRAM} is not there: apt-get install debconf"
    );
    // Nothing is written there: debconf only checks.
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut numbers = Numbers(412);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..60 {
        let text: String = (0..=numbers.below(4)).map(|_| line(&mut numbers)).collect();
        let said = ask(directory, text.as_bytes());
        match selections(text.as_bytes()) {
            Ok(read) => {
                let read: Vec<String> = (read.iter())
                    .map(|answer| format!("{} [{}] {}", answer.question, answer.kind, answer.value.expose()))
                    .collect();
                assert!(!said.complains, "{text:?}: {said:?}");
                assert_eq!(read, said.answers, "{text:?}");
                accepted += usize::from(!read.is_empty());
            }
            Err(error) => {
                refused += 1;
                let SelectionsError::Line { fault, .. } = &error else {
                    panic!("{text:?}: {error}");
                };
                // debconf takes these, and what comes of them is not what the line looks like.
                let is_stricter = matches!(
                    fault,
                    SelectionFault::Owner
                        | SelectionFault::Question
                        | SelectionFault::Kind
                        | SelectionFault::Seen
                        | SelectionFault::Boolean(_)
                        | SelectionFault::Backslash(_)
                        | SelectionFault::Control
                        | SelectionFault::Twice { .. }
                );
                assert!(said.complains || is_stricter, "{text:?}: {error}: {said:?}");
            }
        }
    }
    assert!(
        accepted > 5 && refused > 20,
        "{accepted} accepted, {refused} refused"
    );
}
