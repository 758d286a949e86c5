//! The request line: `apu/1 OPERATION [key=value…] [PACKAGE…]`.
//!
//! At most [`MAX_REQUEST`] bytes of printable ASCII, words separated by single spaces. Every key has a `_`, which no
//! package name may have, so a key and a `name=version` cannot be taken for each other.

mod access;
mod error;
mod option;
mod parse;

use std::collections::BTreeSet;
use std::fmt;
use std::mem;

use apu_debian::{PackageName, UserName};

use crate::answers::{Answers, AnswersError, AnswersSha256};
use crate::conffile_decision::{ConffileDecision, ConffilePath, ConffileVersions, MAX_CONFFILE_VERSIONS};
use crate::conffile_rule::{ConffileRuleFor, MAX_CONFFILE_RULES};
use crate::debs::{MAX_DEBS, SentDeb};
use crate::hold::{HoldReason, MAX_HOLD_END};

use crate::operation::Operation;
use crate::package_arg::PackageArg;
use crate::package_glob::{MAX_TOO_YOUNG, PackageGlob};
use crate::run_id::RunId;
use crate::transaction::{DebSha256, TransactionId};

pub use error::{MAX_LOCK_WAIT, MAX_PACKAGES, MAX_REQUEST, RequestError, VERSION_WORD};
pub use option::RequestOption;

/// The place of the first word after the operation, counted from 1.
const FIRST_WORD: usize = 3;

/// What the server asks of a client. Every value is one that [`Request::parse`] accepts when it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    operation: Operation,
    run_id: Option<RunId>,
    dry_run: bool,
    even_if_not_needed: bool,
    allow_remove: bool,
    only_security: bool,
    sources: Vec<PackageName>,
    only_upgrade: bool,
    hold: Vec<PackageGlob>,
    too_young: Vec<PackageGlob>,
    download_only: bool,
    keep_debs: bool,
    plan: Option<TransactionId>,
    answers_sha256: Option<AnswersSha256>,
    /// What it announces by that, once it is there; no part of the line.
    answers: Option<Answers>,
    lists_of_site: bool,
    hold_reason: Option<HoldReason>,
    hold_until: Option<u64>,
    hold_by: Option<UserName>,
    obsolete: bool,
    diffs: bool,
    conffile_path: Option<ConffilePath>,
    conffile_decision: Option<ConffileDecision>,
    conffile_versions: Vec<ConffileVersions>,
    conffile_rules: Vec<ConffileRuleFor>,
    debs: Vec<DebSha256>,
    debs_follow: Vec<SentDeb>,
    lock_wait: Option<u32>,
    packages: Vec<PackageArg>,
}

impl Request {
    /// The request with these options and packages, in the order of the line.
    ///
    /// # Errors
    /// What [`Request::parse`] would say of the line.
    pub fn new(
        operation: Operation,
        options: impl IntoIterator<Item = RequestOption>,
        packages: impl IntoIterator<Item = PackageArg>,
    ) -> Result<Self, RequestError> {
        let mut request = Self::unchecked(operation);
        let mut words = FIRST_WORD..;
        for (option, word) in options.into_iter().zip(words.by_ref()) {
            request.add_option(word, option)?;
        }
        for (package, word) in packages.into_iter().zip(words) {
            request.add_package(word, package)?;
        }
        request.checked()
    }

    /// Asks what is installed, pending, held and broken.
    #[must_use]
    pub const fn status() -> Self {
        Self::unchecked(Operation::Status)
    }

    /// Asks whether the package database is whole.
    #[must_use]
    pub const fn check() -> Self {
        Self::unchecked(Operation::Check)
    }

    /// Asks whether the machine is well; with a run's id, compared with what it was before that run.
    #[must_use]
    pub const fn health(run_id: Option<RunId>) -> Self {
        let mut request = Self::unchecked(Operation::Health);
        request.run_id = run_id;
        request
    }

    /// Asks which boot the machine is in, and whether it needs another one.
    #[must_use]
    pub const fn reboot_needed() -> Self {
        let mut request = Self::unchecked(Operation::Reboot);
        request.dry_run = true;
        request
    }

    /// Asks for the output of a run from its beginning.
    #[must_use]
    pub const fn attach(run_id: RunId) -> Self {
        let mut request = Self::unchecked(Operation::Attach);
        request.run_id = Some(run_id);
        request
    }

