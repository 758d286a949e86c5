//! The example settings say what the defaults are; this keeps them true.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use apu_site::Settings;

fn example(name: &str) -> String {
    fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../examples")
            .join(name),
    )
    .unwrap()
}

/// A setting in a comment has no blank after the `#`; an explanation has one.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase()) => setting.to_owned() + "\n",
        _ => line.to_owned() + "\n",
    };
    text.lines().map(line).collect()
}

#[test]
fn the_example_as_it_stands_changes_nothing() {
    assert_eq!(
        Settings::parse(&example("apu.toml")).unwrap(),
        Settings::default()
    );
}

#[test]
fn what_the_example_calls_a_default_is_one() {
    let text = uncommented(&example("apu.toml"));
    let mut settings = Settings::parse(&text).unwrap();
    // Its default is made of the machine's name.
    assert_eq!(
        settings.client.url.take().unwrap().as_str(),
        "http://apu.example.org/local"
    );
    // Without one, ssh's own configuration says it.
    assert_eq!(settings.ssh.port.take().map(u16::from), Some(22));
    // Without one, there is no limit.
    assert_eq!(
        settings.run.max_failures.take().map(|most| most.to_string()),
        Some("10%".to_owned())
    );
    assert_eq!(settings, Settings::default());
}

#[test]
fn the_example_names_every_setting() {
    let text = uncommented(&example("apu.toml"));
    for key in [
        "user",
        "port",
        "key",
        "key_exchange",
        "connect_timeout",
        "keep_open",
        "most_kept",
        "handshakes",
        "parallel",
        "timeout",
        "lock_wait",
        "max_failures",
        "exclusive",
        "url",
        "proxy",
        "origin",
        "label",
        "suite",
        "valid_days",
        "path",
        "may_replace",
        "contents",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(&format!("{key} = "))),
            "{key} is not there"
        );
    }
}
