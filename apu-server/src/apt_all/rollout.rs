//! The waves of a push: which hosts change first, by the words of the command line and by apu.toml.

use std::collections::HashSet;
use std::time::Duration;

use apu_fleet::{Canaries, HostName, Inventory, Rollout, Trial, WaveOptions, waves};
use apu_site::settings::{self, Canary};
use apu_site::{Failure, Site};

use super::args::Args;
use crate::failure;
use crate::stored_plans::StoredPlan;
use crate::view::groups::set;

/// The most hosts that reboot, or restart services, at once where nobody says anything about waves.
const FEW: usize = 3;

/// What was said about the waves of a push.
#[derive(Debug)]
pub(super) struct Waves {
    canaries: Option<Canaries>,
    sizes: Option<settings::WaveSizes>,
    soak: Duration,
    pause_limit: Duration,
    check: Option<Vec<String>>,
    freeze: Vec<String>,
}

/// The hosts that change, wave after wave.
#[derive(Debug, PartialEq)]
pub(super) struct Arranged {
    /// In the order of their turns.
    pub(super) hosts: Vec<HostName>,
    /// The sizes of the waves.
    pub(super) rollout: Rollout,
}

impl Waves {
    /// What the command line says, and apu.toml where that says nothing.
    ///
    /// # Errors
    /// For canaries that no class has.
    pub(super) fn of(
        args: &Args,
        site: &Site,
        settings: &settings::Rollout,
        inventory: &Inventory,
    ) -> Result<Self, Failure> {
        // Who says how many hosts a wave has does not mean the canaries of a file.
        let of_file = settings.canary.as_ref().filter(|_| args.waves.is_none());
        let canaries = match args.canary.as_ref().or(of_file) {
            None => None,
            Some(Canary::Number(number)) => Some(Canaries::Number(number.get())),
            Some(Canary::Target(target)) => {
                let hosts = inventory.resolve(std::slice::from_ref(target), &[]);
                let hosts = hosts.map_err(|error| failure::target(site, error))?;
                let names: HashSet<HostName> = hosts.into_iter().map(|host| host.name).collect();
                Some(Canaries::Hosts(names))
            }
        };
        Ok(Self {
            canaries,
            sizes: args.waves.clone().or_else(|| settings.waves.clone()),
            soak: args.soak.or(settings.soak).unwrap_or_default(),
            pause_limit: args
                .pause_limit
                .or(settings.pause_limit)
                .unwrap_or(settings::PAUSE_LIMIT),
            check: settings.check.as_ref().map(|command| command.words().to_vec()),
            freeze: match args.freeze {
                true => vec!["*".to_owned()],
                false => settings.freeze.clone().unwrap_or_default(),
            },
        })
    }

    /// Arranges the hosts that reboot or restart services. No change of packages tells them apart: where nobody says who goes first, or
    /// none of these does it, one of them does.
    pub(super) fn arrange_equals(&self, wanted: &[(HostName, Trial)]) -> Arranged {
        let is_anybodys = match &self.canaries {
            None => self.sizes.is_none() && wanted.len() > FEW,
            Some(Canaries::Hosts(names)) => !wanted.iter().any(|(host, _)| names.contains(host)),
            Some(Canaries::Number(_)) => false,
        };
        let canaries = match is_anybodys {
            true => Some(Canaries::Number(1)),
            false => self.canaries.clone(),
        };
        self.arrange_after(canaries, wanted)
    }

    /// Arranges the hosts that change.
    pub(super) fn arrange(&self, wanted: &[(HostName, Trial)]) -> Arranged {
        self.arrange_after(self.canaries.clone(), wanted)
    }

    fn arrange_after(&self, canaries: Option<Canaries>, wanted: &[(HostName, Trial)]) -> Arranged {
        let sizes = self
            .sizes
            .as_ref()
            .map_or_else(Vec::new, |sizes| sizes.of(wanted.len()));
        let options = WaveOptions { canaries, sizes };
        let arranged = waves(wanted, &options);
        Arranged {
            rollout: Rollout {
                waves: arranged.iter().map(Vec::len).collect(),
                soak: self.soak,
                pause_limit: self.pause_limit,
                check: self.check.clone(),
                freeze: self.freeze.clone(),
            },
            hosts: arranged
                .concat()
                .into_iter()
                .map(|place| wanted[place].0.clone())
                .collect(),
        }
    }
}

impl Arranged {
    /// The waves of a plan that was kept, as they were fixed when it was made.
    pub(super) fn of(plan: &StoredPlan) -> Self {
        Self {
            hosts: plan.hosts.iter().map(|(host, _)| host.clone()).collect(),
            rollout: plan.rollout(),
        }
    }

