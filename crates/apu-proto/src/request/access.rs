//! What a request says.

use apu_debian::{PackageName, UserName};

use super::Request;
use crate::answers::{Answers, AnswersSha256};
use crate::conffile_decision::{ConffileDecision, ConffilePath, ConffileVersions};
use crate::conffile_rule::ConffileRuleFor;
use crate::debs::SentDeb;
use crate::hold::HoldReason;
use crate::operation::Operation;
use crate::package_arg::PackageArg;
use crate::package_glob::PackageGlob;
use crate::run_id::RunId;
use crate::transaction::{DebSha256, TransactionId};

impl Request {
    /// What to do.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// The run's identity; the client chooses one where it is missing. Of `attach` and `health` it is that of a run before.
    #[must_use]
    pub const fn run_id(&self) -> Option<RunId> {
        self.run_id
    }

    /// Whether to say what would be done, and do nothing.
    #[must_use]
    pub const fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Whether to reboot also where that is not needed.
    #[must_use]
    pub const fn is_even_if_not_needed(&self) -> bool {
        self.even_if_not_needed
    }

    /// Whether the transaction may remove packages that the request does not name.
    #[must_use]
    pub const fn allows_removal(&self) -> bool {
        self.allow_remove
    }

    /// Whether to upgrade only packages with a security update.
    #[must_use]
    pub const fn is_only_security(&self) -> bool {
        self.only_security
    }

    /// The sources of the packages that are upgraded; empty for any.
    #[must_use]
    pub fn sources(&self) -> &[PackageName] {
        &self.sources
    }

    /// Whether to upgrade the named packages where they are installed, and to install none of them anew.
    #[must_use]
    pub const fn is_only_upgrade(&self) -> bool {
        self.only_upgrade
    }

    /// The packages that stay at their version, whatever is newer.
    #[must_use]
    pub fn hold(&self) -> &[PackageGlob] {
        &self.hold
    }

    /// The packages that stay at their version since they are too young for the run.
    #[must_use]
    pub fn too_young(&self) -> &[PackageGlob] {
        &self.too_young
    }

    /// Whether to fetch the .debs and change no package.
    #[must_use]
    pub const fn is_download_only(&self) -> bool {
        self.download_only
    }

    /// Whether the run keeps the .debs that it installs.
    #[must_use]
    pub const fn keeps_debs(&self) -> bool {
        self.keep_debs
    }

    /// The kept .debs that are to be sent.
    #[must_use]
    pub fn debs(&self) -> &[DebSha256] {
        &self.debs
    }

    /// The .debs whose bytes come behind the request's line.
    #[must_use]
    pub fn debs_follow(&self) -> &[SentDeb] {
        &self.debs_follow
    }

    /// Whether it may change packages.
    #[must_use]
    pub const fn changes_packages(&self) -> bool {
        self.operation.changes_packages() && !self.download_only
    }

    /// Whether it may disturb what the machine is for, so that it has its time and its turn.
    #[must_use]
    pub const fn takes_turns(&self) -> bool {
        self.operation.is_planned() && !self.download_only && !self.dry_run
    }

    /// The only transaction to do; any other is refused.
    #[must_use]
    pub const fn plan(&self) -> Option<TransactionId> {
        self.plan
    }

    /// By what it announces the answers that come behind it.
    #[must_use]
    pub const fn answers_sha256(&self) -> Option<AnswersSha256> {
        self.answers_sha256
    }

    /// The answers, once they are there.
    #[must_use]
    pub const fn answers(&self) -> Option<&Answers> {
        self.answers.as_ref()
    }

    /// Whether to fetch the lists of the site's own archives and leave those of all others as they are.
    #[must_use]
    pub const fn wants_site_lists_only(&self) -> bool {
        self.lists_of_site
    }

    /// Why the packages are put on hold.
    #[must_use]
    pub const fn hold_reason(&self) -> Option<&HoldReason> {
        self.hold_reason.as_ref()
    }

    /// When the hold ends, in seconds since 1970; none for a hold without an end.
    #[must_use]
    pub const fn hold_until(&self) -> Option<u64> {
        self.hold_until
    }

    /// The user of the server who wants the hold.
    #[must_use]
    pub const fn hold_by(&self) -> Option<&UserName> {
        self.hold_by.as_ref()
    }

    /// Whether to tell also which installed packages no archive has.
    #[must_use]
    pub const fn wants_obsolete(&self) -> bool {
        self.obsolete
    }

    /// Whether to tell also what differs between the two versions of each configuration file.
    #[must_use]
    pub const fn wants_diffs(&self) -> bool {
        self.diffs
    }

    /// The configuration file that is decided on.
    #[must_use]
    pub const fn conffile_path(&self) -> Option<&ConffilePath> {
        self.conffile_path.as_ref()
    }

    /// What becomes of that file.
    #[must_use]
    pub const fn conffile_decision(&self) -> Option<ConffileDecision> {
        self.conffile_decision
    }

    /// The versions of that file that the decision was made for; none where one is taken back.
    #[must_use]
    pub fn conffile_versions(&self) -> &[ConffileVersions] {
        &self.conffile_versions
    }

    /// What becomes of configuration files that were changed on the machine and in the packages, unless the machine's policy is stricter.
    #[must_use]
    pub fn conffile_rules(&self) -> &[ConffileRuleFor] {
        &self.conffile_rules
    }

    /// How long to wait for another package manager, in seconds.
    #[must_use]
    pub const fn lock_wait(&self) -> Option<u32> {
        self.lock_wait
    }

    /// The packages, for operations that name them.
    #[must_use]
    pub fn packages(&self) -> &[PackageArg] {
        &self.packages
    }
}
