//! `apu repo`: archives made, changed and looked at.

mod all;
mod local;
mod show;
mod target;

use std::path::PathBuf;

use apu_archive::Keyring;
use apu_archive::Word;
use apu_archive::{Archive, Published};
use apu_site::{Failure, Settings, Site, Ui, left_out};
use clap::{Args, Subcommand};
use target::{InSuite, Target, Wishes};

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
    /// again. One that is damaged, or that dpkg or apt would not take, is named and left out; the others are published, and
    /// the exit status is 1. A .deb that only root may read is made readable for the web server.
    ///
    /// The directory, those above it and those that are worked in belong to root or to you, and nobody else may write
    /// into them: otherwise nothing is done. Below the directory no symbolic link is followed.
    ///
    /// Archives of apu.toml are signed anew each day. Any other has to be published again before its signature's time is
    /// over: `valid_days` of apu.toml, 7 where it says nothing.
    ///
    /// Without --suite the archive is flat: `deb URL ./`, with the .debs anywhere in the directory. With it, it is one
    /// as Debian's: `deb URL SUITE COMPONENT`, and a directory may have several suites, each published on its own.
    Publish {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        wishes: Wishes,
        /// Do not unpack the packaged files of new .debs.
        ///
        /// That is as fast, and as careless, as other tools are: a file that is damaged or that dpkg cannot unpack is
        /// found by `apu repo check`, or by a client.
        #[arg(long, conflicts_with = "all")]
        without_files: bool,
        /// Publish nothing where a .deb would be left out; the exit status is 2 then.
        #[arg(long)]
        strict: bool,
        /// Publish every archive of apu.toml whose directory is here, and go on where one fails.
        #[arg(long, conflicts_with_all = ["dir", "suite", "components", "architectures", "contents"])]
        all: bool,
    },
    /// Copy .debs into an archive and publish it.
    Add {
        /// The .debs.
        #[arg(required = true, value_name = "FILE.deb")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        archive: Chosen,
        /// The component of the suite [default: the first that apu.toml names, or main].
        #[arg(long, value_name = "COMPONENT")]
        component: Option<Word>,
        /// Take a package apu-data too: the one that gen-apu-data-pkg of another server made.
        ///
        /// It brings the push key and the sources to every client that installs it.
        #[arg(long)]
        apu_data: bool,
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
    #[command(flatten)]
    suite: InSuite,
}

/// An archive as an option.
#[derive(Debug, Args)]
struct Chosen {
    /// A directory, or the name of an archive in apu.toml [default: the site's own archive].
    #[arg(long = "archive", value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    suite: InSuite,
}

/// Runs the command.
///
/// # Errors
/// Where the archive is left as it was.
pub fn run(ui: &Ui, args: &RepoArgs, site: &Site) -> Result<u8, Failure> {
    let settings = Settings::read(site)?;
    let target = |dir: &Option<PathBuf>, suite: &InSuite, wishes: &Wishes| {
        Target::of(dir.as_deref(), suite, wishes, site, &settings)
    };
    let at = |place: &Place| target(&place.dir, &place.suite, &Wishes::default());
    let chosen = |archive: &Chosen| target(&archive.dir, &archive.suite, &Wishes::default());
    let (text, status) = match &args.command {
        Command::Publish {
            all: true, strict, ..
        } => return all::publish(ui, site, &settings, *strict),
        Command::Publish {
            place,
            wishes,
            without_files,
            strict,
            ..
        } => {
            let target = target(&place.dir, &place.suite, wishes)?;
            let prepare = |archive: Archive| match without_files {
                true => archive.without_files(),
                false => archive,
            };
            publish(ui, &target, site, *strict, prepare)?
        }
        Command::Add {
            files,
            archive,
            component,
            apu_data,
        } => add(ui, &chosen(archive)?, site, component.as_ref(), *apu_data, files)?,
        Command::Remove { packages, archive } => remove(ui, &chosen(archive)?, site, packages)?,
        Command::List { place } => (show::list(&at(place)?)?, 0),
        Command::Check { place } => check(&at(place)?, site)?,
        Command::Prune { keep, place } => prune(ui, &at(place)?, site, *keep as usize)?,
    };
    // Nobody may be reading; what was done is done.
    ui.show(&text);
    Ok(status)
}

/// What is said of it, and the exit status.
type Done = (String, u8);

fn publish(
    ui: &Ui,
    target: &Target,
    site: &Site,
    strict: bool,
    prepare: impl FnOnce(Archive) -> Archive,
) -> Result<Done, Failure> {
    let archive = prepare(target.open(ui, site, "apu repo publish")?);
    let archive = if strict { archive.strict() } else { archive };
    let published = archive.publish().map_err(target.failed())?;
    Ok(done(ui, target, String::new(), &published))
}

/// Names the .debs that were left out.
fn done(ui: &Ui, target: &Target, text: String, published: &Published) -> Done {
    let complaint = left_out(published, &target.dir);
    ui.complain(complaint.as_deref().unwrap_or_default());
    (
        text + &show::published(target, published),
        u8::from(complaint.is_some()),
    )
}

/// Signs the archives of `[[archives]]` that lie here with the keys that there are now.
///
/// # Errors
/// Where one could not be published; those before it are.
pub fn publish_others(ui: &Ui, site: &Site, settings: &Settings) -> Result<(), Failure> {
    let archives = settings.archives.iter();
    for target in archives.map(|archive| Target::named(site, settings, archive)) {
        if target.dir.is_dir() {
            publish(ui, &target, site, false, |archive| archive)?;
        }
    }
    Ok(())
}

fn add(
    ui: &Ui,
    target: &Target,
    site: &Site,
    component: Option<&Word>,
    apu_data: bool,
    files: &[PathBuf],
) -> Result<Done, Failure> {
    if let Some(component) = component {
        target.has(component, site)?;
    }
    let archive = target.open(ui, site, "apu repo add")?;
    let archive = if apu_data {
        archive.with_apu_data()
    } else {
        archive
    };
    let (added, published) = archive.add_to(component, files).map_err(target.failed())?;
    let lines: String = added
        .iter()
        .map(|entry| format!("added {}\n", entry.name()))
        .collect();
    Ok(done(ui, target, lines, &published))
}

fn remove(ui: &Ui, target: &Target, site: &Site, packages: &[String]) -> Result<Done, Failure> {
    let archive = target.open(ui, site, "apu repo remove")?;
    let packages: Vec<(&str, Option<&str>)> = packages
        .iter()
        .map(|word| {
            word.split_once('=')
                .map_or((word.as_str(), None), |(name, version)| (name, Some(version)))
        })
        .collect();
    let (gone, published) = archive.remove(&packages).map_err(target.failed())?;
    Ok(done(ui, target, gone_text(&gone), &published))
}

fn prune(ui: &Ui, target: &Target, site: &Site, keep: usize) -> Result<Done, Failure> {
    let (gone, published) = target
        .open(ui, site, "apu repo prune")?
        .prune(keep)
        .map_err(target.failed())?;
    Ok(done(ui, target, gone_text(&gone), &published))
}

fn gone_text(gone: &[apu_archive::Entry]) -> String {
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
    let checked = apu_archive::check_suite(&target.dir, target.suite(), &keyring);
    Ok((
        show::checked(target, &checked),
        u8::from(!checked.faults.is_empty()),
    ))
}
