//! Which archive is meant, and what its Release says.

use std::fmt;
use std::path::{Path, PathBuf};

use apu_archive::{Archive, ArchiveError, Labels, Layout, Suite};
use apu_archive::{MachineArchitecture, Word};
use apu_site::settings::MoreArchive;
use apu_site::{Failure, Settings, Site, Ui, archive_failure, labels_of, own_labels};
use clap::Args;

/// A suite as an option.
#[derive(Debug, Args, Default)]
pub(super) struct InSuite {
    /// A suite of the archive: its indexes are in DIR/dists/SUITE, its .debs in DIR/pool/SUITE/COMPONENT.
    ///
    /// An archive that apu.toml names needs no such word, nor does a directory that has one suite.
    #[arg(long, value_name = "SUITE")]
    pub(super) suite: Option<Word>,
}

/// What of an archive apu.toml says, or else the command line.
#[derive(Debug, Args, Default)]
pub(super) struct Wishes {
    /// A component that the suite has also without a .deb; every directory of its pool is one too.
    #[arg(long = "component", value_name = "COMPONENT")]
    components: Vec<Word>,

    /// An architecture that the suite has also without a .deb for it.
    ///
    /// Clients of an architecture that a suite does not have do not see its packages for all architectures.
    #[arg(long = "architecture", value_name = "ARCHITECTURE")]
    architectures: Vec<MachineArchitecture>,

    /// Write which file is in which package, for apt-file; without this word, it is as it was.
    #[arg(long, value_name = "yes|no", num_args = 0..=1, require_equals = true, default_missing_value = "yes",
          value_parser = yes_or_no)]
    contents: Option<bool>,
}

fn yes_or_no(word: &str) -> Result<bool, String> {
    match word {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("it is yes or no".to_owned()),
    }
}

/// An archive that can be opened.
pub(super) struct Target {
    pub(super) dir: PathBuf,
    pub(super) labels: Labels,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.dir.display())?;
        match self.suite() {
            Some(suite) => write!(f, ", suite {suite}"),
            None => Ok(()),
        }
    }
}

impl Target {
    /// The site's own archive.
    pub(super) fn own(site: &Site, settings: &Settings) -> Self {
        Self {
            dir: site.at(&settings.archive.path),
            labels: own_labels(settings),
        }
    }

    /// One of `[[archives]]`.
    pub(super) fn named(site: &Site, settings: &Settings, archive: &MoreArchive) -> Self {
        Self {
            dir: site.at(&archive.path),
            labels: labels_of(settings, archive),
        }
    }

    /// What the words mean: `word` is a directory or a name in apu.toml.
    pub(super) fn of(
        word: Option<&Path>,
        suite: &InSuite,
        wishes: &Wishes,
        site: &Site,
        settings: &Settings,
    ) -> Result<Self, Failure> {
        let Some(word) = word else {
            return Self::own(site, settings).without_wishes(suite, wishes, site);
        };
        let suite_is = |archive: &&MoreArchive| suite.suite.is_none() || suite.suite == archive.suite;
        let by_name = settings
            .archives
            .iter()
            .find(|archive| word == Path::new(archive.name.as_str()));
        let by_path = settings
            .archives
            .iter()
            .filter(|archive| word == site.at(&archive.path));
        let by_path: Vec<&MoreArchive> = by_path.filter(suite_is).collect();
        if let [first, second, ..] = by_path[..] {
            return Err(
                Failure::words(format!("apu.toml has several archives in {}", word.display())).advise(
                    format!("say which, by its name: {} or {}", first.name, second.name),
                ),
            );
        }
        if let Some(archive) = by_name.or(by_path.first().copied()) {
            return Self::named(site, settings, archive).without_wishes(suite, wishes, site);
        }
        if word == site.at(&settings.archive.path) {
            return Self::own(site, settings).without_wishes(suite, wishes, site);
        }
        Self::foreign(word, suite, wishes, settings)
    }

