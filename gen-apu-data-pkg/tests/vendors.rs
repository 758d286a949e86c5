//! Sources as their makers document them: each is taken and means what apt reads in it, or is refused with what to write.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const VENDORS: &str = include_str!("data/vendors.tsv");

/// The targets that apt reads in a text: address, suite, component, architecture, kind.
fn targets(text: &str, style: &str) -> Result<BTreeSet<String>, String> {
    let place = tempfile::tempdir().unwrap();
    let parts = place.path().join("parts");
    fs::create_dir_all(place.path().join("lists/partial")).unwrap();
    fs::create_dir(&parts).unwrap();
    fs::write(parts.join(format!("x.{style}")), text).unwrap();
    let option = |name: &str, path: &Path| format!("{name}={}", path.display());
    let output = Command::new("apt-get")
        .env("LC_ALL", "C")
        .args(["indextargets", "--no-release-info", "-o"])
        .arg(option("Dir::Etc::SourceParts", &parts))
        .args(["-o", "Dir::Etc::SourceList=/dev/null", "-o"])
        .arg(option("Dir::State::lists", &place.path().join("lists")))
        .args([
            "--format",
            "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ARCHITECTURE) $(CREATED_BY)",
        ])
        .output()
        .expect("apt-get");
    if output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().map(str::to_owned).collect())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn a_vendors_source_is_right_or_refused_with_what_to_write() {
    let lines: Vec<&str> = VENDORS.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() >= 60, "{}", lines.len());
    let mut taken = 0;
    for line in lines {
        let [name, text, verdict] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let text = format!("{}\n", text.replace("\\n", "\n"));
        match (gen_apu_data_pkg::rendered(&text), verdict) {
            (Ok(ours), "ok") => {
                let style = if text.contains("Types:") {
                    "sources"
                } else {
                    "list"
                };
                let apts = targets(&text, style).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(!apts.is_empty(), "{name}");
                assert_eq!(targets(&ours, "sources"), Ok(apts), "{name}: {ours}");
                let keys = ours.lines().filter(|line| line.starts_with("Signed-By:")).count();
                assert_eq!(keys, ours.matches("Types:").count(), "{name}: {ours}");
                taken += 1;
            }
            (Err(reason), part) if part != "ok" => assert!(reason.contains(part), "{name}: {reason}"),
            (found, _) => panic!("{name}: {found:?} and not {verdict:?}"),
        }
    }
    assert!(taken >= 40, "{taken}");
}
