//! What the manual says of the JSON, and what is completed.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use apu_proto::{Operation, Plan};
use apu_server::stored_plans::{self, StoredPlan};
use apu_site::Site;
use serde_json::Value;

use crate::recorded::{APU, broken_off_run, json, site, two_runs};

#[test]
fn runs_hosts_and_plans_are_completed() {
    let site = site();
    two_runs(site.path());
    stored_plans::keep(&Site::below(site.path()), &plan()).unwrap();
    for (words, found) in [
        ("show 1", "1\t2023-11-14 22:14 web,db1: upgrade --yes\n"),
        ("diff 1 2", "2\t2023-11-14 22:15 web,db1: upgrade --yes\n"),
        ("log 1 web1", "web1\thost\n"),
        ("apply p", "p1\tplan\n"),
    ] {
        let words = format!("complete -- apu {words}");
        let site = site.path().to_str().unwrap();
        let mut command = Command::new(APU);
        command
            .arg("--root")
            .arg(site)
            .args(words.split(' '))
            .env("TZ", "UTC");
        let output = command.output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), found, "{words}");
    }
}

fn plan() -> StoredPlan {
    StoredPlan {
        at: 1_700_000_000.0,
        by: "alice".into(),
        target: "web".into(),
        operation: Operation::Upgrade,
        packages: Vec::new(),
        allow_remove: false,
        security: false,
        sources: Vec::new(),
        only_upgrade: false,
        hold: Vec::new(),
        conffile_rules: Vec::new(),
        options: Vec::new(),
        hosts: vec![("web1".parse().unwrap(), Plan::default())],
        waves: vec![1],
        soak: 60,
        pause_limit: None,
        freeze: Vec::new(),
        check: None,
    }
}

/// The names of all fields in a value.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        // The keys of outcomes are outcomes; the others are in apu-events(7).
        Value::Object(object) => {
            for (name, value) in object {
                found.insert(name.clone());
                if !["outcomes", "reason", "plans"].contains(&name.as_str()) {
                    fields(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

#[test]
fn every_field_of_the_json_is_in_the_manual() {
    let site = site();
    two_runs(site.path());
    broken_off_run(site.path());
    stored_plans::keep(&Site::below(site.path()), &plan()).unwrap();
    let made = tempfile::tempdir().unwrap();
    let status = Command::new(APU).arg("man").arg(made.path()).status().unwrap();
    assert!(status.success());
    let page = |name: &str| fs::read_to_string(made.path().join(format!("apu-{name}.8"))).unwrap();
    for (words, pages) in [
        ("runs", &["runs"][..]),
        ("show 1", &["show", "runs"]),
        ("show 3", &["show", "runs"]),
        ("log 1", &["log"]),
        ("history db1", &["history", "runs", "show"]),
        ("diff 1 3", &["diff", "show"]),
        ("locks", &["locks"]),
        ("plans", &["plans"]),
        ("show p1", &["show", "plans"]),
    ] {
        let mut found = BTreeSet::new();
        let lines = json(site.path(), words);
        assert!(!lines.is_empty(), "{words}");
        lines.iter().for_each(|line| fields(line, &mut found));
        let text: String = pages.iter().map(|name| page(name)).collect();
        let (_, text) = text.split_once(".SH JSON").unwrap();
        for name in found {
            let is_named = text
                .lines()
                .filter(|line| line.starts_with(".B"))
                .any(|line| line.split([' ', '"', ',']).any(|word| word == name));
            assert!(is_named, "{words}: {name}");
        }
    }
}
