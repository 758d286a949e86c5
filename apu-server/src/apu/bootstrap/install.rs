//! Brings the packages to one host and has apt install them there.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use apu_fleet::ssh::{Excerpt, diagnose, write_config};
use apu_fleet::{Host, HostKey, HostName, Jump, KnownHosts, ServerCode, ServerReason};
use apu_site::{Ui, say};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::access::Access;
use super::debs::Debs;
use crate::view::clean::clean;
use crate::view::server_reason::{server_advice_text, server_reason_lines};

/// How long an installation may take.
const LIMIT: Duration = Duration::from_secs(1800);

/// The exit status by which the script says that it may not become root.
const NO_ROOT: i32 = 91;

/// Runs in `sh -c '…'`, so it has no single quotes. The packages' lengths come as the first line of its input, and
/// the packages right behind; apt sees none of it.
const SCRIPT: &str = include_str!("install.sh");

/// Asks apu-client on the host, as root of it, what keeps the push out.
const EXPLAIN: &str = include_str!("explain.sh");

/// What went wrong, and what to try.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) text: String,
    pub(super) advice: String,
}

impl Trouble {
    fn new(text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            advice: advice.into(),
        }
    }
}

impl Trouble {
    fn of_reason(reason: &ServerReason, host: &HostName) -> Self {
        let advice = reason.advice.as_ref();
        Self::new(
            server_reason_lines(reason).join("\n"),
            advice.map_or_else(String::new, |advice| server_advice_text(advice, host.as_str())),
        )
    }
}

/// Installs, and returns the host's key as the administrator's ssh has verified it.
pub(super) async fn install(
    ui: &Ui,
    access: &Access,
    host: &Host,
    debs: &Debs,
    verbose: bool,
) -> Result<HostKey, Trouble> {
    let (scratch, config) = scratch(access)?;
    let keys = scratch.path().join("keys");
    match timeout(LIMIT, talk(ui, access, host, debs, &config, &keys, verbose)).await {
        Ok(done) => done?,
        Err(_) => return Err(Trouble::new(format!("not done within {} s", LIMIT.as_secs()), "")),
    }
    let shown = fs::read_to_string(&keys).unwrap_or_default();
    let verified = shown.lines().rev().find_map(|line| HostKey::parse(line).ok());
    verified.ok_or_else(|| {
        Trouble::new(
            "installed, but ssh did not tell which key it has verified",
            format!("apu host-key {}", host.name),
        )
    })
}

/// A directory for the administrator's ssh, and the configuration in it.
fn scratch(access: &Access) -> Result<(TempDir, PathBuf), Trouble> {
    let scratch =
        tempfile::tempdir().map_err(|error| Trouble::new(format!("cannot make a directory: {error}"), ""))?;
    if let Some(person) = &access.person {
        let (uid, gid) = person.owner();
        let owned = std::os::unix::fs::chown(scratch.path(), Some(uid), Some(gid));
        owned.map_err(|error| Trouble::new(format!("cannot give a directory away: {error}"), ""))?;
    }
    let _ = fs::set_permissions(scratch.path(), Permissions::from_mode(0o700));
    let config = write_config(scratch.path(), access.connect_timeout)
        .map_err(|error| Trouble::new(format!("cannot configure ssh: {error}"), ""))?;
    Ok((scratch, config))
}

/// What keeps the push key out of a host where everything is installed, in that host's words; empty where it finds nothing.
pub(super) async fn explain(access: &Access, host: &Host) -> String {
    const LONGEST: u64 = 4096;
    let Ok((scratch, config)) = scratch(access) else {
        return String::new();
    };
    let keys = scratch.path().join("keys");
    let asked = async {
        let mut child = access.command(host, &config, &keys, EXPLAIN).spawn().ok()?;
        drop(child.stdin.take());
        let mut said = Vec::new();
        let stdout = child.stdout.take()?;
        stdout.take(LONGEST).read_to_end(&mut said).await.ok()?;
        Some(String::from_utf8_lossy(&said).into_owned())
    };
    let said = timeout(access.connect_timeout * 3, asked).await;
    let said = said.ok().flatten().unwrap_or_default();
    let lines: Vec<&str> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("; ")
}

