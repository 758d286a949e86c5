//! Builds the arguments of apt-get and apt-cache.
//!
//! Every call has the same fixed settings. apt interprets names as patterns, so a package name reaches it only inside
//! `?and(?exact-name(N),?architecture(A))`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use apu_debian::PackageName;
use apu_proto::Operation;

use super::fixed_settings::FIXED_SETTINGS;
use super::preferences::Preferences;
use crate::dpkg::{Conffiles, dpkg_forces};
use crate::os::paths::ClientPaths;
use crate::os::spawn::STATUS_FD;

pub(crate) const APT_GET: &str = "/usr/bin/apt-get";
pub(crate) const APT_CACHE: &str = "/usr/bin/apt-cache";

/// The command of apt-get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Update,
    Upgrade,
    DistUpgrade,
    Install,
    Reinstall,
    /// Upgrades the named packages and what they need; only to see what that is, since it would mark them as manually
    /// installed.
    OnlyUpgrade,
    FixBroken,
    Remove,
    Autoremove,
    Clean,
    Check,
}

impl Verb {
    /// Returns the command for an operation that changes the machine; none for the others.
    pub(crate) const fn of(operation: Operation) -> Option<Self> {
        Some(match operation {
            Operation::Update => Self::Update,
            Operation::Upgrade => Self::Upgrade,
            Operation::DistUpgrade => Self::DistUpgrade,
            Operation::Install => Self::Install,
            Operation::Remove => Self::Remove,
            Operation::Autoremove => Self::Autoremove,
            Operation::Clean => Self::Clean,
            Operation::Ping
            | Operation::Hold
            | Operation::Unhold
            | Operation::Conffile
            | Operation::Showhold
            | Operation::Status
            | Operation::Check
            | Operation::Health
            | Operation::Conffiles
            | Operation::Reboot
            | Operation::RestartServices
            | Operation::SendDebs
            | Operation::TakeDebs
            | Operation::Attach => return None,
        })
    }

    const fn words(self) -> &'static [&'static str] {
        match self {
            Self::Update => &["update"],
            Self::Upgrade => &["upgrade"],
            Self::DistUpgrade => &["dist-upgrade"],
            Self::Install | Self::Reinstall | Self::OnlyUpgrade | Self::FixBroken => &["install"],
            Self::Remove => &["remove"],
            Self::Autoremove => &["autoremove"],
            Self::Clean => &["clean"],
            Self::Check => &["check"],
        }
    }
}

/// One call of apt-get.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) verb: Verb,
    /// The packages, each an exact name and its architecture.
    pub(crate) packages: Vec<(PackageName, String)>,
    /// Whether the transaction may remove packages.
    pub(crate) remove: bool,
    pub(crate) conffiles: Conffiles,
    /// Whether to fetch the .debs alone.
    is_download_only: bool,
    /// Options that select the sources and the place of their lists; empty for the machine's own.
    sources: Vec<String>,
    /// Packages that stay at their version, as apt_preferences(5) names them, and the file that says so.
    stay: Vec<String>,
    preferences: Option<Arc<Preferences>>,
    /// Whether the machine's own preferences count.
    has_own_preferences: bool,
    /// Options that undo settings of this machine alone, and the machine id that all machines of a site share.
    machine: Vec<String>,
}

impl Call {
    pub(crate) fn new(paths: &ClientPaths, verb: Verb, conffiles: Conffiles) -> Self {
        Self {
            verb,
            packages: Vec::new(),
            remove: matches!(verb, Verb::Remove | Verb::Autoremove),
            conffiles,
            sources: source_options(paths),
            stay: Vec::new(),
            preferences: None,
            is_download_only: false,
            has_own_preferences: true,
            machine: paths.apt_overrides().to_vec(),
        }
    }

    /// Makes apt read the site's own archives only; the lists of all others stay as they are.
    pub(crate) fn use_site_archives(mut self, paths: &ClientPaths) -> Self {
        self.sources = vec![
            format!("Dir::Etc::SourceList={}", paths.site_sources().display()),
            "Dir::Etc::SourceParts=/dev/null".into(),
            // Otherwise apt would delete every list that belongs to none of these sources.
            "APT::Get::List-Cleanup=false".into(),
            // A cache of these lists alone is of no use to the next call, which reads all of them.
            "pkgCacheFile::Generate=false".into(),
        ];
        self.sources.extend(lists_of_our_own(paths));
        self
    }