    /// The waves in words: `first web01, then 9, then 90`; nothing where all hosts change at once.
    pub(super) fn outlook(&self) -> Option<String> {
        if self.rollout.is_at_once() {
            return None;
        }
        let (first, others) = self.rollout.waves.split_first()?;
        let names: Vec<&HostName> = self.hosts.iter().take(*first).collect();
        let mut text = format!("first {}", set(&names));
        // Many waves are told by their number.
        const MOST: usize = 4;
        if others.len() > MOST {
            let all: usize = others.iter().sum();
            text += &format!(", then {all} more in {} waves", others.len());
        } else {
            text.extend(others.iter().map(|size| format!(", then {size}")));
        }
        match self.rollout.freeze.as_slice() {
            [] => {}
            [all] if all == "*" => text += ", with the .debs of the first",
            some => text += &format!(", with the .debs of the first from {}", some.join(", ")),
        }
        if !self.rollout.soak.is_zero() {
            text += &format!(
                ", each {} after the one before is well",
                apu_fleet::span(self.rollout.soak.as_secs())
            );
        }
        Some(text)
    }
}

/// The waves of a plan that was kept, in words; nothing where all hosts change at once.
pub(crate) fn outlook(plan: &StoredPlan) -> Option<String> {
    Arranged::of(plan).outlook()
}

#[cfg(test)]
mod tests {
    use apu_proto::{Step, System, Transaction};
    use clap::Parser;

    use super::*;

    fn wanted(hosts: usize) -> Vec<(HostName, Trial)> {
        let step = Step::Remove {
            package: "p:amd64".parse().unwrap(),
            old: "1".into(),
        };
        let trial = Trial {
            system: System::default(),
            transaction: Transaction::new(vec![step]),
            is_broken: false,
            too_young: Vec::new(),
            conffile_rules: Vec::new(),
        };
        (1..=hosts)
            .map(|number| (format!("web{number:02}").parse().unwrap(), trial.clone()))
            .collect()
    }

    fn outlook(line: &str, toml: &str, hosts: usize) -> Option<String> {
        let args = Args::try_parse_from(format!("apt-all web upgrade {line}").split_whitespace()).unwrap();
        let settings = apu_site::Settings::parse(toml).unwrap().rollout("web");
        let inventory = Inventory::default();
        let waves = Waves::of(&args, &Site::below("/"), &settings, &inventory).unwrap();
        waves.arrange(&wanted(hosts)).outlook()
    }

    #[test]
    fn one_host_reboots_before_the_others_although_they_all_do_the_same() {
        let outlook = |line: &str, hosts: usize| {
            let line = format!("apt-all web reboot {line}");
            let args = Args::try_parse_from(line.split_whitespace()).unwrap();
            let inventory = Inventory::default();
            let settings = apu_site::Settings::parse("").unwrap().rollout("web");
            let mut waves = Waves::of(&args, &Site::below("/"), &settings, &inventory).unwrap();
            if hosts == 9 {
                waves.canaries = Some(Canaries::Hosts(["db1".parse().unwrap()].into()));
            }
            let mut wanted = wanted(hosts);
            for (_, trial) in &mut wanted {
                trial.transaction = Transaction::default();
            }
            waves.arrange_equals(&wanted).outlook()
        };
        assert_eq!(outlook("", 3), None);
        assert_eq!(outlook("", 5).unwrap(), "first web01, then 4");
        assert_eq!(outlook("--waves 100%", 5), None);
        assert_eq!(outlook("--canary 2", 5).unwrap(), "first web[01-02], then 3");
        // The canaries that somebody named do not reboot now.
        assert_eq!(outlook("", 9).unwrap(), "first web01, then 8");
    }

    #[test]
    fn the_command_line_comes_before_the_file_and_the_file_before_the_default() {
        assert_eq!(outlook("", "", 3), None);
        assert_eq!(outlook("", "", 100).unwrap(), "first web01, then 99");
        assert_eq!(outlook("--waves 100%", "", 100), None);
        assert_eq!(
            outlook("", "[rollout.web]\nwaves = '1,50%'\nsoak = '5m'\n", 5).unwrap(),
            "first web01, then 3, then 1, each 5 min after the one before is well"
        );
        let file = "[rollout.all]\nwaves = '1,50%'\nsoak = '5m'\n";
        assert_eq!(
            outlook("--soak 1m --waves 2,rest", file, 5).unwrap(),
            "first web[01-02], then 3, each 60 s after the one before is well"
        );
        assert_eq!(outlook("--soak 0", file, 3).unwrap(), "first web01, then 2");
        assert_eq!(
            outlook("--freeze", "", 5).unwrap(),
            "first web01, then 4, with the .debs of the first"
        );
        let file = "[rollout.all]\nfreeze = ['Docker*']\n[rollout.web]\nsoak = 0\n";
        assert!(
            outlook("", file, 5)
                .unwrap()
                .ends_with("with the .debs of the first from Docker*")
        );
        assert_eq!(
            outlook("", &format!("{file}freeze = []\n"), 5).unwrap(),
            "first web01, then 4"
        );
        let file = "[rollout.all]\ncanary = 2\n";
        assert_eq!(outlook("", file, 5).unwrap(), "first web[01-02], then 3");
        assert_eq!(outlook("--canary 1", file, 5).unwrap(), "first web01, then 4");
        assert_eq!(outlook("--waves 100%", file, 5), None);
        assert_eq!(
            outlook("--waves 1,10%", "", 100).unwrap(),
            "first web01, then 99 more in 10 waves"
        );
    }
}
