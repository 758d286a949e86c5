//! What the programs say, word for word: `--help` of every command, every manual page that is made, and what people read of
//! every reason, advice and note.
//!
//! The texts are in `snapshots/`, a file each. CONTRIBUTING.md tells how a new one is accepted.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use apu_fleet::HostReason;
use apu_proto::{Advice, Cause, Note, Reason};
use apu_server::view::advice::advice_text;
use apu_server::view::note::note_text;
use apu_server::view::reason::reason_lines;
use apu_server::view::server_reason::{server_advice_text, server_reason_lines};

const PROGRAMS: [(&str, &str); 2] = [
    ("apt-all", env!("CARGO_BIN_EXE_apt-all")),
    ("apu", env!("CARGO_BIN_EXE_apu")),
];

fn snapshots(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots")
        .join(kind)
}

/// Compares each text with the file of its name, and knows a file whose text is gone.
#[track_caller]
fn compare(kind: &str, texts: Vec<(String, String)>) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(snapshots(kind));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let names: BTreeSet<String> = texts.iter().map(|(name, _)| format!("{name}.snap")).collect();
    settings.bind(|| {
        for (name, text) in texts {
            insta::assert_snapshot!(name, text.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
        }
    });
    let files = fs::read_dir(snapshots(kind)).unwrap().map(Result::unwrap);
    let files: BTreeSet<String> = files
        .map(|file| file.file_name().into_string().unwrap())
        .collect();
    assert_eq!(
        files,
        names,
        "a file in {} is of no text, or is pending",
        snapshots(kind).display()
    );
}

/// The help of a command and of all below it, by name.
fn help(program: &str, words: &[String], texts: &mut Vec<(String, String)>) {
    let output = Command::new(program)
        .args(words)
        .arg("--help")
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && !text.is_empty(), "{program} {words:?}");
    let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    let below: Vec<&str> = listed
        .take_while(|line| !line.is_empty())
        // A description that needs a second line is indented further.
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    for name in below {
        help(program, &[words, &[name.to_owned()]].concat(), texts);
    }
    let name = Path::new(program).file_name().unwrap().to_str().unwrap();
    texts.push(([&[name.to_owned()], words].concat().join("-"), text));
}

#[test]
fn the_help_of_every_command_is_as_it_was_read() {
    let mut texts = Vec::new();
    for (_, program) in PROGRAMS {
        help(program, &[], &mut texts);
    }
    assert!(
        texts.iter().any(|(name, _)| name == "apu-key-rotate"),
        "{texts:?}"
    );
    compare("help", texts);
}

#[test]
fn every_manual_page_is_as_it_was_read() {
    let made = tempfile::tempdir().unwrap();
    let (_, apu) = PROGRAMS[1];
    let status = Command::new(apu).arg("man").arg(made.path()).status().unwrap();
    assert!(status.success());
    let pages = fs::read_dir(made.path())
        .unwrap()
        .map(|page| page.unwrap().path());
    let texts = pages.map(|page| {
        let name = page.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(page).unwrap())
    });
    compare("man", texts.collect());
}

/// What people read of each reason, advice and note, as the facts come from a client or are found out here.
#[test]
fn reasons_advice_and_notes() {
    let client = |line: &str| {
        let reason: Reason = serde_json::from_str(line).unwrap();
        assert_ne!(reason.cause, Cause::Unknown, "{line}");
        assert_ne!(reason.advice, Some(Advice::Unknown), "{line}");
        let mut text = reason_lines(&reason).join("\n  ");
        if let Some(advice) = &reason.advice {
            text += &format!("\n  suggests: {}", advice_text(advice, "HOST"));
        }
        text
    };
    let server = |line: &str| {
        let HostReason::Server(reason) = serde_json::from_str(line).unwrap() else {
            panic!("not the server's: {line}");
        };
        let mut text = server_reason_lines(&reason).join("\n  ");
        if let Some(advice) = &reason.advice {
            text += &format!("\n  try: {}", server_advice_text(advice, "HOST"));
        }
        text
    };
    let note = |line: &str| {
        let note: Note = serde_json::from_str(line).unwrap();
        assert_ne!(note, Note::Unknown, "{line}");
        note_text(&note)
    };
    let shown = |facts: &str, text: &dyn Fn(&str) -> String| {
        let lines = facts.lines().map(|line| format!("{line}\n  {}\n", text(line)));
        lines.collect::<Vec<_>>().join("\n")
    };
    compare(
        "reasons",
        vec![
            (
                "client".to_owned(),
                shown(include_str!("facts/client-reasons.jsonl"), &client),
            ),
            (
                "server".to_owned(),
                shown(include_str!("facts/server-reasons.jsonl"), &server),
            ),
            (
                "notes".to_owned(),
                shown(include_str!("facts/notes.jsonl"), &note),
            ),
        ],
    );
}
