//! `apu.toml`: the one reader of the server's settings. Every key is optional, an unknown one is an error.

mod error;
mod value;

use std::fs;
use std::io::ErrorKind;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

pub use error::SettingsError;
pub use value::{KeyExchange, Label, PackageName, Url, UserName};
use value::{seconds, seconds_or_off, url_or_none};

use crate::{Failure, Site};

/// All tables of `apu.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `[ssh]`
    pub ssh: Ssh,
    /// `[run]`
    pub run: Run,
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
    /// The port of the clients' sshd.
    pub port: NonZeroU16,
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
    /// How many handshakes run at once.
    pub handshakes: NonZeroUsize,
}

impl Default for Ssh {
    fn default() -> Self {
        Self {
            user: UserName::default(),
            port: NonZeroU16::new(22).unwrap_or(NonZeroU16::MIN),
            key: "/etc/apu-server/ssh/id_ed25519".into(),
            key_exchange: KeyExchange::Fast,
            connect_timeout: Duration::from_secs(10),
            keep_open: Duration::from_secs(60),
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
}

impl Default for Run {
    fn default() -> Self {
        Self {
            parallel: NonZeroUsize::new(50).unwrap_or(NonZeroUsize::MIN),
            timeout: Duration::from_secs(3600),
            lock_wait: Duration::from_secs(600),
        }
    }
}

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
    /// Packages that the clients take from here also where Debian has one of that name.
    pub may_replace: Vec<PackageName>,
}

impl Default for Archive {
    fn default() -> Self {
        Self {
            origin: Label::of("apu"),
            label: Label::of("apu"),
            suite: Label::of("local"),
            valid_days: NonZeroU16::new(30).unwrap_or(NonZeroU16::MIN),
            path: "/var/lib/apu-data/repo/local".into(),
            may_replace: Vec::new(),
        }
    }
}

/// `[[archives]]`: one more archive that the clients get.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoreArchive {
    /// What `apu repo` calls it.
    pub name: Label,
    /// Where it lies on the server.
    pub path: PathBuf,
    /// Where the clients find it.
    pub url: Url,
    /// Its suite; flat without one.
    #[serde(default)]
    pub suite: Option<Label>,
    /// Its components.
    #[serde(default)]
    pub components: Vec<Label>,
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
        Ok(settings)
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
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                Err(failure().why(error).advise("run it as root, with sudo"))
            }
            Err(error) => Err(failure()
                .why(error)
                .advise(format!("make {} a text file in UTF-8", path.display()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::{KeyExchange, Settings};

    #[test]
    fn an_empty_file_is_all_defaults() {
        assert_eq!(Settings::parse("").unwrap(), Settings::default());
        assert_eq!(
            Settings::parse("[client]\nurl = ''\nproxy = ''\n").unwrap(),
            Settings::default()
        );
    }

    #[test]
    fn every_key_is_read() {
        let settings = Settings::parse(
            "[ssh]\nuser='push'\nport=2222\nkey='/k'\nkey_exchange='post-quantum'\nconnect_timeout=3\n\
             keep_open=0\nhandshakes=8\n[run]\nparallel=5\ntimeout=7\nlock_wait=9\n[client]\nexclusive=true\n\
             url='http://apu.example.org/local'\nproxy='http://apu.example.org:3128'\n[archive]\norigin='Site'\n\
             label='Site'\nsuite='stable'\nmay_replace=['nginx']\nvalid_days=7\npath='/srv/local'\n[[archives]]\nname='extra'\n\
             path='/srv/extra'\nurl='http://apu.example.org/extra'\nsuite='bookworm'\ncomponents=['main']\n",
        )
        .unwrap();
        assert_eq!(settings.ssh.key_exchange, KeyExchange::PostQuantum);
        assert_eq!(settings.ssh.keep_open, Duration::ZERO);
        assert_eq!(settings.run.parallel.get(), 5);
        assert_eq!(
            settings.client.proxy.unwrap().as_str(),
            "http://apu.example.org:3128"
        );
        assert_eq!(settings.archives[0].components[0].as_str(), "main");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
        let error = Settings::parse("[ssh]\nuser = 'apu'\nprot = 22\n").unwrap_err();
        assert_eq!(error.to_string(), "line 3: there is no key `prot`");
        assert_eq!(
            error.advice(Path::new("/etc/apu-server/apu.toml")),
            "write `port` instead in /etc/apu-server/apu.toml"
        );
    }

    #[test]
    fn a_value_that_cannot_be_is_named_with_its_line() {
        for (text, expected) in [
            ("[ssh]\nport = 0\n", "line 2: `port = 0`: "),
            ("[ssh]\nport = 70000\n", "line 2: `port = 70000`: "),
            ("[ssh]\nuser = '-oProxyCommand=id'\n", "line 2: "),
            ("[ssh]\nkey_exchange = 'slow'\n", "line 2: "),
            ("[run]\ntimeout = 0\n", "line 2: "),
            ("[run]\nparallel = -1\n", "line 2: "),
            ("[client]\nurl = 'http://a b/'\n", "line 2: "),
            ("[client]\nurl = 'file:/local'\n", "line 2: "),
            ("[client]\nproxy = 'http://x/\"; evil \"'\n", "line 2: "),
            ("[archive]\norigin = \"a\\nb\"\n", "line 2: "),
            ("[archive]\nsuite = ' local'\n", "line 2: "),
            ("[archive]\nmay_replace = ['*']\n", "line 2: "),
            ("[archive\n", "line 1: "),
        ] {
            let error = Settings::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?} gave {error:?}");
        }
    }

    #[test]
    fn a_relative_path_is_refused() {
        let error = Settings::parse("[archive]\npath = 'local'\n").unwrap_err();
        assert_eq!(error.to_string(), "[archive] path: local is not an absolute path");
    }
}
