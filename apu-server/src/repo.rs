//! `apu repo`: archives made, changed and looked at.

mod local;
mod show;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use apu_repo::archive::{self, Archive, ArchiveError, Labels};
use apu_repo::{Failure, Keyring, Settings, Site};
use clap::{Args, Subcommand};

pub use local::Local;

/// Make a folder of .debs a signed archive, and look after it.
#[derive(Debug, Args)]
pub struct RepoArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Index and sign all .debs in and below a directory.
    ///
    /// Clients see the archive as it was or as it is, never in between. A .deb that did not change is not read
    /// again. One that is damaged, or is not what its name says, stops the whole: nothing changes then.
    Publish {
        #[command(flatten)]
        place: Place,
    },
    /// Copy .debs into an archive and publish it.
    Add {
        /// The .debs.
        #[arg(required = true, value_name = "FILE.deb")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        archive: Chosen,
    },
    /// Publish without a package, or without one version of it, and remove its files.
    Remove {
        /// What to remove.
        #[arg(required = true, value_name = "NAME[=VERSION]")]
        packages: Vec<String>,
        #[command(flatten)]
        archive: Chosen,
    },
    /// List what is published.
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Check every signature and every hash, as a client would.
    Check {
        #[command(flatten)]
        place: Place,
    },
    /// Keep only the newest versions of each package.
    Prune {
        /// How many versions of each package and architecture.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        keep: u32,
        #[command(flatten)]
        place: Place,
    },
}

/// An archive as an argument.
#[derive(Debug, Args)]
struct Place {
    /// A directory, or the name of an archive in apu.toml [default: the site's own archive].
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// An archive as an option.
#[derive(Debug, Args)]
struct Chosen {
    /// A directory, or the name of an archive in apu.toml [default: the site's own archive].
    #[arg(long = "archive", value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Where the archive is left as it was.
pub fn run(args: &RepoArgs, site: &Site) -> Result<u8, Failure> {
    let settings = Settings::read(site)?;
    let target = |dir: &Option<PathBuf>| Target::of(dir.as_deref(), site, &settings);
    let (text, status) = match &args.command {
        Command::Publish { place } => (publish(&target(&place.dir)?, site)?, 0),
        Command::Add { files, archive } => (add(&target(&archive.dir)?, site, files)?, 0),
        Command::Remove { packages, archive } => (remove(&target(&archive.dir)?, site, packages)?, 0),
        Command::List { place } => (show::list(&target(&place.dir)?.dir)?, 0),
        Command::Check { place } => check(&target(&place.dir)?, site)?,
        Command::Prune { keep, place } => (prune(&target(&place.dir)?, site, *keep as usize)?, 0),
    };
    // Nobody may be reading; what was done is done.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(status)
}

/// Which archive is meant, and what its Release says.
struct Target {
    dir: PathBuf,
    labels: Labels,
}

impl Target {
    fn of(word: Option<&Path>, site: &Site, settings: &Settings) -> Result<Self, Failure> {
        let mut labels = Labels::of(settings);
        let Some(word) = word else {
            return Ok(Self {
                dir: site.at(&settings.archive.path),
                labels,
            });
        };
        let Some(named) = settings
            .archives
            .iter()
            .find(|archive| word == Path::new(archive.name.as_str()))
        else {
            // What is not for our clients may hold what it likes.
            if word != site.at(&settings.archive.path) {
                labels.essential = None;
            }
            return Ok(Self {
                dir: word.to_owned(),
                labels,
            });
        };
        if named.suite.is_some() {
            return Err(Failure::words(format!(
                "the archive {} has suites, and is not published by apu",
                named.name
            ))
            .advise(format!("remove its suite in {}", site.settings().display())));
        }
        labels.label = named.name.to_string();
        Ok(Self {
            dir: site.at(&named.path),
            labels,
        })
    }

    /// Opens it to change it.
    fn open(&self, site: &Site, who: &str) -> Result<Archive, Failure> {
        let dir = self.dir.display();
        if !self.dir.is_dir() {
            return Err(Failure::words(format!("there is no directory {dir}")).advise(format!("mkdir {dir}")));
        }
        let keys = apu_repo::archive_keys(site)?;
        let waiting = |holder: &str| eprintln!("waiting for {holder} to finish with {dir}");
        Archive::open(&self.dir, self.labels.clone(), keys, who, &waiting)
            .map_err(|error| error.into_failure(&self.dir))
    }

    fn failed(&self) -> impl Fn(ArchiveError) -> Failure {
        |error| error.into_failure(&self.dir)
    }
}

fn publish(target: &Target, site: &Site) -> Result<String, Failure> {
    let published = target
        .open(site, "apu repo publish")?
        .publish()
        .map_err(target.failed())?;
    Ok(show::published(&target.dir, &published))
}

/// Signs the archives of `[[archives]]` that lie here with the keys that there are now.
///
/// # Errors
/// Where one could not be published; those before it are.
pub fn publish_others(site: &Site, settings: &Settings) -> Result<(), Failure> {
    for archive in &settings.archives {
        if site.at(&archive.path).is_dir() {
            let name = Path::new(archive.name.as_str());
            publish(&Target::of(Some(name), site, settings)?, site)?;
        }
    }
    Ok(())
}

fn add(target: &Target, site: &Site, files: &[PathBuf]) -> Result<String, Failure> {
    let (added, published) = target
        .open(site, "apu repo add")?
        .add(files)
        .map_err(target.failed())?;
    let lines: String = added
        .iter()
        .map(|entry| format!("added {}\n", entry.name()))
        .collect();
    Ok(lines + &show::published(&target.dir, &published))
}

fn remove(target: &Target, site: &Site, packages: &[String]) -> Result<String, Failure> {
    let archive = target.open(site, "apu repo remove")?;
    let packages: Vec<(&str, Option<&str>)> = packages
        .iter()
        .map(|word| {
            word.split_once('=')
                .map_or((word.as_str(), None), |(name, version)| (name, Some(version)))
        })
        .collect();
    let (gone, published) = archive.remove(&packages).map_err(target.failed())?;
    Ok(gone_text(&gone) + &show::published(&target.dir, &published))
}

fn prune(target: &Target, site: &Site, keep: usize) -> Result<String, Failure> {
    let (gone, published) = target
        .open(site, "apu repo prune")?
        .prune(keep)
        .map_err(target.failed())?;
    Ok(gone_text(&gone) + &show::published(&target.dir, &published))
}

fn gone_text(gone: &[archive::Entry]) -> String {
    gone.iter()
        .map(|entry| format!("removed {}\n", entry.name()))
        .collect()
}

fn check(target: &Target, site: &Site) -> Result<(String, u8), Failure> {
    let path = site.archive_gpg();
    let unusable =
        || Failure::words(format!("there is no usable keyring {}", path.display())).advise("sudo apu setup");
    let bytes = std::fs::read(&path).map_err(|error| unusable().why(error))?;
    let keyring = Keyring::parse(&bytes).map_err(|error| unusable().why(error))?;
    let checked = archive::check(&target.dir, &keyring);
    Ok((
        show::checked(&target.dir, &checked),
        u8::from(!checked.faults.is_empty()),
    ))
}