    /// The same with lists in a separate directory: they were verified with a key that the machine does not use for
    /// this archive.
    pub(crate) fn use_site_archives_separately(mut self, paths: &ClientPaths) -> Self {
        self = self.use_site_archives(paths);
        let is_list =
            |option: &str| option.starts_with("Dir::State::lists=") || option.starts_with("Dir::Cache::");
        self.sources.retain(|option| !is_list(option));
        let lists = format!("Dir::State::lists={}", paths.site_lists().display());
        self.sources.push(lists);
        self
    }

    /// Makes apt install apu-data from the site's own archives whatever the machine's other sources and preferences
    /// say: apu-data may have to repair these.
    pub(crate) fn for_apu_data(mut self, paths: &ClientPaths, apart: bool) -> Self {
        self = if apart {
            self.use_site_archives_separately(paths)
        } else {
            self.use_site_archives(paths)
        };
        self.has_own_preferences = false;
        // apt would take the cache of all sources for that of these, or find none; it builds one in memory.
        let is_cache =
            |option: &str| option.starts_with("pkgCacheFile::") || option.starts_with("Dir::Cache::");
        self.sources.retain(|option| !is_cache(option));
        self.sources.extend([
            "Dir::Cache::pkgcache=".into(),
            "Dir::Cache::srcpkgcache=".into(),
            "Dir::Etc::Preferences=/dev/null".into(),
            "Dir::Etc::PreferencesParts=/dev/null".into(),
            "APT::Default-Release=".into(),
        ]);
        self
    }

    /// Makes more packages stay at their version in this call, whatever the machine's own preferences say.
    pub(crate) fn stay_at_version(
        mut self,
        paths: &ClientPaths,
        packages: impl IntoIterator<Item = String>,
    ) -> io::Result<Self> {
        self.stay.extend(packages);
        if !self.stay.is_empty() {
            self.preferences = Some(Arc::new(Preferences::write(
                paths,
                &self.stay,
                self.has_own_preferences,
            )?));
        }
        Ok(self)
    }

    /// Makes the call fetch the .debs, and change no package and no mark.
    pub(crate) fn download_only(mut self) -> Self {
        self.is_download_only = true;
        self
    }

    /// Returns the arguments that only simulate.
    pub(crate) fn simulation(&self) -> Vec<String> {
        self.arguments(&[
            "-o",
            "APT::Get::Simulate=true",
            "-o",
            "Debug::NoLocking=true",
            // apt would put a compressed copy of what it planned with over that of the last real run, and take longer
            // for it than for everything else.
            "-o",
            "Dir::Log::Planner=/dev/null",
        ])
    }

    /// Returns the arguments that only print what would be downloaded, with the checksums, and how much disk space would
    /// be used.
    pub(crate) fn print_uris(&self) -> Vec<String> {
        self.arguments(&[
            "--print-uris",
            "-o",
            "Acquire::ForceHash=SHA256",
            // What lies in the cache is not printed, so there is no cache.
            "-o",
            "Dir::Cache::archives=/nonexistent/",
            "-o",
            "APT::Get::Simulate=false",
            "-o",
            "Debug::NoLocking=true",
        ])
    }

    /// Returns the arguments that carry the call out, with apt's progress on [`STATUS_FD`] and `lock_wait` seconds to
    /// wait for dpkg's lock.
    pub(crate) fn action(&self, lock_wait: u64) -> Vec<String> {
        let timeout = format!("DPkg::Lock::Timeout={lock_wait}");
        let status = format!("APT::Status-Fd={STATUS_FD}");
        self.arguments(&["-o", "APT::Get::Simulate=false", "-o", &timeout, "-o", &status])
    }

