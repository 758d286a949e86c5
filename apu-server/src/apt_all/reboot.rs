//! Finds out who needs a reboot and may be asked for one: the plan of `apt-all TARGET reboot`.

use std::fs;
use std::path::Path;

use apu_fleet::{Host, HostName, Trial};
use apu_proto::Request;
use apu_site::Failure;

use super::answered::Answered;
use super::push::Push;
use super::reboot_choice::Asked;

/// The boot that this machine is in.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

impl Push<'_> {
    /// The hosts that are to reboot, of those that have answered.
    ///
    /// # Errors
    /// Where this server cannot recognise itself among the hosts.
    pub(super) async fn choose_reboots(
        &mut self,
        plan: &Request,
        hosts: &[Host],
    ) -> Result<Vec<(HostName, Trial)>, Failure> {
        let own_boot = boot_id(Path::new(BOOT_ID))?;
        let endings = self.endings();
        let asked = Asked {
            answered: Answered {
                endings: &endings,
                hosts,
            },
            all: self.args.all,
            target: if self.is_repeated { "" } else { &self.args.target },
            own_boot: &own_boot,
        };
        let choice = asked.choose();
        Ok(self.settle(choice, plan, hosts).await)
    }
}

fn boot_id(path: &Path) -> Result<String, Failure> {
    let failure = |why: String| {
        Failure::machine("cannot tell which boot this server is in, so it might be asked to reboot as well")
            .why(why)
            .advise(format!("cat {}", path.display()))
    };
    let read = fs::read_to_string(path).map_err(|error| failure(error.to_string()))?;
    match read.trim_end() {
        "" => Err(failure(format!("{} is empty", path.display()))),
        boot_id => Ok(boot_id.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_cannot_recognise_itself_asks_nobody_to_reboot() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("boot_id");
        assert!(boot_id(&path).is_err());
        fs::write(&path, "\n").unwrap();
        assert!(boot_id(&path).is_err());
        fs::write(&path, "abc\n").unwrap();
        assert_eq!(boot_id(&path).unwrap(), "abc");
    }
}