async fn talk(
    ui: &Ui,
    access: &Access,
    host: &Host,
    debs: &Debs,
    config: &Path,
    keys: &Path,
    verbose: bool,
) -> Result<(), Trouble> {
    let mut child = access
        .command(host, config, keys, SCRIPT)
        .spawn()
        .map_err(|error| Trouble::new(format!("cannot start /usr/bin/ssh: {error}"), ""))?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Trouble::new("ssh has no pipes", ""));
    };
    let complaints = tokio::spawn(async move { Excerpt::of(stderr).await.text() });
    let said = deliver(ui, stdin, stdout, host, debs, verbose).await;
    let status = child
        .wait()
        .await
        .map_err(|error| Trouble::new(format!("ssh: {error}"), ""))?;
    let complaints = complaints.await.unwrap_or_default();
    let said = said?;
    match status.code() {
        Some(0) if said.installed => Ok(()),
        Some(255) if !said.began => {
            let reason = diagnose(host.jump.as_ref().map(Jump::as_str), &complaints);
            let name = &host.name;
            let trouble = if reason.code == ServerCode::KeyRefused {
                Trouble::new(
                    format!("your ssh cannot log in\n{}", complaints.trim()),
                    format!("sudo --preserve-env=SSH_AUTH_SOCK apu bootstrap --user USER {name}"),
                )
            } else if reason.code == ServerCode::UnknownHostKey {
                let advice =
                    format!("ssh to {name} once as yourself, or: apu bootstrap --accept-new-host-key {name}");
                Trouble {
                    advice,
                    ..Trouble::of_reason(&reason, name)
                }
            } else {
                Trouble::of_reason(&reason, name)
            };
            Err(trouble)
        }
        Some(NO_ROOT) => Err(Trouble::new(
            format!("you may not become root there\n{}", complaints.trim()),
            format!(
                "apu bootstrap --user root {}, or allow sudo without a password there",
                host.name
            ),
        )),
        _ => {
            let last: Vec<&str> = said
                .lines
                .iter()
                .map(String::as_str)
                .chain(complaints.lines())
                .collect();
            let last = last[last.len().saturating_sub(12)..].join("\n");
            Err(Trouble::new(format!("the installation failed\n{last}"), ""))
        }
    }
}

/// What the script said.
#[derive(Default)]
struct Said {
    began: bool,
    installed: bool,
    lines: Vec<String>,
}

async fn deliver(
    ui: &Ui,
    mut stdin: ChildStdin,
    stdout: ChildStdout,
    host: &Host,
    debs: &Debs,
    verbose: bool,
) -> Result<Said, Trouble> {
    let mut said = Said::default();
    let mut stdin = Some(&mut stdin);
    // A host that prints without end is cut off.
    let mut lines = BufReader::new(stdout.take(16 * 1024 * 1024)).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line).into_owned();
        if let Some(architecture) = line.strip_prefix("apu-architecture ") {
            said.began = true;
            let Some(stdin) = stdin.take() else { continue };
            let client = debs.client(architecture.trim()).map_err(|failure| {
                Trouble::new(clean(&failure.to_string()), failure.advice().unwrap_or_default())
            })?;
            let lengths = format!("{} {}\n", client.len(), debs.data().len());
            for part in [lengths.as_bytes(), &client, debs.data()] {
                // A script that has ended already says why.
                if stdin.write_all(part).await.is_err() {
                    break;
                }
            }
        } else if line == "apu-installed" {
            said.installed = true;
        } else {
            if verbose {
                say!(ui, "{}| {}", host.name, clean(&line));
            }
            said.lines.push(line);
        }
    }
    Ok(said)
}

/// Pins the key, unless another one is pinned: then somebody has to look.
pub(super) fn pin(
    known: &KnownHosts,
    host: &HostName,
    port: Option<u16>,
    key: &HostKey,
) -> Result<(), Trouble> {
    let failed = |error| Trouble::new(format!("cannot pin its key: {error}"), "");
    let pinned = known.of(host, port).map_err(failed)?.keys;
    if !pinned.is_empty() && !pinned.contains(key) {
        let text = "ANOTHER KEY IS PINNED for it than your ssh has verified; the pinned one stays";
        return Err(Trouble::new(
            text,
            format!("find out why, and then: apu host-key {host} --replace"),
        ));
    }
    if pinned.is_empty() {
        known.pin(host, port, std::slice::from_ref(key)).map_err(failed)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_to_a_host_fits_between_single_quotes() {
        for script in [SCRIPT, EXPLAIN] {
            assert!(!script.is_empty() && !script.contains('\''), "{script}");
        }
    }
}
