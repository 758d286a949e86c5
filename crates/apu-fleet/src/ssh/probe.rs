//! Asks a host for its key, over one connection that ends before a login.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tokio::time::timeout;

use super::{SshOptions, args, blame};
use crate::host::Host;
use crate::known_hosts::HostKey;
use crate::outcome::{Obstacle, Why};

/// The key that the host shows now, of a kind that is already pinned if it has one.
///
/// `scratch` is a file in a private directory that does not exist yet; ssh writes the key into it.
///
/// # Errors
/// Where the host cannot be reached, or shows no key that we know how to read.
pub async fn offered_key(
    options: &SshOptions,
    host: &Host,
    pinned: &[HostKey],
    scratch: &Path,
) -> Result<HostKey, Why> {
    let mut words = args::connection(options, host, scratch, "accept-new");
    words.push("-o".into());
    words.push("PubkeyAuthentication=no".into());
    let kinds: Vec<&str> = pinned.iter().flat_map(signatures).collect();
    if !kinds.is_empty() {
        words.push("-o".into());
        words.push(format!("HostKeyAlgorithms=^{}", kinds.join(",")).into());
    }
    words.push("-N".into());
    args::destination(&mut words, options, host);

    let mut command = Command::new(&options.program);
    command
        .args(words)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let output = match timeout(options.connect_timeout * 2, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            let text = format!("cannot start {}: {error}", options.program.display());
            return Err(Why::here(Obstacle::Here, text, ""));
        }
        Err(_) => return Err(Why::here(Obstacle::NoAnswer, "no answer in time", "")),
    };
    let words = String::from_utf8_lossy(&output.stderr);
    let written = std::fs::read_to_string(scratch).unwrap_or_default();
    let key = written
        .lines()
        .find_map(|line| HostKey::parse(line.split_once(' ')?.1).ok());
    key.ok_or_else(|| blame(host, &words))
}

/// The signature algorithms by which a key of this kind is shown.
fn signatures(key: &HostKey) -> Vec<&'static str> {
    match key.algorithm() {
        "ssh-rsa" => vec!["rsa-sha2-512", "rsa-sha2-256"],
        other => vec![other],
    }
}