    /// What apu.toml says is not to be said otherwise by the way: the clients' sources follow apu.toml.
    fn without_wishes(self, suite: &InSuite, wishes: &Wishes, site: &Site) -> Result<Self, Failure> {
        let other_suite = suite
            .suite
            .as_ref()
            .filter(|suite| self.suite() != Some(suite.as_str()));
        let option = if other_suite.is_some() {
            "--suite"
        } else if !wishes.architectures.is_empty() {
            "--architecture"
        } else if wishes.contents.is_some() {
            "--contents"
        } else {
            return wishes
                .components
                .iter()
                .try_for_each(|word| self.has(word, site))
                .map(|()| self);
        };
        Err(Failure::words(format!(
            "{self} is an archive of apu.toml, which has the word instead of {option}"
        ))
        .advise(format!("write it into {}", site.settings().display())))
    }

    /// Whether the clients of an archive of apu.toml see that component.
    pub(super) fn has(&self, component: &Word, site: &Site) -> Result<(), Failure> {
        match &self.labels.layout {
            Layout::Suite(suite) if suite.components.is_empty() || suite.components.contains(component) => {
                Ok(())
            }
            Layout::Suite(_) => Err(
                Failure::words(format!("{self} has no component {component}")).advise(format!(
                    "write it into components in {}",
                    site.settings().display()
                )),
            ),
            Layout::Flat => Err(Failure::words(format!("{self} is flat, and has no components"))
                .advise("leave --component out, or say --suite")),
        }
    }

    /// A directory that is not for our clients.
    fn foreign(dir: &Path, suite: &InSuite, wishes: &Wishes, settings: &Settings) -> Result<Self, Failure> {
        let labels = Labels {
            // It may hold what it likes.
            essential: None,
            contents: wishes.contents,
            ..own_labels(settings)
        };
        let dir = dir.to_owned();
        let there = apu_archive::suites(&dir);
        let name = match (&suite.suite, &there[..]) {
            (Some(name), _) => name.clone(),
            (None, [one]) => one.parse().map_err(|error: String| Failure::words(error))?,
            (None, []) => {
                let target = Self { dir, labels };
                let has_wishes = !(wishes.components.is_empty() && wishes.architectures.is_empty());
                return if has_wishes {
                    Err(Failure::words(format!("{target} is flat, and has no components"))
                        .advise("leave --component and --architecture out, or say --suite"))
                } else {
                    Ok(target)
                };
            }
            (None, several) => {
                return Err(Failure::words(format!("{} has several suites", dir.display()))
                    .advise(format!("say which: --suite {}", several.join(" or --suite "))));
            }
        };
        let labels = labels.in_suite(Suite {
            name,
            components: wishes.components.clone(),
            architectures: wishes.architectures.clone(),
        });
        Ok(Self { dir, labels })
    }

    /// The name of the suite.
    pub(super) fn suite(&self) -> Option<&str> {
        self.labels.layout.suite()
    }

    /// Opens it to change it.
    pub(super) fn open(&self, ui: &Ui, site: &Site, who: &str) -> Result<Archive, Failure> {
        let dir = self.dir.display();
        if !self.dir.is_dir() {
            return Err(match self.dir.symlink_metadata() {
                Ok(_) => Failure::words(format!("{dir} is no directory"))
                    .advise(format!("name a directory, or look at `ls -ld {dir}`")),
                Err(_) => {
                    Failure::words(format!("there is no directory {dir}")).advise(format!("mkdir -p {dir}"))
                }
            });
        }
        // Nothing is made here for an archive that nobody could sign.
        apu_site::archive_key_is_at(&site.archive_key())?;
        let site = site.clone();
        let keys = move || apu_site::archive_keys(&site).map_err(Into::into);
        let waiting =
            |holder: &str| ui.complain(&(format!("waiting for {holder} to finish with {dir}") + "\n"));
        Archive::open(&self.dir, self.labels.clone(), keys, who, &waiting)
            .map_err(|error| archive_failure(error, &self.dir))
    }

    pub(super) fn failed(&self) -> impl Fn(ArchiveError) -> Failure {
        |error| archive_failure(error, &self.dir)
    }
}
