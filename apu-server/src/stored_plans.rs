//! The plans that are kept on this server: a file for each, with what every host would change, to be carried out later as it is.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use apu_archive::{atomic_file, quote};
use apu_debian::{PackageName, hex};
use apu_fleet::{HostName, Rollout, Trial};
use apu_proto::{ConffileRuleFor, Operation, PackageGlob, Plan};
use apu_site::settings::PAUSE_LIMIT;
use apu_site::{Failure, Site};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How long a plan may be carried out.
pub const VALID: Duration = Duration::from_secs(7 * 86_400);

/// How many are kept.
const MOST: usize = 100;

/// The most bytes of one file: a plan of 3,000 hosts with 200 packages each has about as many.
const LONGEST: u64 = 256 << 20;

const NOT_KEPT: &str = "cannot keep the plan";

/// A plan as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredPlan {
    /// When it was made, in seconds since 1970.
    pub at: f64,
    /// Who made it.
    pub by: String,
    /// The words of its target.
    pub target: String,
    /// The operation.
    pub operation: Operation,
    /// Its packages, as a request has them.
    pub packages: Vec<String>,
    /// Whether packages may be removed.
    pub allow_remove: bool,
    /// Whether only packages with a security update are upgraded.
    #[serde(default)]
    pub security: bool,
    /// The sources of the packages that are upgraded; empty for any.
    #[serde(default)]
    pub sources: Vec<PackageName>,
    /// Whether the packages are upgraded where they are installed, and installed nowhere else.
    #[serde(default)]
    pub only_upgrade: bool,
    /// The packages that stay at their version.
    #[serde(default)]
    pub hold: Vec<PackageGlob>,
    /// What becomes of configuration files that were changed on both sides; hosts with the same rules together.
    #[serde(default)]
    pub conffile_rules: Vec<HostsWithRules>,
    /// The words of the command line that say which hosts it has and in which waves; none in a file from before they were kept.
    #[serde(default)]
    pub options: Vec<String>,
    /// The hosts on which something would change, in the order of their turns, with what that is.
    pub hosts: Vec<(HostName, Plan)>,
    /// The sizes of the waves.
    pub waves: Vec<usize>,
    /// How long the hosts of a wave have to stay well, in seconds.
    pub soak: u64,
    /// How long an administrator's decision is waited for where it cannot be told whether a wave is well, in seconds; none in a file
    /// from before it was kept.
    #[serde(default)]
    pub pause_limit: Option<u64>,
    /// The command that checks each host from this server after its change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Vec<String>>,
    /// The origins whose .debs the canaries give for the later waves, as globs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

/// Hosts that have the same rules for configuration files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostsWithRules {
    /// The hosts.
    pub hosts: Vec<HostName>,
    /// The rules, the strictest first.
    pub rules: Vec<ConffileRuleFor>,
}

impl HostsWithRules {
    /// The hosts that have any, in the order of the first with the same ones.
    #[must_use]
    pub fn of(hosts: impl Iterator<Item = (HostName, Vec<ConffileRuleFor>)>) -> Vec<Self> {
        let mut places: HashMap<Vec<ConffileRuleFor>, usize> = HashMap::new();
        let mut all: Vec<Self> = Vec::new();
        for (host, rules) in hosts.filter(|(_, rules)| !rules.is_empty()) {
            let place = *places.entry(rules).or_insert_with_key(|rules| {
                all.push(Self {
                    hosts: Vec::new(),
                    rules: rules.clone(),
                });
                all.len() - 1
            });
            all[place].hosts.push(host);
        }
        all
    }
}

impl StoredPlan {
    /// How many seconds ago it was made, as of `now` in seconds since 1970.
    #[must_use]
    pub fn age(&self, now: f64) -> u64 {
        // Rounded down, and none where the clock was set back.
        (now - self.at).max(0.0) as u64
    }

    /// Whether it may still be carried out.
    #[must_use]
    pub fn is_valid(&self, now: f64) -> bool {
        // One that comes from the future was made by a clock that is not to be trusted.
        self.at <= now + 60.0 && self.age(now) < VALID.as_secs()
    }

    /// Its waves.
    #[must_use]
    pub fn rollout(&self) -> Rollout {
        Rollout {
            waves: self.waves.clone(),
            soak: Duration::from_secs(self.soak),
            pause_limit: self.pause_limit.map_or(PAUSE_LIMIT, Duration::from_secs),
            check: self.check.clone(),
            freeze: self.freeze.clone(),
        }
    }

