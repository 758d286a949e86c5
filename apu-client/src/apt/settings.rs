//! Reads apt's configuration as apt itself understands it: the output of `apt-config dump`.
//!
//! The format is fixed to `NAME=VALUE`, both percent-encoded by apt, so that no value can look like another line.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment::ENVIRONMENT;
use crate::os::atomic_file::replace;
use crate::os::spawn;

const APT_CONFIG: &str = "/usr/bin/apt-config";

/// Time limit for apt-config; far more than it needs.
const APT_CONFIG_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximal number of settings; Debian's defaults are about 230.
const MAX_SETTINGS: usize = 20_000;

/// All settings of apt, in its order. Names are in lower case, since apt ignores their case; the name of a list item
/// ends with `::`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings(Vec<Setting>);

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting {
    /// As apt prints it.
    pub(crate) shown: String,
    /// In lower case, and without the scope `Binary::apt-get`, which overrides all others for apt-get.
    pub(crate) name: String,
    pub(crate) value: String,
}

/// All settings as apt prints them, a line each.
impl fmt::Display for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|setting| writeln!(formatter, "{:?}={:?}", setting.shown, setting.value))
    }
}

impl Settings {
    /// Asks apt-config.
    pub(crate) fn ask() -> io::Result<Self> {
        Self::ask_with(&ENVIRONMENT)
    }

    /// Returns apt's defaults. `without_files` is where a configuration file is written that keeps apt from reading any
    /// other.
    pub(crate) fn built_in(without_files: &Path) -> io::Result<Self> {
        let text = "Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\n";
        replace(without_files, text.as_bytes())?;
        let file = format!("APT_CONFIG={}", without_files.display());
        let mut environment = ENVIRONMENT.to_vec();
        environment.push(&file);
        Self::ask_with(&environment)
    }

    fn ask_with(environment: &[&str]) -> io::Result<Self> {
        let arguments = ["dump", "--format", "%F=%V%n"];
        let captured = spawn::capture(APT_CONFIG, &arguments, environment, APT_CONFIG_TIMEOUT)?;
        if !captured.succeeded() {
            let why = captured
                .stderr
                .trim()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned();
            return Err(io::Error::other(why));
        }
        Self::parse(&captured.stdout).ok_or_else(|| {
            io::Error::other("apt-config dump printed no settings, as where help or version is set there")
        })
    }

    /// Parses the output of `apt-config dump --format %F=%V%n`; none where a line has another form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut settings = Vec::new();
        for line in text.lines() {
            let (name, value) = line.split_once('=')?;
            let shown = decode(name);
            let lower = shown.to_ascii_lowercase();
            let name = lower
                .strip_prefix("binary::apt-get::")
                .map_or(lower.clone(), str::to_owned);
            let value = decode(value);
            settings.push(Setting { shown, name, value });
        }
        // apt always has the setting `Dir`, so a text without it is no dump.
        let is_whole = settings.len() <= MAX_SETTINGS && settings.iter().any(|setting| setting.name == "dir");
        is_whole.then_some(Self(settings))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }

    /// Returns the value of a setting; empty where it is not set. apt-get's own scope takes precedence.
    pub(crate) fn find(&self, name: &str) -> &str {
        let name = name.to_ascii_lowercase();
        let mut found = self.0.iter().rev().filter(|setting| setting.name == name);
        let own = (self.0.iter()).find(|setting| setting.name == name && is_of_apt_get(setting));
        own.or_else(|| found.next())
            .map_or("", |setting| setting.value.as_str())
    }

    /// Returns a path as apt computes it: a relative path is below its parent setting, and everything is below
    /// `RootDir`. Empty where the setting is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let mut path = self.find(name).to_owned();
        if path.is_empty() {
            return PathBuf::new();
        }
        let mut name = name;
        while !path.starts_with(['/', '~']) && !path.starts_with("./") {
            let Some((parent, _)) = name.rsplit_once("::") else {
                break;
            };
            name = parent;
            let above = self.find(parent);
            if above.is_empty() {
                break;
            }
            path = format!("{}/{path}", above.trim_end_matches('/'));
        }
        if path.starts_with("/dev/null") {
            return PathBuf::from("/dev/null");
        }
        // Without the doubled slashes that joining may leave.
        let path: PathBuf = Path::new(&path).components().collect();
        match self.find("RootDir") {
            "" => path,
            root => Path::new(root).join(path.strip_prefix("/").unwrap_or(&path)),
        }
    }
}