    /// The same request with these options after its own.
    ///
    /// # Errors
    /// Where the operation does not take one of them, or the request has it already, or becomes too long.
    pub fn with(mut self, options: impl IntoIterator<Item = RequestOption>) -> Result<Self, RequestError> {
        let first = FIRST_WORD + self.options().count();
        for (option, word) in options.into_iter().zip(first..) {
            self.add_option(word, option)?;
        }
        self.checked()
    }

    /// The same request without a word on how long to wait.
    #[must_use]
    pub fn without_lock_wait(mut self) -> Self {
        self.lock_wait = None;
        self
    }

    /// The same request with these answers behind it.
    ///
    /// # Errors
    /// Where the operation takes none, or the request becomes too long.
    pub fn with_answers(self, answers: Answers) -> Result<Self, RequestError> {
        let mut request = self
            .without_answers()
            .with([RequestOption::Answers(answers.sha256())])?;
        request.answers = Some(answers);
        Ok(request)
    }

    /// The same request once the line has come that it announces.
    ///
    /// # Errors
    /// Where it announces another one, or the line is wrong.
    pub fn announced(mut self, line: &[u8]) -> Result<Self, AnswersError> {
        let sha256 = self.answers_sha256.ok_or(AnswersError::Other)?;
        self.answers = Some(Answers::parse(line, sha256)?);
        Ok(self)
    }

    /// The same request without answers.
    #[must_use]
    pub fn without_answers(mut self) -> Self {
        self.answers_sha256 = None;
        self.answers = None;
        self
    }

    /// What a plan of the request depends on: the same without its run, its lock, the plan that was approved, and answers.
    #[must_use]
    pub fn to_be_planned(&self) -> Self {
        Self {
            answers_sha256: None,
            answers: None,
            run_id: None,
            dry_run: false,
            download_only: false,
            keep_debs: false,
            plan: None,
            lock_wait: None,
            ..self.clone()
        }
    }

    /// The same request with these packages at their version, too: with a plan that very transaction, and without one what would be
    /// done, as no part of a run.
    ///
    /// # Errors
    /// Where the operation holds nothing, or too much is held.
    pub fn holding(
        &self,
        packages: impl IntoIterator<Item = PackageGlob>,
        plan: Option<TransactionId>,
    ) -> Result<Self, RequestError> {
        let hold: BTreeSet<PackageGlob> = self.hold.iter().cloned().chain(packages).collect();
        let mut request = match (plan, &self.answers) {
            (Some(_), _) => self.clone(),
            (None, None) => self.to_be_planned(),
            (None, Some(answers)) => self.to_be_planned().with_answers(answers.without_secrets())?,
        };
        request.hold.clear();
        request.plan = plan;
        request.dry_run = plan.is_none();
        request.with([RequestOption::Hold(hold.into_iter().collect())])
    }

    /// Not a request yet for an operation that wants more.
    const fn unchecked(operation: Operation) -> Self {
        Self {
            operation,
            run_id: None,
            dry_run: false,
            even_if_not_needed: false,
            allow_remove: false,
            only_security: false,
            sources: Vec::new(),
            only_upgrade: false,
            hold: Vec::new(),
            too_young: Vec::new(),
            download_only: false,
            keep_debs: false,
            plan: None,
            answers_sha256: None,
            answers: None,
            lists_of_site: false,
            hold_reason: None,
            hold_until: None,
            hold_by: None,
            obsolete: false,
            diffs: false,
            conffile_path: None,
            conffile_decision: None,
            conffile_versions: Vec::new(),
            conffile_rules: Vec::new(),
            debs: Vec::new(),
            debs_follow: Vec::new(),
            lock_wait: None,
            packages: Vec::new(),
        }
    }