    /// What each host is to do.
    #[must_use]
    pub fn trials(&self) -> Vec<(HostName, Trial)> {
        let rules: HashMap<&HostName, &Vec<ConffileRuleFor>> = (self.conffile_rules.iter())
            .flat_map(|with_rules| with_rules.hosts.iter().map(|host| (host, &with_rules.rules)))
            .collect();
        let trial = |(host, plan): &(HostName, Plan)| {
            let trial = Trial {
                conffile_rules: rules.get(host).copied().cloned().unwrap_or_default(),
                ..Trial::of(plan)
            };
            (host.clone(), trial)
        };
        self.hosts.iter().map(trial).collect()
    }
}

/// Keeps a plan, and lets the oldest ones go. Returns its number.
///
/// # Errors
/// Where it cannot be written, could not be read again, or no number is left for it.
pub fn keep(site: &Site, plan: &StoredPlan) -> Result<u32, Failure> {
    keep_within(site, plan, LONGEST)
}

fn keep_within(site: &Site, plan: &StoredPlan, longest: u64) -> Result<u32, Failure> {
    let failed = |error: io::Error| Failure::of_io(NOT_KEPT, error, &site.plans());
    let text = serde_json::to_vec(plan).map_err(|error| failed(error.into()))?;
    if text.len() as u64 > longest {
        let why = format!(
            "it has {} bytes, and one of more than {longest} is not read again",
            text.len()
        );
        return Err(Failure::words(NOT_KEPT)
            .why(why)
            .advise("make several plans, each of fewer hosts"));
    }
    let directory = site.plans();
    (DirBuilder::new().recursive(true).mode(0o700))
        .create(&directory)
        .map_err(failed)?;
    let last = numbers(site).map_err(failed)?.last().copied();
    let number = claim_number(site, last.unwrap_or(0))?;
    atomic_file::replace(&path(site, number), &text, 0o600).map_err(failed)?;
    let all = numbers(site).unwrap_or_default();
    for old in all.iter().take(all.len().saturating_sub(MOST)) {
        // One that another program let go meanwhile stops nothing.
        let _ = fs::remove_file(path(site, *old));
    }
    Ok(number)
}

/// Takes the next number after `last` that no plan has.
fn claim_number(site: &Site, last: u32) -> Result<u32, Failure> {
    let mut number = last;
    loop {
        number = number.checked_add(1).ok_or_else(|| {
            let highest = path(site, u32::MAX);
            Failure::machine(NOT_KEPT)
                .why(format!(
                    "{} has the highest number that there is",
                    highest.display()
                ))
                .advise(format!("rm {}", quote(&highest.to_string_lossy())))
        })?;
        // The file is created only if there is none: so no two plans get one number.
        match File::create_new(path(site, number)) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Failure::of_io(NOT_KEPT, error, &site.plans())),
            Ok(_) => return Ok(number),
        }
    }
}

/// A plan by its number; none where it is not known, or not understood.
///
/// # Errors
/// Where it is there and cannot be read.
pub fn find(site: &Site, number: u32) -> io::Result<Option<StoredPlan>> {
    Ok(find_with_sha256(site, number)?.map(|(plan, _)| plan))
}

/// A plan by its number, with the hash of its file, which tells it apart from one that has its number later.
///
/// # Errors
/// As [`find`].
pub fn find_with_sha256(site: &Site, number: u32) -> io::Result<Option<(StoredPlan, String)>> {
    let file = match File::open(path(site, number)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Ok(None);
    }
    let sha256 = hex::encode(&Sha256::digest(&bytes));
    let plan: Option<StoredPlan> = serde_json::from_slice(&bytes).ok();
    Ok(plan.map(|plan| (plan, sha256)))
}