    fn arguments(&self, more: &[&str]) -> Vec<String> {
        let mut arguments: Vec<String> = vec!["-y".into()];
        let mut option = |value: &str| arguments.extend(["-o".to_owned(), value.to_owned()]);
        FIXED_SETTINGS.into_iter().for_each(&mut option);
        self.machine.iter().for_each(|value| option(value));
        for (verb, name) in [
            (Verb::Reinstall, "APT::Get::ReInstall"),
            (Verb::FixBroken, "APT::Get::Fix-Broken"),
        ] {
            option(&format!("{name}={}", self.verb == verb));
        }
        // First, since the options of some sources override it below.
        option("APT::Get::List-Cleanup=true");
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        let mut option = |value: &str| arguments.extend(["-o".to_owned(), value.to_owned()]);
        option(if self.remove {
            "APT::Get::Remove=true"
        } else {
            "APT::Get::Remove=false"
        });
        option(if self.verb == Verb::Autoremove {
            "APT::Get::AutomaticRemove=true"
        } else {
            "APT::Get::AutomaticRemove=false"
        });
        for force in dpkg_forces(self.conffiles) {
            option(&format!("DPkg::Options::={force}"));
        }
        self.sources.iter().for_each(|value| option(value));
        self.preferences.iter().for_each(|file| option(&file.option()));
        if self.is_download_only {
            option("APT::Get::Download-Only=true");
        }
        if self.verb == Verb::OnlyUpgrade {
            option("APT::Get::Only-Upgrade=true");
            option("APT::Install-Recommends=false");
            // The others of a source are no need of the named ones.
            option("APT::Get::Upgrade-By-Source-Package=false");
        }
        arguments.extend(self.verb.words().iter().map(|word| (*word).to_owned()));
        if !self.packages.is_empty() {
            arguments.push("--".into());
            let pattern = |(name, architecture): &(PackageName, String)| {
                format!("?and(?exact-name({name}),?architecture({architecture}))")
            };
            arguments.extend(self.packages.iter().map(pattern));
        }
        arguments
    }
}

/// Returns the arguments of `apt-get indextargets`, which prints one index a line in `format`.
///
/// With `lists`, apt prints the indexes that have a file in that directory. Without it, apt prints every index that the
/// sources could have, and not whether they are trusted.
pub(crate) fn indextargets_arguments(
    paths: &ClientPaths,
    sources: &[String],
    lists: Option<&Path>,
    format: &str,
) -> Vec<String> {
    let mut arguments = vec!["indextargets".to_owned()];
    let mut option = |value: &str| arguments.extend(["-o".to_owned(), value.to_owned()]);
    FIXED_SETTINGS.into_iter().for_each(&mut option);
    paths.apt_overrides().iter().for_each(|value| option(value));
    sources.iter().for_each(|value| option(value));
    match lists {
        Some(lists) => option(&format!("Dir::State::lists={}", lists.display())),
        None => option("APT::Get::IndexTargets::ReleaseInfo=false"),
    }
    arguments.extend(["--format".to_owned(), format.to_owned()]);
    arguments
}

/// Returns the arguments of an apt-cache query.
pub(crate) fn cache_arguments(paths: &ClientPaths, words: &[String]) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut option = |value: &str| arguments.extend(["-o".to_owned(), value.to_owned()]);
    FIXED_SETTINGS.into_iter().for_each(&mut option);
    option("APT::Cache::AllVersions=true");
    (paths.apt_overrides().iter().chain(&source_options(paths))).for_each(|value| option(value));
    arguments.extend_from_slice(words);
    arguments
}

/// Returns the options that select the sources that were checked, or, before a check, the sources that this client
/// uses.
pub(crate) fn source_options(paths: &ClientPaths) -> Vec<String> {
    let mut options = exclusive_options(paths);
    options.extend_from_slice(paths.checked_source_options());
    options
}

/// Options of an exclusive client. It needs lists of its own: with fewer sources, apt would delete the machine's other
/// lists.
fn exclusive_options(paths: &ClientPaths) -> Vec<String> {
    if !paths.is_exclusive() {
        return Vec::new();
    }
    let mut options = vec![
        "Dir::Etc::SourceList=/dev/null".into(),
        format!("Dir::Etc::SourceParts={}", paths.exclusive_sources().display()),
    ];
    options.extend(lists_of_our_own(paths));
    options
}

/// Options that place the lists of an exclusive client in a directory of its own.
fn lists_of_our_own(paths: &ClientPaths) -> Vec<String> {
    if !paths.is_exclusive() {
        return Vec::new();
    }
    let state = paths.state();
    vec![
        format!("Dir::State::lists={}", paths.exclusive_lists().display()),
        format!("Dir::Cache::pkgcache={}", state.join("pkgcache.bin").display()),
        format!(
            "Dir::Cache::srcpkgcache={}",
            state.join("srcpkgcache.bin").display()
        ),
    ]
}

#[cfg(test)]
mod tests;
