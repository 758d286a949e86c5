//! Asks a host for its key, over one connection that ends before a login.

use std::path::Path;

use tokio::time::timeout;

use super::spawn::{Ear, command};
use super::{SshOptions, args, diagnose, private, write_config};
use crate::host::Host;
use crate::known_hosts::HostKey;
use crate::name::Jump;
use crate::reason::{ServerAction, ServerCause, ServerReason};

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
) -> Result<HostKey, ServerReason> {
    let here = |error| ServerReason::fault(ServerAction::ConfigureSsh, None, &error);
    let config = private(&options.run_directory)
        .and_then(|()| write_config(&options.run_directory, options.connect_timeout))
        .map_err(here)?;
    let mut words = args::connection(options, &config, host, scratch, "accept-new", None);
    words.push("-o".into());
    words.push("ControlPath=none".into());
    words.push("-o".into());
    words.push("PubkeyAuthentication=no".into());
    let kinds: Vec<&str> = pinned.iter().flat_map(signatures).collect();
    if !kinds.is_empty() {
        words.push("-o".into());
        words.push(format!("HostKeyAlgorithms=^{}", kinds.join(",")).into());
    }
    words.push("-N".into());
    args::destination(&mut words, options, host);

    let mut child = command(&options.program).args(words).spawn().map_err(|error| {
        let program = Some(options.program.display().to_string());
        ServerReason::fault(ServerAction::Start, program, &error)
    })?;
    let mut ear = Ear::at(child.stderr.take(), None);
    let ended = async {
        while ear.is_open() {
            ear.hear().await;
        }
        let _ = child.wait().await;
    };
    if timeout(options.connect_timeout * 2, ended).await.is_err() {
        return Err(ServerCause::NoAnswerInTime.into());
    }
    let words = ear.all().await;
    let written = std::fs::read_to_string(scratch).unwrap_or_default();
    let key = written
        .lines()
        .find_map(|line| HostKey::parse(line.split_once(' ')?.1).ok());
    key.ok_or_else(|| diagnose(host.jump.as_ref().map(Jump::as_str), &words))
}

/// The signature algorithms by which a key of this kind is shown.
fn signatures(key: &HostKey) -> Vec<&'static str> {
    match key.algorithm() {
        "ssh-rsa" => vec!["rsa-sha2-512", "rsa-sha2-256"],
        other => vec![other],
    }
}
