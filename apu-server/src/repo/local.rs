//! .debs on their way to clients: into the site's own archive first, and from there as any other package.

use std::path::{Path, PathBuf};

use apu_archive::{ArchiveError, Entry, Trial};
use apu_proto::PackageArg;
use apu_site::{Failure, Settings, Site, Ui, allow_essential, archive_failure, left_out};

use super::{Target, show};

/// .debs that were checked, and can be had by clients once they are published.
pub struct Local {
    target: Target,
    files: Vec<PathBuf>,
    trials: Vec<Trial>,
    packages: Vec<PackageArg>,
}

impl Local {
    /// Checks files; nothing is changed.
    ///
    /// # Errors
    /// For a file that is no .deb or that may not be published, and for one that clients could not be asked to install.
    pub fn check(ui: &Ui, site: &Site, settings: &Settings, files: Vec<PathBuf>) -> Result<Self, Failure> {
        let target = Target::own(site, settings);
        let failed = |error| failure(&target.dir, error);
        let trials = target
            .open(ui, site, "apt-all")?
            .try_add(&files)
            .map_err(failed)?;
        let named = files.iter().zip(&trials);
        let packages = named.map(|(file, trial)| package(file, trial));
        let packages = packages.collect::<Result<_, _>>()?;
        Ok(Self {
            packages,
            target,
            files,
            trials,
        })
    }

    /// What clients are to be asked for: of each file exactly its version, and its architecture unless it is for all.
    #[must_use]
    pub fn packages(&self) -> &[PackageArg] {
        &self.packages
    }

    /// What publishing would do, as text.
    #[must_use]
    pub fn outlook(&self) -> String {
        let dir = self.target.dir.display();
        let line = |trial: &Trial| {
            let name = trial.entry.name();
            if trial.is_new {
                format!("{name} would be added to {dir}\n")
            } else {
                format!("{name} is in {dir} already\n")
            }
        };
        self.trials.iter().map(line).collect()
    }

    /// Adds the files and publishes; says what was done, as text.
    ///
    /// # Errors
    /// Where nothing was published, or a file is another than the one that was checked.
    pub fn publish(&self, ui: &Ui, site: &Site) -> Result<String, Failure> {
        let archive = self.target.open(ui, site, "apt-all")?;
        let failed = |error| failure(&self.target.dir, error);
        let there: Vec<Entry> = archive.list().map_err(failed)?;
        let (added, published) = archive.add(&self.files).map_err(failed)?;
        let checked = self.trials.iter().map(|trial| &trial.entry.deb);
        if !added.iter().map(|entry| &entry.deb).eq(checked) {
            return Err(
                Failure::words("the files changed while they were read; no host was asked")
                    .advise("the same command again, once they are complete"),
            );
        }
        let line = |entry: &Entry| {
            let is_new = there.iter().all(|other| other.name() != entry.name());
            let what = if is_new { "added" } else { "already there:" };
            format!("{what} {}\n", entry.name())
        };
        let lines: String = added.iter().map(line).collect();
        ui.complain(&left_out(&published, &self.target.dir).unwrap_or_default());
        Ok(lines + &show::published(&self.target, &published))
    }
}

/// Unlike for `apu repo add`, nothing lies in the archive that could be removed from there.
fn failure(dir: &Path, error: ArchiveError) -> Failure {
    match &error {
        ArchiveError::Essential { package, .. } => {
            Failure::words(format!("nothing was published in {}", dir.display()))
                .advise(allow_essential(package))
                .why(error)
        }
        _ => archive_failure(error, dir),
    }
}

fn package(file: &Path, trial: &Trial) -> Result<PackageArg, Failure> {
    let control = &trial.entry.deb.control;
    if let Some(newer) = &trial.newer {
        let (name, version) = (control.package(), newer.deb.control.version());
        let what = format!("clients would not install {}", file.display());
        return Err(Failure::words(what)
            .why(format!(
                "it is {name} {}, the archive has {version}, and clients take the newest",
                control.version()
            ))
            .advise(format!(
                "give it a higher version, or take the other one back: apu repo remove {name}={version}"
            )));
    }
    let architecture = match control.architecture() {
        "all" => String::new(),
        architecture => format!(":{architecture}"),
    };
    let word = format!("{}{architecture}={}", control.package(), control.version());
    word.parse().map_err(|error| {
        Failure::words(format!("no client can be asked for {}", file.display()))
            .why(format!("{word}: {error}"))
            .advise(format!(
                "apu repo add {}, which only publishes it",
                file.display()
            ))
    })
}
