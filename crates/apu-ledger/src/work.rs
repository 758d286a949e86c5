//! What a run was to do, as it was approved: enough to go on with it after its process was killed.

use std::collections::{BTreeMap, HashMap, HashSet};

use apu_fleet::{HostName, Rollout, Trial};
use serde::{Deserialize, Serialize};

/// The most bytes of a run's work, unpacked: a plan of 10,000 hosts that are all different has about as many.
const LONGEST: u64 = 256 << 20;

/// What each host of a run was asked, and in which order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// The request, with the run's identity, without a plan.
    pub request: String,
    /// The hosts that were to do it, in the order of their turns.
    pub hosts: Vec<HostName>,
    /// The distinct things to do: equal hosts share one.
    trials: Vec<Trial>,
    /// Which of them each host was to do; empty where no plan was made.
    which: Vec<usize>,
    /// The waves.
    pub rollout: Rollout,
    /// How many hosts may fail.
    pub max_failures: Option<usize>,
    /// How many hosts of the push had failed before, in its plan.
    pub failed_before: usize,
    /// How many hosts work at once.
    pub parallel: usize,
    /// How long one host is waited for, in seconds.
    pub timeout: u64,
    /// Whether packages change also outside of the maintenance windows of the server.
    #[serde(default)]
    pub ignores_windows: bool,
    /// Until when hosts are queued that cannot do it in their turn, in milliseconds since 1970; none where they are not.
    #[serde(default)]
    pub queue_until: Option<i64>,
    /// The exclusive groups of hosts that change. Not kept: a run that goes on with this one has what the classes say then.
    #[serde(skip)]
    pub exclusive: BTreeMap<HostName, String>,
}

impl Work {
    /// Nothing to do for anybody, with this request.
    #[must_use]
    pub fn new(request: String, rollout: Rollout) -> Self {
        Self {
            request,
            hosts: Vec::new(),
            trials: Vec::new(),
            which: Vec::new(),
            rollout,
            max_failures: None,
            failed_before: 0,
            parallel: 1,
            timeout: 0,
            ignores_windows: false,
            queue_until: None,
            exclusive: BTreeMap::new(),
        }
    }

    /// The hosts, each with its exclusive group.
    pub(crate) fn hosts_and_groups(&self) -> impl Iterator<Item = (&HostName, Option<&str>)> {
        let group = |host: &HostName| self.exclusive.get(host).map(String::as_str);
        self.hosts.iter().map(move |host| (host, group(host)))
    }

    /// Adds the hosts, with what each has to do where that was planned: for all of them or for none.
    #[must_use]
    pub fn for_hosts<'a>(mut self, hosts: impl Iterator<Item = (&'a HostName, Option<&'a Trial>)>) -> Self {
        let mut places: HashMap<String, usize> = HashMap::new();
        for (host, trial) in hosts {
            self.hosts.push(host.clone());
            let Some(trial) = trial else { continue };
            let key = format!(
                "{:?} {} {} {:?} {:?}",
                trial.system,
                trial.is_broken,
                trial.transaction.id(),
                trial.too_young,
                trial.conffile_rules
            );
            let place = *places.entry(key).or_insert_with(|| {
                self.trials.push(trial.clone());
                self.trials.len() - 1
            });
            self.which.push(place);
        }
        self
    }

    /// The same without these hosts. The waves stay as they were fixed for all of them: a wave may become smaller.
    #[must_use]
    pub(crate) fn without(&self, hosts: HashSet<&HostName>) -> Self {
        let mut work = self.clone();
        if hosts.is_empty() {
            return work;
        }
        let stays: Vec<bool> = work.hosts.iter().map(|host| !hosts.contains(host)).collect();
        let mut wave = work.rollout.waves.clone();
        let mut place = 0;
        for size in &mut wave {
            let end = (place + *size).min(stays.len());
            *size = stays[place..end].iter().filter(|stays| **stays).count();
            place = end;
        }
        // A wave without a host stays one: where all canaries are gone, nothing was tested.
        work.rollout.waves = wave;
        let mut kept = stays.iter();
        work.hosts.retain(|_| kept.next().is_some_and(|stays| *stays));
        let mut kept = stays.iter();
        work.which.retain(|_| kept.next().is_some_and(|stays| *stays));
        work
    }

    /// What each host was to do; none where no plan was made.
    #[must_use]
    pub fn trials(&self) -> Vec<(HostName, Trial)> {
        let trial =
            |(host, place): (&HostName, &usize)| Some((host.clone(), self.trials.get(*place)?.clone()));
        self.hosts.iter().zip(&self.which).filter_map(trial).collect()
    }

    /// The distinct things to do, and the place in them of what each host was to do.
    pub(crate) fn shared_trials(&self) -> (&[Trial], HashMap<&HostName, usize>) {
        let places = self.hosts.iter().zip(self.which.iter().copied());
        (&self.trials, places.collect())
    }

    pub(crate) fn pack(&self) -> std::io::Result<Vec<u8>> {
        self.pack_within(LONGEST)
    }

    /// Packs what can be read again.
    fn pack_within(&self, longest: u64) -> std::io::Result<Vec<u8>> {
        let text = serde_json::to_vec(self)?;
        let length = text.len() as u64;
        if length > longest {
            return Err(std::io::Error::other(format!(
                "what the {} hosts are to do is too long to be kept: {length} bytes, of at most {longest}; take fewer hosts at once",
                self.hosts.len()
            )));
        }
        zstd::encode_all(&*text, 1)
    }

    pub(crate) fn unpack(packed: &[u8]) -> std::io::Result<Self> {
        let text = crate::output::unpack(packed, LONGEST)?;
        let work: Self = serde_json::from_slice(&text)?;
        let is_whole = (work.which.is_empty() || work.which.len() == work.hosts.len())
            && work.which.iter().all(|place| *place < work.trials.len());
        if is_whole {
            Ok(work)
        } else {
            Err(std::io::Error::other("a host has no plan there"))
        }
    }
}