fn is_of_apt_get(setting: &Setting) -> bool {
    setting
        .shown
        .to_ascii_lowercase()
        .starts_with("binary::apt-get::")
}

/// Decodes apt's percent-encoding.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                bytes.push(high * 16 + low);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    /// What apt-config reads of a configuration file, and what it computes of the paths that it is asked for.
    fn apt(text: &str, paths: &[&str]) -> (Settings, Vec<PathBuf>) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("apt.conf");
        fs::write(&file, text).unwrap();
        let run = |arguments: &[&str]| {
            let mut command = Command::new(APT_CONFIG);
            command.args(arguments).env("APT_CONFIG", &file);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let settings = Settings::parse(&run(&["dump", "--format", "%F=%V%n"])).unwrap();
        let computed = paths.iter().map(|path| {
            let said = run(&["shell", "X", &format!("{path}/f")]);
            let said = said.trim_end().strip_prefix("X=").unwrap_or_default();
            PathBuf::from(said.trim_matches('\'')).components().collect()
        });
        (settings, computed.collect())
    }

    #[test]
    fn paths_are_those_that_apt_computes() {
        const ASKED: [&str; 5] = [
            "Dir::State::lists",
            "Dir::Cache::archives",
            "Dir::Etc::sourcelist",
            "Dir::Etc::sourceparts",
            "Dir::State::status",
        ];
        for text in [
            "",
            "Dir::Cache::Archives \"/srv/cache\";",
            "Dir::Cache \"/srv/cache\";",
            "Dir::Cache \"cache/\"; Dir::Cache::archives \"a/b//\";",
            "Dir \"/else\";",
            "Dir::Etc::SourceList \"/dev/null\";",
            "Dir::Etc::SourceList \"/dev/null/\"; Dir::State \"s\"; dir::state::LISTS \"l\";",
            "Dir::Etc { \"x\"; }; Dir::Etc::sourceparts \"./here\";",
        ] {
            let (settings, computed) = apt(text, &ASKED);
            for (path, expected) in ASKED.iter().zip(computed) {
                assert_eq!(settings.path(path), expected, "{path} with {text}");
            }
        }
    }

    #[test]
    fn no_value_can_pretend_to_be_a_setting() {
        let text = "APT::Foo \"a\\b=c%0aDir=/x\"; \"we=ird\"::x \"1\"; DPkg::Options { \"--a=b c\"; };";
        let (settings, _) = apt(text, &[]);
        assert_eq!(settings.find("Dir"), "/");
        assert_eq!(settings.find("apt::foo"), "a\\b=c%0aDir=/x");
        assert_eq!(settings.find("DPkg::Options::"), "--a=b c");
    }

    #[test]
    fn the_scope_of_apt_get_comes_first() {
        let (settings, _) = apt("Binary::apt-get::APT::Color \"1\"; APT::Color \"0\";", &[]);
        assert_eq!(settings.find("APT::Color"), "1");
    }

    #[test]
    fn what_apt_has_by_itself_is_asked_without_the_machines_files() {
        let directory = tempfile::tempdir().unwrap();
        let built_in = Settings::built_in(&directory.path().join("none.conf")).unwrap();
        assert_eq!(built_in.find("Dir"), "/");
        assert_eq!(built_in.find("Dir::Etc::parts"), "/dev/null");
        assert_eq!(built_in.find("DPkg::Pre-Install-Pkgs::"), "");
    }

    #[test]
    fn what_is_no_dump_gives_no_settings() {
        for text in ["", "Dir \"/\";\n", "x=1\n", "Dir=/\nno line\n"] {
            assert_eq!(Settings::parse(text), None, "{text:?}");
        }
    }
}
