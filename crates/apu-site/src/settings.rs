//! `apu.toml`: the one reader of the server's settings. Every key is optional, an unknown one is an error.

mod command;
mod conffile_paths;
mod duration;
mod error;
mod max_failures;
mod number_or_text;
mod service_glob;
mod slot;
mod value;
mod wave_size;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use apu_archive::{Label, MachineArchitecture, Word};
use apu_debian::{PackageName, UserName, Windows};
use serde::Deserialize;

pub use command::CommandLine;
pub use conffile_paths::ConffilePaths;
pub use duration::duration;
use duration::{seconds, seconds_or_off, some_seconds_or_off};
pub use error::SettingsError;
pub use max_failures::MaxFailures;
pub use service_glob::ServiceGlob;
pub use slot::{Calendar, LONGEST_NOTICE, MailAddress, Notices, Slot, SlotOperation, TellOn, Webhook};
use value::url_or_none;
pub use value::{KeyExchange, Url};
pub use wave_size::{Canary, WaveSize, WaveSizes};

use crate::{Failure, Site, io_advice};

/// All tables of `apu.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `[ssh]`
    pub ssh: Ssh,
    /// `[run]`
    pub run: Run,
    /// `[rollout.CLASS]`, by the class; `all` holds for every target.
    pub rollout: BTreeMap<String, Rollout>,
    /// `[maintenance.CLASS]`: when the hosts of a class may change packages; `all` holds for every host.
    pub maintenance: BTreeMap<String, Windows>,
    /// `[protect]`: the services of a class that no change of packages restarts; `all` holds for every host.
    pub protect: BTreeMap<String, Vec<ServiceGlob>>,
    /// `[conffiles.CLASS]`, by the class; `all` holds for every host.
    pub conffiles: BTreeMap<String, ConffilePaths>,
    /// `[hooks]`
    pub hooks: Hooks,
    /// `[slot.NAME]`: when a class is updated without a hand.
    pub slot: BTreeMap<String, Slot>,
    /// `[notices]`: who is told of that.
    pub notices: Notices,
    /// `[client]`
    pub client: Client,
    /// `[archive]`
    pub archive: Archive,
    /// `[[archives]]`
    pub archives: Vec<MoreArchive>,
}

/// `[ssh]`: how the server reaches its clients.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ssh {
    /// The user on the clients.
    pub user: UserName,
    /// The port of the clients' sshd; without one, what root's ssh configuration says.
    pub port: Option<NonZeroU16>,
    /// The push key.
    pub key: PathBuf,
    /// Which key exchange is asked for first.
    pub key_exchange: KeyExchange,
    /// How long a client may take to answer.
    #[serde(deserialize_with = "seconds")]
    pub connect_timeout: Duration,
    /// How long a connection is kept for the next operation; zero is not at all.
    #[serde(deserialize_with = "seconds_or_off")]
    pub keep_open: Duration,
    /// How many idle connections are kept at most.
    pub most_kept: NonZeroUsize,
    /// How many hosts are talked to at once, however many are at work.
    pub connections: NonZeroUsize,
    /// How many handshakes run at once.
    pub handshakes: NonZeroUsize,
}

impl Default for Ssh {
    fn default() -> Self {
        Self {
            user: UserName::of("apu"),
            port: None,
            key: "/etc/apu-server/ssh/id_ed25519".into(),
            key_exchange: KeyExchange::Fast,
            connect_timeout: Duration::from_secs(10),
            keep_open: Duration::from_secs(60),
            most_kept: NonZeroUsize::new(200).unwrap_or(NonZeroUsize::MIN),
            connections: NonZeroUsize::new(64).unwrap_or(NonZeroUsize::MIN),
            handshakes: NonZeroUsize::new(16).unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// `[run]`: limits of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// How many hosts work at once.
    pub parallel: NonZeroUsize,
    /// How long the server waits for one host.
    #[serde(deserialize_with = "seconds")]
    pub timeout: Duration,
    /// How long a client waits for apt's and dpkg's locks.
    #[serde(deserialize_with = "seconds_or_off")]
    pub lock_wait: Duration,
    /// How many hosts may fail before no more are started; without it, every host has its turn.
    pub max_failures: Option<MaxFailures>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            parallel: NonZeroUsize::new(50).unwrap_or(NonZeroUsize::MIN),
            timeout: Duration::from_secs(3600),
            lock_wait: Duration::from_secs(600),
            max_failures: None,
        }
    }
}

/// `[rollout.CLASS]`: in which order the hosts of a class change. Without a key, that of `[rollout.all]` holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rollout {
    /// Which hosts change first; without it, one host for each distinct transaction.
    pub canary: Option<Canary>,
    /// The sizes of the waves; without it, the canaries and then all others.
    pub waves: Option<WaveSizes>,
    /// How long the hosts of a wave have to stay well before the next one starts.
    #[serde(deserialize_with = "some_seconds_or_off")]
    pub soak: Option<Duration>,
    /// How long an administrator's decision is waited for where it cannot be told whether the hosts of a wave are well.
    #[serde(deserialize_with = "some_seconds_or_off")]
    pub pause_limit: Option<Duration>,
    /// How long ago this server must have first seen a .deb before it is installed.
    #[serde(deserialize_with = "some_seconds_or_off")]
    pub min_age: Option<Duration>,
    /// Whether security updates may come at any age.
    pub security_at_once: Option<bool>,
    /// The command on this server that checks a host after its change.
    pub check: Option<CommandLine>,
    /// The origins whose .debs the canaries give for the later waves, as globs.
    pub freeze: Option<Vec<String>>,
}