    fn add_option(&mut self, word: usize, option: RequestOption) -> Result<(), RequestError> {
        let operation = self.operation;
        if !option.goes_with(operation) {
            return Err(RequestError::Key { word, operation });
        }
        let was_set = match option {
            RequestOption::RunId(id) => self.run_id.replace(id).is_some(),
            RequestOption::DryRun => mem::replace(&mut self.dry_run, true),
            RequestOption::EvenIfNotNeeded => mem::replace(&mut self.even_if_not_needed, true),
            RequestOption::AllowRemove => mem::replace(&mut self.allow_remove, true),
            RequestOption::Obsolete => mem::replace(&mut self.obsolete, true),
            RequestOption::Diffs => mem::replace(&mut self.diffs, true),
            RequestOption::OnlySecurity => mem::replace(&mut self.only_security, true),
            RequestOption::Sources(names) if names.len() > MAX_PACKAGES || !is_each_once(&names) => {
                return Err(RequestError::Value { word });
            }
            RequestOption::Sources(names) => !mem::replace(&mut self.sources, names).is_empty(),
            RequestOption::OnlyUpgrade => mem::replace(&mut self.only_upgrade, true),
            RequestOption::Hold(globs) if globs.len() > MAX_PACKAGES || !is_each_once(&globs) => {
                return Err(RequestError::Value { word });
            }
            RequestOption::Hold(globs) => !mem::replace(&mut self.hold, globs).is_empty(),
            RequestOption::TooYoung(globs) if globs.len() > MAX_TOO_YOUNG || !is_each_once(&globs) => {
                return Err(RequestError::Value { word });
            }
            RequestOption::TooYoung(globs) => !mem::replace(&mut self.too_young, globs).is_empty(),
            RequestOption::DownloadOnly => mem::replace(&mut self.download_only, true),
            RequestOption::KeepDebs => mem::replace(&mut self.keep_debs, true),
            RequestOption::Plan(id) => self.plan.replace(id).is_some(),
            RequestOption::Answers(sha256) => self.answers_sha256.replace(sha256).is_some(),
            RequestOption::ListsOfSite => mem::replace(&mut self.lists_of_site, true),
            RequestOption::HoldReason(reason) => self.hold_reason.replace(reason).is_some(),
            RequestOption::HoldUntil(end) if end > MAX_HOLD_END => {
                return Err(RequestError::Value { word });
            }
            RequestOption::HoldUntil(end) => self.hold_until.replace(end).is_some(),
            RequestOption::HoldBy(name) => self.hold_by.replace(name).is_some(),
            RequestOption::ConffilePath(path) => self.conffile_path.replace(path).is_some(),
            RequestOption::ConffileDecision(decision) => self.conffile_decision.replace(decision).is_some(),
            RequestOption::ConffileVersions(versions)
                if versions.len() > MAX_CONFFILE_VERSIONS || !is_each_once(&versions) =>
            {
                return Err(RequestError::Value { word });
            }
            RequestOption::ConffileVersions(versions) => {
                !mem::replace(&mut self.conffile_versions, versions).is_empty()
            }
            RequestOption::ConffileRules(rules)
                if rules.len() > MAX_CONFFILE_RULES || !is_each_once(&rules) =>
            {
                return Err(RequestError::Value { word });
            }
            RequestOption::ConffileRules(rules) => !mem::replace(&mut self.conffile_rules, rules).is_empty(),
            RequestOption::Debs(sums) if sums.len() > MAX_DEBS || !is_each_once(&sums) => {
                return Err(RequestError::Value { word });
            }
            RequestOption::Debs(sums) => !mem::replace(&mut self.debs, sums).is_empty(),
            RequestOption::DebsFollow(debs) if !may_follow(&debs) => {
                return Err(RequestError::Value { word });
            }
            RequestOption::DebsFollow(debs) => !mem::replace(&mut self.debs_follow, debs).is_empty(),
            RequestOption::LockWait(seconds) if seconds > MAX_LOCK_WAIT => {
                return Err(RequestError::Value { word });
            }
            RequestOption::LockWait(seconds) => self.lock_wait.replace(seconds).is_some(),
        };
        if was_set {
            return Err(RequestError::Key { word, operation });
        }
        Ok(())
    }

    fn add_package(&mut self, word: usize, package: PackageArg) -> Result<(), RequestError> {
        if !self.operation.takes_packages() {
            return Err(RequestError::NoneTaken(self.operation));
        }
        let is_same =
            |other: &PackageArg| (&other.name, &other.architecture) == (&package.name, &package.architecture);
        if self.packages.iter().any(is_same) {
            return Err(RequestError::Twice { word });
        }
        if self.packages.len() == MAX_PACKAGES {
            return Err(RequestError::TooMany);
        }
        self.packages.push(package);
        Ok(())
    }

