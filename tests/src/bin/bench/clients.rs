//! The clients between two rounds: back to where they were, and what an upgrade really did.

use std::thread;

use anyhow::{Result, ensure};
use apu_tests::{Fleet, Host, Stage};

/// What the upgrade is of.
const UPGRADED: [&str; 5] = ["pkg-a", "pkg-b", "pkg-c", "pkg-d", "pkg-e"];

/// Folders that say what is installed and fetched.
const STATE: &str = "var/lib/dpkg var/lib/apt var/cache/apt";

/// Offers the new versions to every client and remembers the state before the upgrade.
pub(crate) fn prepare(fleet: &Fleet) -> Result<()> {
    fleet.upstream_offers(Stage::After);
    // The first upgrade pays for copying files up from the layers below; none that is measured shall.
    let script = format!(
        "set -e; cd /
         export DEBIAN_FRONTEND=noninteractive
         apt-get -qq update
         apt-get -qq --simulate upgrade >/dev/null
         mkdir -p /root/before
         cp -a --parents {STATE} /root/before
         apt-get -qq -y upgrade >/dev/null"
    );
    on_each(fleet, &script)?;
    verify_upgraded(fleet, "apt-get")?;
    reset(fleet)
}

/// Puts every client back to the state before the upgrade.
pub(crate) fn reset(fleet: &Fleet) -> Result<()> {
    on_each(
        fleet,
        &format!("set -e; cd /; rm -rf {STATE}; cd /root/before; cp -a --parents {STATE} /"),
    )?;
    for client in fleet.clients() {
        ensure!(
            versions(client).iter().all(|version| version == "1.0"),
            "{} was not reset",
            client.name()
        );
    }
    Ok(())
}

/// Every client has the new versions, wholly installed, and its package manager is at rest.
pub(crate) fn verify_upgraded(fleet: &Fleet, who: &str) -> Result<()> {
    for client in fleet.clients() {
        let found = versions(client);
        ensure!(
            found.len() == UPGRADED.len() && found.iter().all(|version| version == "2.0"),
            "{who} did not upgrade {}: {found:?}",
            client.name()
        );
    }
    Ok(())
}

fn versions(client: &Host) -> Vec<String> {
    let status = client.read("/var/lib/dpkg/status").unwrap_or_default();
    let stanzas = status.split("\n\n").filter(|stanza| {
        let name = stanza
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("Package: "));
        name.is_some_and(|name| UPGRADED.contains(&name))
            && stanza.contains("\nStatus: install ok installed\n")
    });
    let version = |stanza: &str| {
        let line = stanza.lines().find_map(|line| line.strip_prefix("Version: "));
        line.unwrap_or_default().to_owned()
    };
    stanzas.map(version).collect()
}

/// Runs a script in every client, a few at a time.
fn on_each(fleet: &Fleet, script: &str) -> Result<()> {
    let clients: Vec<_> = fleet.clients().collect();
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let outcomes = thread::scope(|scope| {
        let threads: Vec<_> = clients
            .chunks(clients.len().div_ceil(workers).max(1))
            .map(|share| {
                scope.spawn(move || {
                    share.iter().try_for_each(|client| {
                        let end = client.sh(script);
                        ensure!(end.code == 0, "{}: {}{}", client.name(), end.stdout, end.stderr);
                        Ok(())
                    })
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a thread panicked")))
            .collect::<Vec<_>>()
    });
    outcomes.into_iter().try_for_each(|outcome| outcome?)
}
