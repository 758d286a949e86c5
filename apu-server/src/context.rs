//! What every command of the server stands on: the site, its settings, its classes, and the way to its clients.

use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use apu_archive::quote;
use apu_fleet::ssh::{KeyExchange, Ssh, SshOptions};
use apu_fleet::{Inventory, KnownHosts, Limits};
use apu_ledger::Ledger;
use apu_proto::Operation;
use apu_site::{Failure, Settings, Site, Ui, settings};

use crate::failure;
use crate::ledger;

/// How long a host may take for an answer that changes nothing there, unless somebody names another limit: one that only
/// ever says that it waits must not hold up the others.
const SHORT_ANSWER: Duration = Duration::from_secs(60);

/// How long a host may take to reboot and to be back, unless somebody names another limit.
const REBOOT: Duration = Duration::from_secs(600);

/// A site that is ours to work in.
pub struct Context {
    /// Its paths.
    pub site: Site,
    /// Its `apu.toml`.
    pub settings: Settings,
    /// Where the program prints.
    pub ui: Ui,
}

impl Context {
    /// Enters the site below `root`; for `program` to be named in advice.
    ///
    /// # Errors
    /// Where we are not root and this is the machine's own site, and where its settings cannot be read.
    pub fn enter(root: &Path, program: &str, ui: &Ui) -> Result<Self, Failure> {
        // Another root is a site of its own, as in a test; its files decide who may use it.
        if root == Path::new("/") && !nix::unistd::geteuid().is_root() {
            return Err(Failure::words(format!("{program} is for root"))
                .why("it reads the push key, which only root may")
                .advise(format!("sudo {program}{}", given())));
        }
        let site = Site::below(root);
        let settings = Settings::read(&site)?;
        Ok(Self {
            site,
            settings,
            ui: ui.clone(),
        })
    }

    /// Reads the classes.
    ///
    /// # Errors
    /// Where their directory cannot be read.
    pub fn inventory(&self) -> Result<Inventory, Failure> {
        let site = self.site.clone();
        Inventory::load(&self.site.clients())
            .map(|inventory| inventory.with_runs(move |word| ledger::hosts_of(&site, word)))
            .map_err(|error| failure::target(&self.site, error))
    }

    /// The ledger; none where no run has begun here.
    ///
    /// # Errors
    /// Where there is one, and it cannot be read.
    pub fn ledger(&self) -> Result<Option<Ledger>, Failure> {
        ledger::known(&self.site).map_err(|error| failure::ledger(&self.site, error))
    }

    /// The ledger, for a run to be recorded; one is made where there is none.
    ///
    /// # Errors
    /// Where it cannot be read and written, or a later apu has written it.
    pub(crate) fn ledger_to_record(&self) -> Result<Ledger, Failure> {
        ledger::made(&self.site).map_err(|error| failure::ledger(&self.site, error))
    }

    /// The private half of the push key.
    #[must_use]
    pub fn push_key(&self) -> PathBuf {
        self.site.at(&self.settings.ssh.key)
    }

    /// How many hosts work at once, and how long each is waited for, where nobody says it.
    #[must_use]
    pub fn limits(&self, operation: Operation) -> Limits {
        let run = &self.settings.run;
        Limits {
            parallel: run.parallel,
            connections: self.settings.ssh.connections,
            timeout: patience(operation, run.timeout),
            max_failures: None,
        }
    }

    /// The pinned host keys.
    #[must_use]
    pub fn known_hosts(&self) -> KnownHosts {
        KnownHosts::at(self.site.known_hosts())
    }

    /// How the settings say that clients are reached.
    ///
    /// # Errors
    /// Where a setting says what cannot be.
    pub fn ssh_options(&self) -> Result<SshOptions, Failure> {
        let ssh = &self.settings.ssh;
        Ok(SshOptions {
            program: "/usr/bin/ssh".into(),
            user: ssh.user.clone(),
            port: ssh.port.map(NonZeroU16::get),
            keys: apu_site::push_keys(&self.site, &self.settings),
            known_hosts: self.site.known_hosts(),
            run_directory: self.site.run(),
            key_exchange: match ssh.key_exchange {
                settings::KeyExchange::Fast => KeyExchange::Fast,
                settings::KeyExchange::PostQuantum => KeyExchange::PostQuantum,
                settings::KeyExchange::System => KeyExchange::System,
            },
            connect_timeout: ssh.connect_timeout,
            keep_open: ssh.keep_open,
            most_kept: ssh.most_kept.get(),
            handshakes: ssh.handshakes.get(),
        })
    }

    /// The way to the clients, with the push key.
    ///
    /// # Errors
    /// Where there is no push key yet, or no room for sockets.
    pub fn ssh(&self) -> Result<Arc<Ssh>, Failure> {
        self.ssh_by(self.ssh_options()?)
    }

    /// The way to the clients, with other options than those of the settings.
    ///
    /// # Errors
    /// As [`Context::ssh`].
    pub fn ssh_by(&self, options: SshOptions) -> Result<Arc<Ssh>, Failure> {
        for key in &options.keys {
            let Err(error) = std::fs::File::open(key) else {
                continue;
            };
            if error.kind() != std::io::ErrorKind::NotFound {
                let what = format!("cannot read the push key {}", key.display());
                return Err(Failure::of_io(what, error, key));
            }
            return Err(
                Failure::words(format!("there is no push key in {}", key.display()))
                    .why(error)
                    .advise("apu setup, which makes one, and then gen-apu-data-pkg"),
            );
        }
        let ssh = Ssh::new(options).map_err(|error| {
            let run = self.site.run();
            let what = format!("cannot keep connections in {}", run.display());
            Failure::of_io(what, error, &run)
        })?;
        allow_many_files();
        Ok(Arc::new(ssh))
    }
}

/// Returns the time limit for one host: that of runs for a run, for `attach`, and for `health`, which runs the machine's own
/// checks; ten minutes at most for a reboot, until the host is back, and a minute at most for everything else.
fn patience(operation: Operation, of_runs: Duration) -> Duration {
    if operation == Operation::Reboot {
        of_runs.min(REBOOT)
    } else if operation.is_a_run() || matches!(operation, Operation::Attach | Operation::Health) {
        of_runs
    } else {
        of_runs.min(SHORT_ANSWER)
    }
}

/// The words that the program was given, as a shell takes them.
fn given() -> String {
    let words = std::env::args().skip(1);
    words.map(|word| format!(" {}", quote(&word))).collect()
}

/// A connection takes up to five descriptors; the soft limit is often 1024.
fn allow_many_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // What is not allowed shows itself as hosts that cannot be reached, with the reason.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_only_asked_is_left_after_a_minute() {
        let hour = Duration::from_secs(3600);
        for operation in [Operation::Ping, Operation::Status, Operation::Check] {
            assert_eq!(patience(operation, hour), Duration::from_secs(60));
            assert_eq!(
                patience(operation, Duration::from_secs(7)),
                Duration::from_secs(7)
            );
        }
        assert_eq!(patience(Operation::Reboot, hour), Duration::from_secs(600));
        for operation in [Operation::Upgrade, Operation::Attach, Operation::Health] {
            assert_eq!(patience(operation, hour), hour);
        }
    }
}