/// The numbers of all plans, the oldest first.
///
/// # Errors
/// Where they cannot be listed.
pub fn numbers(site: &Site) -> io::Result<Vec<u32>> {
    let entries = match fs::read_dir(site.plans()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut numbers = Vec::new();
    for entry in entries {
        numbers.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u32>().ok()),
        );
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn path(site: &Site, number: u32) -> PathBuf {
    site.plans().join(number.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use apu_proto::{Step, System, Transaction};
    use apu_site::report;

    use super::*;

    fn plan() -> StoredPlan {
        let step = Step::Remove {
            package: "foo:amd64".parse().unwrap(),
            old: "1".into(),
        };
        let plan = Plan {
            transaction: Transaction::new(vec![step]),
            system: System {
                release: "debian 12".into(),
                architecture: "amd64".into(),
            },
            ..Plan::default()
        };
        StoredPlan {
            at: 1_000_000.0,
            by: "alice".into(),
            target: "web".into(),
            operation: Operation::DistUpgrade,
            packages: Vec::new(),
            allow_remove: true,
            security: true,
            sources: vec!["openssl".parse().unwrap()],
            only_upgrade: true,
            hold: vec!["linux-*".parse().unwrap()],
            conffile_rules: HostsWithRules::of(
                [("web1".parse().unwrap(), vec!["keep:/etc/x".parse().unwrap()])].into_iter(),
            ),
            options: vec!["--soak".into(), "60s".into()],
            hosts: vec![("web1".parse().unwrap(), plan)],
            waves: vec![1],
            soak: 60,
            pause_limit: None,
            freeze: Vec::new(),
            check: None,
        }
    }

    #[test]
    fn a_plan_is_found_again_by_its_number_by_root_alone_and_the_oldest_go() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::below(directory.path());
        assert!(numbers(&site).unwrap().is_empty());
        for number in 1..=102 {
            assert_eq!(keep(&site, &plan()).unwrap(), number);
        }
        assert_eq!(numbers(&site).unwrap(), (3..=102).collect::<Vec<u32>>());
        assert_eq!(find(&site, 102).unwrap(), Some(plan()));
        assert_eq!(plan().trials()[0].1.conffile_rules[0].to_string(), "keep:/etc/x");
        assert_eq!(find(&site, 1).unwrap(), None);
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(site.plans()), mode(path(&site, 102))), (0o700, 0o600));
        // A file that was changed is no plan: its transaction has another identity.
        let text = fs::read_to_string(path(&site, 102)).unwrap();
        fs::write(path(&site, 102), text.replace("foo:amd64", "bar:amd64")).unwrap();
        assert_eq!(find(&site, 102).unwrap(), None);
    }

    #[test]
    fn a_plan_that_could_not_be_read_again_is_not_kept() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::below(directory.path());
        let bytes = serde_json::to_vec(&plan()).unwrap().len() as u64;
        let (text, status) = report(&keep_within(&site, &plan(), bytes - 1).unwrap_err());
        assert_eq!(
            text,
            format!(
                "error: cannot keep the plan\n  why: it has {bytes} bytes, and one of more than {} is not read again\n  \
                 try: make several plans, each of fewer hosts\n",
                bytes - 1
            )
        );
        assert_eq!(status, 2);
        assert!(numbers(&site).unwrap().is_empty());
        assert_eq!(keep_within(&site, &plan(), bytes).unwrap(), 1);
    }

    #[test]
    fn after_the_highest_number_there_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::below(directory.path());
        fs::create_dir_all(site.plans()).unwrap();
        fs::write(path(&site, u32::MAX - 1), "").unwrap();
        assert_eq!(keep(&site, &plan()).unwrap(), u32::MAX);
        let (text, status) = report(&keep(&site, &plan()).unwrap_err());
        assert!(text.contains("/4294967295 has the highest number"), "{text}");
        assert!(text.contains("\n  try: rm /"), "{text}");
        assert_eq!(status, 3);
        assert_eq!(find(&site, u32::MAX).unwrap(), Some(plan()));
    }

    #[test]
    fn a_plan_of_an_older_server_is_read_without_the_words_that_it_does_not_have() {
        let directory = tempfile::tempdir().unwrap();
        let site = Site::below(directory.path());
        let number = keep(&site, &plan()).unwrap();
        let mut value: serde_json::Value =
            serde_json::from_slice(&fs::read(path(&site, number)).unwrap()).unwrap();
        for word in [
            "options",
            "security",
            "sources",
            "only_upgrade",
            "hold",
            "conffile_rules",
        ] {
            assert!(value.as_object_mut().unwrap().remove(word).is_some());
        }
        fs::write(path(&site, number), value.to_string()).unwrap();
        let old = StoredPlan {
            options: Vec::new(),
            security: false,
            sources: Vec::new(),
            only_upgrade: false,
            hold: Vec::new(),
            conffile_rules: Vec::new(),
            ..plan()
        };
        assert_eq!(find(&site, number).unwrap(), Some(old));
    }

    #[test]
    fn hosts_with_the_same_rules_stand_together_and_those_without_nowhere() {
        let of = |host: &str, rules: &[&str]| {
            let rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
            (host.parse::<HostName>().unwrap(), rules)
        };
        let all = [
            of("web1", &["keep:/etc/x"]),
            of("db1", &[]),
            of("mx1", &["new:/etc/x"]),
            of("web2", &["keep:/etc/x"]),
        ];
        let shown: Vec<String> = (HostsWithRules::of(all.into_iter()).iter())
            .map(|with| {
                let hosts: Vec<&str> = with.hosts.iter().map(HostName::as_str).collect();
                format!("{} {}", hosts.join(" "), with.rules[0])
            })
            .collect();
        assert_eq!(shown, ["web1 web2 keep:/etc/x", "mx1 new:/etc/x"]);
    }

    #[test]
    fn a_plan_expires() {
        let plan = plan();
        for (seconds, is_valid) in [(0.0, true), (604_799.0, true), (604_800.0, false), (-61.0, false)] {
            assert_eq!(plan.is_valid(plan.at + seconds), is_valid, "{seconds}");
        }
    }
}
