//! The request that a command line asks of clients, and what of the words cannot be meant.

use apu_archive::quote;
use apu_proto::{Operation, PackageArg, Request, RequestOption};
use apu_site::Failure;

use super::super::room::has_room_for_run;
use super::{Args, is_file};

impl Args {
    /// The request that these words mean, without a run's identity; `local` are the packages that the files hold.
    ///
    /// # Errors
    /// For packages that are none, and for options that the operation does not have.
    pub fn request(&self, local: &[PackageArg]) -> Result<Request, Failure> {
        let operation = self.operation;
        let mut packages = local.to_vec();
        for word in self.packages.iter().filter(|word| !is_file(word)) {
            let package: PackageArg = word.parse().map_err(|error| {
                Failure::words(format!("{word:?} is not a package"))
                    .why(error)
                    .advise("write NAME, NAME:ARCH or NAME=VERSION")
            })?;
            if let Some(file) = local.iter().find(|other| other.name == package.name) {
                return Err(
                    Failure::words(format!("{word:?} is named, and {file} comes from a file"))
                        .advise("leave one of the two out"),
                );
            }
            packages.push(package);
        }
        if self.allow_remove && !operation.takes_allow_remove() {
            return Err(Failure::words(format!("{operation} has no --allow-remove"))
                .advise("leave it out: only dist-upgrade and install remove packages on the way"));
        }
        if self.security && !operation.takes_only_security() {
            return Err(Failure::words(format!("{operation} has no --security"))
                .advise("leave it out: upgrade and dist-upgrade have it"));
        }
        if !self.source.is_empty() && !operation.takes_sources() {
            return Err(Failure::words(format!("{operation} has no --source"))
                .advise("leave it out: upgrade and dist-upgrade have it"));
        }
        if self.only_upgrade && !operation.takes_only_upgrade() {
            return Err(Failure::words(format!("{operation} has no --only-upgrade"))
                .advise("leave it out: install has it"));
        }
        if let Some(package) = packages
            .iter()
            .find(|package| self.only_upgrade && package.version.is_some())
        {
            return Err(Failure::words(format!(
                "{package} has a version, and --only-upgrade takes the newest one"
            ))
            .advise(format!(
                "name {} alone, or leave --only-upgrade out",
                package.name
            )));
        }
        if !self.hold.is_empty() && !operation.takes_hold() {
            return Err(Failure::words(format!("{operation} has no --hold"))
                .advise("leave it out: upgrade, dist-upgrade and install have it"));
        }
        let held = |package: &PackageArg| {
            let glob = self.hold.iter().find(|glob| glob.matches(package.name.as_str()));
            glob.map(|glob| (package.clone(), glob.clone()))
        };
        if let Some((package, glob)) = packages.iter().find_map(held) {
            return Err(Failure::words(format!(
                "{package} is to be installed, and --hold {glob} keeps it as it is"
            ))
            .advise("leave one of the two out"));
        }
        if self.download_only && !operation.takes_download_only() {
            return Err(Failure::words(format!("{operation} has no --download-only"))
                .advise("leave it out: upgrade, dist-upgrade and install have it"));
        }
        if (self.prepare || self.questions) && !operation.takes_download_only() {
            let option = if self.prepare { "--prepare" } else { "--questions" };
            return Err(Failure::words(format!("{operation} has no {option}"))
                .advise("leave it out: upgrade, dist-upgrade and install have it"));
        }
        if self.min_age.is_some() && !operation.takes_too_young() {
            return Err(Failure::words(format!("{operation} has no --min-age"))
                .advise("leave it out: upgrade and dist-upgrade have it"));
        }
        if !self.allow_restart.is_empty() && !operation.changes_packages() {
            return Err(Failure::words(format!("{operation} has no --allow-restart"))
                .why("it is for what restarts services on the way")
                .advise("leave it out"));
        }
        let of_hold = [
            (self.reason.is_some(), "--reason"),
            (self.until.is_some(), "--until"),
        ];
        if let Some((_, option)) = of_hold.iter().find(|(given, _)| *given)
            && operation != Operation::Hold
        {
            return Err(
                Failure::words(format!("{operation} has no {option}")).advise("leave it out: hold has it")
            );
        }
        if operation == Operation::Hold && self.reason.is_none() {
            return Err(Failure::words("a hold needs a reason")
                .why("months later somebody asks why a package is not updated")
                .advise(format!(
                    "apt-all {} hold {} --reason 'what it waits for'",
                    quote(&self.target),
                    if self.packages.is_empty() {
                        "PACKAGE".to_owned()
                    } else {
                        self.packages.join(" ")
                    }
                )));
        }
        if let Some(package) = packages
            .iter()
            .find(|package| operation.sets_holds() && package.version.is_some())
        {
            return Err(Failure::words(format!(
                "{package} has a version, and {operation} takes a package as it is"
            ))
            .advise(format!("name {} alone", package.name)));
        }
        let of_changes = [
            (self.dry_run, "--dry-run"),
            (self.plan, "--plan"),
            (self.canary.is_some(), "--canary"),
            (self.waves.is_some(), "--waves"),
            (self.soak.is_some(), "--soak"),
            (self.pause_limit.is_some(), "--pause-limit"),
            (self.ignore_windows, "--ignore-windows"),
        ];
        if let Some((_, option)) = of_changes.iter().find(|(given, _)| *given)
            && !operation.is_planned()
        {
            return Err(Failure::words(format!("{operation} has no {option}"))
                .advise("leave it out: it changes no packages"));
        }
        let of_packages = [(self.plan, "--plan"), (self.queue.is_some(), "--queue")];
        if let Some((_, option)) = of_packages.iter().find(|(given, _)| *given)
            && matches!(operation, Operation::Reboot | Operation::RestartServices)
        {
            return Err(Failure::words(format!("{operation} has no {option}"))
                .advise("leave it out, and give the command again: it asks those that still need it"));
        }
        if self.diff && operation != Operation::Conffiles {
            return Err(Failure::words(format!("{operation} has no --diff"))
                .advise(format!("apt-all {} conffiles --diff", quote(&self.target))));
        }
        if self.freeze && !operation.takes_keep_debs() {
            return Err(Failure::words(format!("{operation} has no --freeze"))
                .advise("leave it out: it installs nothing from archives"));
        }
        if self.all && operation != Operation::Reboot {
            return Err(Failure::words(format!("{operation} has no --all"))
                .advise("leave it out: reboot has it; the target all is every host"));
        }
        if self.queue.is_some() && !operation.is_a_run() {
            return Err(Failure::words(format!("{operation} has no --queue"))
                .advise("leave it out: it changes nothing, so it is asked again by hand"));
        }
        if self.max_failures.is_some() && !operation.is_a_run() {
            return Err(Failure::words(format!("{operation} has no --max-failures"))
                .advise("leave it out: it changes nothing and asks every host"));
        }
        let (mut hold, mut sources) = (self.hold.clone(), self.source.clone());
        hold.sort();
        hold.dedup();
        sources.sort();
        sources.dedup();
        let options = [
            self.allow_remove.then_some(RequestOption::AllowRemove),
            self.security.then_some(RequestOption::OnlySecurity),
            (!sources.is_empty()).then_some(RequestOption::Sources(sources)),
            self.only_upgrade.then_some(RequestOption::OnlyUpgrade),
            (!hold.is_empty()).then_some(RequestOption::Hold(hold)),
            self.download_only.then_some(RequestOption::DownloadOnly),
            self.reason.clone().map(RequestOption::HoldReason),
            (self.until.and_then(|end| u64::try_from(end.as_second()).ok())).map(RequestOption::HoldUntil),
            self.all.then_some(RequestOption::EvenIfNotNeeded),
        ];
        let request = Request::new(
            operation,
            options.into_iter().flatten().chain(self.decision.iter().cloned()),
            packages,
        )
        .and_then(|request| {
            if operation.changes_packages() {
                has_room_for_run(&request)?;
            }
            Ok(request)
        });
        request.map_err(|error| {
            let failure = Failure::words("that cannot be asked of a client").why(error);
            match (operation.takes_packages(), self.packages.is_empty()) {
                (true, true) => {
                    failure.advise(format!("apt-all {} {operation} PACKAGE", quote(&self.target)))
                }
                (false, false) => failure.advise(format!("apt-all {} {operation}", quote(&self.target))),
                _ => failure.advise("name fewer packages, each once"),
            }
        })
    }
}
