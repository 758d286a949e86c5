//! `apu host-key`: shows a host's key, and pins it after a yes.

use std::io::{self, BufRead, Read};

use apu_fleet::ssh::offered_key;
use apu_fleet::{Host, HostKey, KnownHosts, Pinned};
use apu_site::{Failure, Ui, say};

use super::remote::{named, wait};
use crate::context::Context;
use crate::failure;
use crate::view::clean::clean;

/// Show the key of a host, and pin it after a yes.
///
/// Compare the fingerprint with what the host itself says at its console:
/// ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The hosts.
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,

    /// Pin the key without asking if it has this fingerprint, as in SHA256:….
    #[arg(long)]
    fingerprint: Option<String>,

    /// Pin another key than the one that is pinned.
    #[arg(long)]
    replace: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let inventory = context.inventory()?;
    let hosts = named(&inventory, &args.hosts).map_err(|error| failure::target(&context.site, error))?;
    if args.fingerprint.is_some() && hosts.len() > 1 {
        return Err(Failure::words("one fingerprint cannot be that of several hosts")
            .advise("apu host-key HOST --fingerprint SHA256:…, once for each host"));
    }
    let known = context.known_hosts();
    let mut worst = 0;
    for host in &hosts {
        worst = worst.max(one(context, &known, host, args)?);
    }
    Ok(worst)
}

/// What is to be done about a key that a host shows.
#[derive(Debug, PartialEq, Eq)]
enum KeyState {
    /// It is pinned already.
    Known,
    /// Nothing is pinned for this host.
    New,
    /// Another key is pinned.
    Changed,
    /// It must not be trusted.
    Revoked,
}

fn check(pinned: &Pinned, offered: &HostKey) -> KeyState {
    if pinned.revoked.contains(offered) {
        KeyState::Revoked
    } else if pinned.keys.contains(offered) {
        KeyState::Known
    } else if pinned.keys.is_empty() {
        KeyState::New
    } else {
        KeyState::Changed
    }
}

fn one(context: &Context, known: &KnownHosts, host: &Host, args: &Args) -> Result<u8, Failure> {
    let name = &host.name;
    let file = context.site.known_hosts();
    let options = context.ssh_options()?;
    let port = host.port.or(options.port);
    let pinned = known
        .of(name, port)
        .map_err(|error| Failure::machine(format!("cannot read {}", file.display())).why(error))?;
    let scratch =
        tempfile::tempdir().map_err(|error| Failure::machine("cannot make a directory").why(error))?;
    let offered = wait(async {
        let offered = offered_key(&options, host, &pinned.keys, &scratch.path().join("known_hosts")).await;
        offered.map_err(|reason| failure::of_reason(format!("cannot get the key of {name}"), &reason, name))
    })?;

    let (kind, fingerprint) = (offered.algorithm(), offered.fingerprint());
    say!(context.ui, "{name}: {kind} {fingerprint}");
    let state = check(&pinned, &offered);
    match state {
        KeyState::Known => {
            say!(context.ui, "{name}: that is the pinned key");
            return Ok(0);
        }
        KeyState::Revoked => {
            return Err(Failure::words(format!("the key of {name} is revoked"))
                .why(format!("a line with @revoked in {} names it", file.display()))
                .advise(format!("give {name} another host key")));
        }
        KeyState::New if pinned.has_authority => {
            say!(
                context.ui,
                "{name}: an authority in {} certifies its key; one of its own would count beside that",
                file.display()
            );
        }
        KeyState::New => {}
        KeyState::Changed => {
            say!(context.ui, "{name}: THE KEY HAS CHANGED. Pinned is:");
            for key in &pinned.keys {
                say!(context.ui, "{name}:   {} {}", key.algorithm(), key.fingerprint());
            }
            say!(
                context.ui,
                "{name}: it was installed anew, or somebody stands between you and it"
            );
            if !args.replace {
                return Err(Failure::words(format!("the key of {name} is not the pinned one"))
                    .why("nothing was changed")
                    .advise(format!("find out why, and then: apu host-key {name} --replace")));
            }
        }
    }
    if !agreed(&context.ui, args, &fingerprint, name.as_str())? {
        say!(context.ui, "{name}: nothing was pinned");
        return Ok(1);
    }
    known
        .pin(name, port, &[offered])
        .map_err(|error| Failure::machine(format!("cannot write {}", file.display())).why(error))?;
    say!(context.ui, "{name}: pinned in {}", file.display());
    if state == KeyState::Changed {
        // What was connected under the old key must not be used any longer.
        wait(async {
            if let Ok(ssh) = context.ssh() {
                ssh.hang_up(host).await;
            }
            Ok(())
        })?;
    }
    Ok(0)
}

fn agreed(ui: &Ui, args: &Args, fingerprint: &str, host: &str) -> Result<bool, Failure> {
    if let Some(expected) = &args.fingerprint {
        if expected == fingerprint {
            return Ok(true);
        }
        return Err(
            Failure::words(format!("{host} shows another key than {}", clean(expected)))
                .why("nothing was pinned")
                .advise("compare both with what the host says at its own console"),
        );
    }
    if !ui.can_ask() {
        return Err(
            Failure::words("nobody can be asked whether that is the right key")
                .why("there is no terminal to ask on")
                .advise(format!(
                    "apu host-key {host} --fingerprint SHA256:…, with what the host says at its console"
                )),
        );
    }
    ui.complain("Is that what the host says at its own console? [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().take(100).read_line(&mut answer);
    read.map_err(|error| Failure::machine("cannot read the answer").why(error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_pinned_key_is_known() {
        let key = |last: &str| {
            HostKey::parse(&format!(
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIxuQgXp1Y1S7l9nYSWv2HX8wPzhbRyJqfGrRV1c2{last}"
            ))
            .unwrap()
        };
        let pinned = |keys: &[&str], revoked: &[&str]| Pinned {
            keys: keys.iter().map(|last| key(last)).collect(),
            revoked: revoked.iter().map(|last| key(last)).collect(),
            has_authority: false,
        };
        assert_eq!(check(&pinned(&[], &[]), &key("V8o")), KeyState::New);
        assert_eq!(check(&pinned(&["V8o"], &[]), &key("V8o")), KeyState::Known);
        assert_eq!(check(&pinned(&["V8o"], &[]), &key("V8s")), KeyState::Changed);
        assert_eq!(check(&pinned(&["V8o"], &["V8o"]), &key("V8o")), KeyState::Revoked);
    }
}