#[cfg(test)]
mod tests {
    use apu_proto::{Step, System, Transaction};

    use super::*;

    #[test]
    fn equal_hosts_share_what_they_do_and_all_of_it_reads_back() {
        let trial = |package: &str| Trial {
            system: System::default(),
            transaction: Transaction::new(vec![Step::Remove {
                package: package.parse().unwrap(),
                old: "1".into(),
            }]),
            is_broken: false,
            too_young: Vec::new(),
            conffile_rules: Vec::new(),
        };
        let (a, b) = (trial("a:amd64"), trial("b:amd64"));
        let young = Trial {
            too_young: vec!["vim".parse().unwrap()],
            ..a.clone()
        };
        let host: HostName = "web1".parse().unwrap();
        let both = Work::new("apu/1 upgrade".into(), Rollout::default());
        let both = both.for_hosts([(&host, Some(&a)), (&host, Some(&young))].into_iter());
        assert_eq!(Work::unpack(&both.pack().unwrap()).unwrap().trials()[1].1, young);
        let ruled = Trial {
            conffile_rules: vec!["keep:/etc/x".parse().unwrap()],
            ..a.clone()
        };
        let both = Work::new("apu/1 upgrade".into(), Rollout::default());
        let both = both.for_hosts([(&host, Some(&a)), (&host, Some(&ruled))].into_iter());
        assert_eq!(Work::unpack(&both.pack().unwrap()).unwrap().trials()[1].1, ruled);
        let hosts: Vec<HostName> = ["web1", "web2", "web3"].map(|name| name.parse().unwrap()).into();
        let work = Work::new("apu/1 upgrade".into(), Rollout::default()).for_hosts(hosts.iter().zip([
            Some(&a),
            Some(&b),
            Some(&a),
        ]));
        assert_eq!((work.trials.len(), &work.which), (2, &vec![0, 1, 0]));
        let work = Work {
            ignores_windows: true,
            ..work
        };
        let read = Work::unpack(&work.pack().unwrap()).unwrap();
        assert_eq!(read, work);
        assert_eq!(read.trials()[2], (hosts[2].clone(), a));
        let left = work.without([&hosts[0]].into());
        assert_eq!(left.hosts, hosts[1..]);
        assert_eq!(left.trials(), work.trials()[1..]);
        let in_waves = Work {
            rollout: Rollout {
                waves: vec![1, 2],
                ..Rollout::default()
            },
            ..work.clone()
        };
        assert_eq!(in_waves.without([&hosts[0]].into()).rollout.waves, [0, 2]);
        assert_eq!(in_waves.without([&hosts[2]].into()).rollout.waves, [1, 1]);
        let mut cut = work;
        cut.which.pop();
        assert!(Work::unpack(&cut.pack().unwrap()).is_err());
    }

    #[test]
    fn what_could_not_be_read_again_is_not_packed() {
        let work = Work::new("apu/1 upgrade".into(), Rollout::default());
        let length = serde_json::to_vec(&work).unwrap().len() as u64;
        assert!(work.pack_within(length).is_ok());
        let error = work.pack_within(length - 1).unwrap_err().to_string();
        assert!(
            error.starts_with("what the 0 hosts are to do is too long"),
            "{error}"
        );
    }
}
