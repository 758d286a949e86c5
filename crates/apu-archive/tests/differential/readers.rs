//! dpkg and apt as they are on this machine, with nothing of the machine's own.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use apu_archive::Deb;
use nix::unistd::geteuid;

use super::cases::Case;

/// So many packages are unpacked into one root.
const BATCH: usize = 40;

/// How long dpkg may take for a batch, in seconds; it takes less than two.
const LONGEST: &str = "30";

/// What dpkg said of each .deb that it did not unpack, by the file's name.
pub(crate) fn dpkg(dir: &Path, cases: &[Case]) -> HashMap<String, String> {
    let mut refused = HashMap::new();
    for batch in cases.chunks(BATCH) {
        let files: Vec<String> = batch.iter().map(Case::file).collect();
        match unpack(dir, &files) {
            Ok(some) => refused.extend(some),
            // What stops dpkg altogether hides what came after it.
            Err(_) => {
                for file in files {
                    match unpack(dir, std::slice::from_ref(&file)) {
                        Ok(some) => refused.extend(some),
                        Err(text) => {
                            refused.insert(file, text);
                        }
                    }
                }
            }
        }
    }
    refused
}

fn unpack(dir: &Path, files: &[String]) -> Result<HashMap<String, String>, String> {
    let root = tempfile::tempdir().unwrap();
    let admin = root.path().join("var/lib/dpkg");
    for folder in ["info", "updates", "triggers", "parts"] {
        fs::create_dir_all(admin.join(folder)).unwrap();
    }
    for file in ["status", "available"] {
        fs::write(admin.join(file), "").unwrap();
    }
    // dpkg-deb of Debian 12 never ends on some members of zstd that were cut.
    let output = Command::new("timeout")
        .args(["--kill-after=5", LONGEST, "dpkg"])
        .arg(format!("--root={}", root.path().display()))
        .args([
            "--abort-after=100000",
            "--no-triggers",
            "--log=/dev/null",
            "--force-unsafe-io",
        ])
        .args([
            "--force-depends",
            "--force-conflicts",
            "--force-breaks",
            "--force-architecture",
        ])
        .args([
            "--force-depends-version",
            "--force-overwrite",
            "--force-script-chrootless",
        ])
        // An ordinary user may not give files away; that says nothing of a package.
        .args((!geteuid().is_root()).then_some("--force-not-root"))
        .arg("--unpack")
        .args(files.iter().map(|file| dir.join(file)))
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut refused = HashMap::new();
    let mut last = None;
    for line in text.lines() {
        let file = line
            .strip_prefix("dpkg: error processing archive ")
            .and_then(|rest| rest.split(" (--unpack)").next())
            .and_then(|path| path.rsplit('/').next());
        match (file, &last) {
            (Some(file), _) => {
                refused.insert(file.to_owned(), String::new());
                last = Some(file.to_owned());
            }
            (None, Some(file)) if line.starts_with(' ') => {
                let text: &mut String = refused.entry(file.clone()).or_default();
                text.push_str(line);
            }
            _ => {}
        }
    }
    // After the time it is 124, and what comes behind was never tried.
    if !matches!(output.status.code(), Some(0 | 1))
        || output.status.success() != refused.is_empty()
        || text.contains("unrecoverable")
        || text.contains("dpkg: error: ")
    {
        return Err(text);
    }
    Ok(refused)
}

/// Whether dpkg refused a package only because an ordinary user may not make devices.
pub(crate) fn takes_root(why: &str) -> bool {
    !geteuid().is_root() && why.contains("error creating device") && why.contains("Operation not permitted")
}

/// As an index of ours has it.
pub(crate) fn paragraph(deb: &Deb) -> String {
    let mut text: String = deb
        .control
        .fields()
        .map(|(name, value)| {
            let colon = if value.is_empty() || value.starts_with('\n') {
                ":"
            } else {
                ": "
            };
            format!("{name}{colon}{value}\n")
        })
        .collect();
    text.push_str("Filename: x.deb\nSize: 1\n\n");
    text
}

/// As other programs would have it.
pub(crate) fn paragraph_by_dpkg(path: &Path) -> String {
    let output = Command::new("dpkg-deb")
        .arg("--field")
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned() + "\nFilename: x.deb\nSize: 1\n\n"
}

/// What apt says of an index of these; nothing if it takes it.
pub(crate) fn apt(paragraphs: &[String]) -> Option<String> {
    let root = tempfile::tempdir().unwrap();
    for folder in [
        "etc/apt/apt.conf.d",
        "etc/apt/sources.list.d",
        "etc/apt/preferences.d",
        "var/lib/dpkg",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
    ] {
        fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    let status = root.path().join("var/lib/dpkg/status");
    fs::write(&status, "").unwrap();
    let packages = root.path().join("Packages");
    fs::write(&packages, paragraphs.concat()).unwrap();
    let conf = root.path().join("apt.conf");
    let dir = root.path().display();
    fs::write(
        &conf,
        format!("Dir \"{dir}\";\nDir::State::status \"{dir}/var/lib/dpkg/status\";\nAPT::Architectures {{ \"amd64\"; \"arm64\"; \"i386\"; }};\n"),
    )
    .unwrap();
    let output = Command::new("apt-cache")
        .arg(format!("--with-source={}", packages.display()))
        .args(["-q=2", "gencaches"])
        .env("APT_CONFIG", &conf)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}