    /// Checks what only the whole request shows.
    fn checked(self) -> Result<Self, RequestError> {
        if self.operation.takes_packages() && self.packages.is_empty() {
            return Err(RequestError::NoPackage(self.operation));
        }
        if self.operation == Operation::Attach && self.run_id.is_none() {
            return Err(RequestError::NoRun);
        }
        let names_debs = match self.operation {
            Operation::SendDebs => !self.debs.is_empty(),
            Operation::TakeDebs => !self.debs_follow.is_empty(),
            _ => true,
        };
        if !names_debs || (self.operation.is_internal() && self.run_id.is_none()) {
            return Err(RequestError::NoDebs(self.operation));
        }
        if self.only_upgrade && self.packages.iter().any(|package| package.version.is_some()) {
            return Err(RequestError::VersionToUpgrade);
        }
        if self.operation == Operation::Hold && self.hold_reason.is_none() {
            return Err(RequestError::NoReason);
        }
        if self.operation.sets_holds() && self.packages.iter().any(|package| package.version.is_some()) {
            return Err(RequestError::VersionToHold(self.operation));
        }
        if self.operation == Operation::Conffile && !self.is_a_decision() {
            return Err(RequestError::NoDecision);
        }
        if self.to_string().len() > MAX_REQUEST {
            return Err(RequestError::TooLong);
        }
        Ok(self)
    }

    /// Whether it says which file is decided on and how; and for which versions, unless a decision is taken back.
    fn is_a_decision(&self) -> bool {
        let is_for_versions = !self.conffile_versions.is_empty();
        let is_right = |decision| is_for_versions == (decision != ConffileDecision::Undo);
        self.conffile_path.is_some() && self.conffile_decision.is_some_and(is_right)
    }
}

impl Request {
    /// The options, in the order in which they are written.
    fn options(&self) -> impl Iterator<Item = RequestOption> {
        let options = [
            self.run_id.map(RequestOption::RunId),
            self.dry_run.then_some(RequestOption::DryRun),
            self.even_if_not_needed.then_some(RequestOption::EvenIfNotNeeded),
            self.allow_remove.then_some(RequestOption::AllowRemove),
            self.only_security.then_some(RequestOption::OnlySecurity),
            (!self.sources.is_empty()).then(|| RequestOption::Sources(self.sources.clone())),
            self.only_upgrade.then_some(RequestOption::OnlyUpgrade),
            (!self.hold.is_empty()).then(|| RequestOption::Hold(self.hold.clone())),
            (!self.too_young.is_empty()).then(|| RequestOption::TooYoung(self.too_young.clone())),
            self.download_only.then_some(RequestOption::DownloadOnly),
            self.keep_debs.then_some(RequestOption::KeepDebs),
            self.plan.map(RequestOption::Plan),
            self.answers_sha256.map(RequestOption::Answers),
            self.lists_of_site.then_some(RequestOption::ListsOfSite),
            self.hold_reason.clone().map(RequestOption::HoldReason),
            self.hold_until.map(RequestOption::HoldUntil),
            self.hold_by.clone().map(RequestOption::HoldBy),
            self.obsolete.then_some(RequestOption::Obsolete),
            self.diffs.then_some(RequestOption::Diffs),
            self.conffile_path.clone().map(RequestOption::ConffilePath),
            self.conffile_decision.map(RequestOption::ConffileDecision),
            (!self.conffile_versions.is_empty())
                .then(|| RequestOption::ConffileVersions(self.conffile_versions.clone())),
            (!self.conffile_rules.is_empty())
                .then(|| RequestOption::ConffileRules(self.conffile_rules.clone())),
            (!self.debs.is_empty()).then(|| RequestOption::Debs(self.debs.clone())),
            (!self.debs_follow.is_empty()).then(|| RequestOption::DebsFollow(self.debs_follow.clone())),
            self.lock_wait.map(RequestOption::LockWait),
        ];
        options.into_iter().flatten()
    }
}

/// Whether these .debs may come behind a request.
fn may_follow(debs: &[SentDeb]) -> bool {
    let sums: Vec<DebSha256> = debs.iter().map(|deb| deb.sha256).collect();
    debs.len() <= MAX_DEBS && is_each_once(&sums) && debs.iter().all(SentDeb::is_within_bounds)
}

/// Whether there are any, and none of them twice.
fn is_each_once<T: PartialEq>(words: &[T]) -> bool {
    let is_first = |(place, word): (usize, &T)| !words[..place].contains(word);
    !words.is_empty() && words.iter().enumerate().all(is_first)
}

impl fmt::Display for Request {
    /// The request line, without a line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION_WORD} {}", self.operation)?;
        self.options().try_for_each(|option| write!(f, " {option}"))?;
        self.packages
            .iter()
            .try_for_each(|package| write!(f, " {package}"))
    }
}

#[cfg(test)]
mod tests;
