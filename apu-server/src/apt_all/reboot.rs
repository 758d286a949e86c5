//! Finds out who needs a reboot and may be asked for one: the plan of `apt-all TARGET reboot`.

use std::fs;
use std::path::Path;

use apu_fleet::{Batch, Host, HostName, Phase, Trial};
use apu_proto::{Request, System, Transaction};

use super::push::Push;
use super::reboot_choice::Asked;

/// The boot that this machine is in.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

impl Push<'_> {
    /// The hosts that are to reboot, of those that have answered. Those that need it and are not asked end as skipped here, so that a
    /// run that is gone on with has none of them.
    pub(super) async fn choose_reboots(&mut self, plan: &Request, hosts: &[Host]) -> Vec<(HostName, Trial)> {
        let endings = self.endings();
        let asked = Asked {
            endings: &endings,
            hosts,
            all: self.args.all,
            target: if self.is_repeated { "" } else { &self.args.target },
            own_boot: &boot_id(Path::new(BOOT_ID)),
        };
        let choice = asked.choose();
        if !choice.not_asked.is_empty() {
            let is_not_asked = |host: &&Host| choice.not_asked.iter().any(|(other, _)| *other == host.name);
            let hosts: Vec<Host> = hosts.iter().filter(is_not_asked).cloned().collect();
            let mut batch = Batch::of(Phase::Plan, &hosts, plan);
            batch.held = choice.not_asked.into_iter().collect();
            self.ask_all(batch).await;
        }
        choice.reboot.into_iter().map(|host| (host, trial())).collect()
    }
}

/// What a reboot is to the waves: the same for all, and no change of packages.
fn trial() -> Trial {
    Trial {
        system: System::default(),
        transaction: Transaction::default(),
        is_broken: false,
        too_young: Vec::new(),
    }
}

fn boot_id(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default().trim_end().to_owned()
}