/// `[hooks]`: the programs in `/etc/apu-server/hooks.d`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// How long one of them may take.
    #[serde(deserialize_with = "seconds")]
    pub timeout: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(600),
        }
    }
}

/// How long an administrator's decision is waited for where nothing says so.
pub const PAUSE_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// `[client]`: what apu-data brings to the clients.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    /// The clients' apt runs use the sources of apu-data and no others.
    pub exclusive: bool,
    /// Where the clients find the archive; by default `http://` this host's name `/local`.
    #[serde(deserialize_with = "url_or_none")]
    pub url: Option<Url>,
    /// The proxy that the clients fetch through.
    #[serde(deserialize_with = "url_or_none")]
    pub proxy: Option<Url>,
}

/// `[archive]`: the site's own archive.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// Release's Origin.
    pub origin: Label,
    /// Release's Label.
    pub label: Label,
    /// Release's Suite.
    pub suite: Label,
    /// How many days a signature is good for.
    pub valid_days: NonZeroU16,
    /// Where it lies.
    pub path: PathBuf,
    /// Packages that the clients take from here, and from the archives of `[[archives]]`, also where Debian has one
    /// of that name.
    pub may_replace: Vec<PackageName>,
    /// Whether it says which file is in which package.
    pub contents: bool,
}

impl Default for Archive {
    fn default() -> Self {
        Self {
            origin: Label::of("apu"),
            label: Label::of("apu"),
            suite: Label::of("local"),
            valid_days: NonZeroU16::new(7).unwrap_or(NonZeroU16::MIN),
            path: "/var/lib/apu-data/repo/local".into(),
            may_replace: Vec::new(),
            contents: false,
        }
    }
}

/// `[[archives]]`: one more archive that the clients get.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoreArchive {
    /// What `apu repo` calls it, and its Release's Label.
    pub name: Label,
    /// Where it lies on the server.
    pub path: PathBuf,
    /// Where the clients find it.
    pub url: Url,
    /// Its suite; flat without one.
    #[serde(default)]
    pub suite: Option<Word>,
    /// Its components; `main` where a suite names none.
    #[serde(default)]
    components: Vec<Word>,
    /// Architectures that the suite has also while no package is for them.
    #[serde(default)]
    pub architectures: Vec<MachineArchitecture>,
    /// Whether it says which file is in which package.
    #[serde(default)]
    pub contents: bool,
}

impl MoreArchive {
    /// The components of its suite; a flat one has none.
    #[must_use]
    pub fn components(&self) -> Vec<Word> {
        if self.suite.is_some() && self.components.is_empty() {
            vec![Word::of("main")]
        } else {
            self.components.clone()
        }
    }

    /// Suites share a directory; a flat archive has it for itself.
    fn leaves_room_for(&self, other: &Self) -> bool {
        self.path != other.path || self.suite.is_some() && other.suite.is_some() && self.suite != other.suite
    }

    fn is_flat_and_has_more(&self) -> bool {
        self.suite.is_none() && !(self.components.is_empty() && self.architectures.is_empty())
    }
}

impl Settings {
    /// Reads the text of `apu.toml`.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text).map_err(|error| SettingsError::new(text, &error))?;
        for (key, path) in settings.paths() {
            if !path.is_absolute() {
                return Err(SettingsError::Relative {
                    key,
                    path: path.clone(),
                });
            }
        }
        settings.check_archives()?;
        for (name, slot) in &settings.slot {
            slot.check(name, &settings.notices)
                .map_err(|problem| SettingsError::Slot {
                    name: name.clone(),
                    problem,
                })?;
        }
        Ok(settings)
    }

    /// How the hosts of a target change: as its own class says, and as `all` says where that says nothing.
    #[must_use]
    pub fn rollout(&self, target: &str) -> Rollout {
        let of = |name: &str| self.rollout.get(name).cloned().unwrap_or_default();
        let (own, all) = (of(target.trim()), of("all"));
        Rollout {
            canary: own.canary.or(all.canary),
            waves: own.waves.or(all.waves),
            soak: own.soak.or(all.soak),
            pause_limit: own.pause_limit.or(all.pause_limit),
            check: own.check.or(all.check),
            freeze: own.freeze.or(all.freeze),
            min_age: own.min_age.or(all.min_age),
            security_at_once: own.security_at_once.or(all.security_at_once),
        }
    }

    fn check_archives(&self) -> Result<(), SettingsError> {
        for (number, archive) in self.archives.iter().enumerate() {
            let before = &self.archives[..number];
            let problem = if archive.is_flat_and_has_more() {
                "components and architectures belong to a suite, and it has none"
            } else if before.iter().any(|other| other.name == archive.name) {
                "another archive has that name"
            } else if self.archive.path == archive.path
                || before.iter().any(|other| !other.leaves_room_for(archive))
            {
                "another archive lies in its path"
            } else {
                continue;
            };
            let name = archive.name.to_string();
            return Err(SettingsError::Archive { name, problem });
        }
        Ok(())
    }

    fn paths(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        [
            ("[ssh] key", &self.ssh.key),
            ("[archive] path", &self.archive.path),
        ]
        .into_iter()
        .chain(
            self.archives
                .iter()
                .map(|archive| ("[[archives]] path", &archive.path)),
        )
    }

    /// Reads the site's `apu.toml`; without one every setting has its default.
    pub fn read(site: &Site) -> Result<Self, Failure> {
        let path = site.settings();
        let failure = || Failure::words(format!("cannot read the settings in {}", path.display()));
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).map_err(|error| {
                let advice = error.advice(&path);
                failure().why(error).advise(advice)
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => {
                let (_, advice) = io_advice(&error, &path);
                Err(failure().why(error).advise(advice))
            }
        }
    }
}

#[cfg(test)]
mod tests;
