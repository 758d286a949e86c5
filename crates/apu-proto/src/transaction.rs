//! What a run would change, in a form that two machines can compare: sorted lines, and their SHA-256.
//!
//! The form is `apu-plan/1`: a line `install PACKAGE OLD NEW SHA256` or `remove PACKAGE OLD` for each step, sorted as bytes,
//! where `-` stands for a version or a checksum that there is none of; then a line `answer OWNER QUESTION MARK` for each answer of
//! the server to a question of one of these packages, sorted as well.

use std::collections::BTreeMap;
use std::fmt;

use apu_debian::PackageKey;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::answers::ApprovedAnswer;
use crate::bounded::{first, is_zero};
use crate::conffile::{ChangedConffiles, HeldBack, MAX_HELD_BACK, NewQuestions};
use crate::package_glob::{MAX_TOO_YOUNG, PackageGlob};
use crate::question::{AnsweredQuestion, MAX_TOLD_ANSWERS};
use crate::services::Services;
use crate::status::Broken;

apu_debian::hex_value!(
    /// The SHA-256 of a .deb, as the archive's index names it.
    DebSha256,
    32,
    Sha256Error
);

apu_debian::hex_value!(
    /// A transaction's identity: the SHA-256 of its lines.
    TransactionId,
    32,
    Sha256Error
);

/// A text that is not a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a SHA-256 is 64 lower-case hexadecimal digits")]
pub struct Sha256Error;

/// One package's change, before it is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Step {
    /// Installs, upgrades or re-installs.
    Install {
        /// The package.
        package: PackageKey,
        /// The installed version, where there is one.
        old: Option<String>,
        /// The version to come.
        new: String,
        /// The checksum of the .deb to come; none where nobody asked apt for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<DebSha256>,
        /// Where apt would fetch it from, such as `Debian:12.11/stable, Debian-Security:12/stable-security`. It is no part
        /// of the identity.
        origin: String,
    },
    /// Removes; configuration files stay.
    Remove {
        /// The package.
        package: PackageKey,
        /// The installed version.
        old: String,
    },
}

impl Step {
    /// Whether no version has a blank, a control character, or the `-` that stands for none.
    fn is_one_line(&self) -> bool {
        let is_word = |version: &str| version != "-" && version.bytes().all(|byte| byte.is_ascii_graphic());
        match self {
            Self::Install { old, new, .. } => old.as_deref().is_none_or(is_word) && is_word(new),
            Self::Remove { old, .. } => is_word(old),
        }
    }

    /// The package.
    #[must_use]
    pub const fn package(&self) -> &PackageKey {
        match self {
            Self::Install { package, .. } | Self::Remove { package, .. } => package,
        }
    }

    /// The same step for any .deb of that version.
    fn without_checksum(&self) -> Self {
        let mut step = self.clone();
        if let Self::Install { sha256, origin, .. } = &mut step {
            *sha256 = None;
            origin.clear();
        }
        step
    }
}

/// The step's line in `apu-plan/1`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Install {
                package,
                old,
                new,
                sha256,
                origin: _,
            } => {
                write!(f, "install {package} {} {new} ", old.as_deref().unwrap_or("-"))?;
                match sha256 {
                    Some(sha256) => write!(f, "{sha256}"),
                    None => f.write_str("-"),
                }
            }
            Self::Remove { package, old } => write!(f, "remove {package} {old}"),
        }
    }
}

/// All changes of a run, in the order of their lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Steps")]
pub struct Transaction {
    steps: Vec<Step>,
    answers: Vec<ApprovedAnswer>,
}

/// A transaction on the wire.
#[derive(Deserialize)]
struct Steps {
    id: TransactionId,
    steps: Vec<Step>,
    #[serde(default)]
    answers: Vec<ApprovedAnswer>,
}

/// A transaction whose identity is that of other steps.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the steps are not those of transaction {0}")]
pub struct OtherSteps(TransactionId);

impl TryFrom<Steps> for Transaction {
    type Error = OtherSteps;

    fn try_from(wire: Steps) -> Result<Self, OtherSteps> {
        let transaction = Self::new(wire.steps).answered(wire.answers);
        // Then no two transactions have the same lines.
        let is_plain = transaction.steps.iter().all(Step::is_one_line);
        if is_plain && transaction.id() == wire.id {
            Ok(transaction)
        } else {
            Err(OtherSteps(wire.id))
        }
    }
}

impl Serialize for Transaction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut wire = serializer.serialize_struct("Transaction", 3)?;
        wire.serialize_field("id", &self.id())?;
        wire.serialize_field("steps", &self.steps)?;
        if self.answers.is_empty() {
            wire.skip_field("answers")?;
        } else {
            wire.serialize_field("answers", &self.answers)?;
        }
        wire.end()
    }
}

impl Transaction {
    /// The transaction of these steps, in whatever order they come.
    #[must_use]
    pub fn new(mut steps: Vec<Step>) -> Self {
        // Their origins are not in the lines: first by everything, so that equal transactions are equal values.
        steps.sort();
        steps.sort_by_cached_key(Step::to_string);
        steps.dedup();
        Self {
            steps,
            answers: Vec::new(),
        }
    }

    /// The same transaction with these answers to questions of its packages, in whatever order they come.
    #[must_use]
    pub fn answered(mut self, mut answers: Vec<ApprovedAnswer>) -> Self {
        answers.sort();
        answers.dedup();
        self.answers = answers;
        self
    }

    /// The server's answers to questions of its packages.
    #[must_use]
    pub fn answers(&self) -> &[ApprovedAnswer] {
        &self.answers
    }

    /// Whether a package of this name is installed by it.
    #[must_use]
    pub fn installs(&self, name: &str) -> bool {
        let is_it = |step: &Step| matches!(step, Step::Install { package, .. } if package.name() == name);
        self.steps.iter().any(is_it)
    }

    /// The changes in the order of their lines.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The packages that get the same version in both transactions, from .debs with other contents.
    #[must_use]
    pub fn other_contents<'a>(&'a self, other: &Self) -> Vec<&'a PackageKey> {
        let checksum = |step: &Step| match step {
            Step::Install { sha256, .. } => *sha256,
            Step::Remove { .. } => None,
        };
        let theirs: BTreeMap<Step, Option<DebSha256>> = (other.steps.iter())
            .map(|step| (step.without_checksum(), checksum(step)))
            .collect();
        // A checksum that one of them does not have is not known to be the same.
        let is_other = |step: &&Step| {
            let theirs = theirs.get(&step.without_checksum());
            theirs.is_some_and(|theirs| *theirs != checksum(step))
        };
        self.steps.iter().filter(is_other).map(Step::package).collect()
    }

    /// The identity: SHA-256 of the lines, each with its line end.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        let mut hash = Sha256::new();
        for step in &self.steps {
            hash.update(step.to_string());
            hash.update("\n");
        }
        for answer in &self.answers {
            hash.update(answer.to_string());
            hash.update("\n");
        }
        TransactionId::from_bytes(hash.finalize().into())
    }
}

/// What a client is, as far as it matters for what packages do there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct System {
    /// `ID`, `VERSION_ID` and `VERSION_CODENAME` of os-release(5), such as `debian 12 bookworm`.
    pub release: String,
    /// dpkg's architecture, such as `amd64`.
    pub architecture: String,
}

/// What one client would do, and what is to be known of it before a yes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The changes.
    pub transaction: Transaction,
    /// What the client is.
    #[serde(default)]
    pub system: System,
    /// The upgrades that are security updates, by apt's own rule, sorted; none where the client does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Vec<PackageKey>>,
    /// The running services that it reaches; none where the client does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Services>,
    /// The configuration files about which dpkg would ask; none where the .debs are not in the cache, or the client does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_conffiles: Option<ChangedConffiles>,
    /// The files of ucf(1) of these packages that were changed on the machine, and what becomes of them if the packages bring other
    /// versions, which is known only when their scripts run. None where there are none, or the client does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_ucf_files: Option<ChangedConffiles>,
    /// The questions of debconf that are new to the machine; none as above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_questions: Option<NewQuestions>,
    /// The questions of debconf that the server answers.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_TOLD_ANSWERS>"
    )]
    pub answered: Vec<AnsweredQuestion>,
    /// How many answers of the server are for packages that it does not change, and were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub answers_left_out: usize,
    /// Packages with a newer version that would not be installed, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_back: Vec<String>,
    /// Packages that the request keeps as they are, and that it would install or upgrade otherwise, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// Packages that stay at their version for configuration files that were changed on the machine, as its policy says; at most
    /// [`MAX_HELD_BACK`].
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_HELD_BACK>"
    )]
    pub held_back: Vec<HeldBack>,
    /// Packages that the request keeps as they are since they are too young for the run, as it names them.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_TOO_YOUNG>"
    )]
    pub too_young: Vec<PackageGlob>,
    /// What the request keeps at its version, as it names it, and no installed package is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_nothing: Vec<String>,
    /// Packages that the request upgrades where they are installed, and that are not, as it names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_installed: Vec<String>,
    /// Sources that the request names and that no installed package is built from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_sources: Vec<String>,
    /// Packages that were installed automatically and would be marked as installed manually; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marked_manual: Vec<PackageKey>,
    /// Packages that are neither installed nor gone now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<Broken>,
    /// Whether the run repairs the package database first. Where apt can plan only after that, the transaction is empty.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repair: bool,
    /// What it fetches and needs on disk, where the client could say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<Sizes>,
}

/// Sizes in apt's own figures, such as `5396 kB`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sizes {
    /// What all of it fetches, whatever is in the cache.
    pub download: String,
    /// `20.0 MB more`, or `36.9 kB less`.
    pub disk: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(package: &str, new: &str, sha256: u8, origin: &str) -> Step {
        Step::Install {
            package: package.parse().unwrap(),
            old: None,
            new: new.into(),
            sha256: Some(DebSha256::from_bytes([sha256; 32])),
            origin: origin.into(),
        }
    }

    fn id(steps: &[Step]) -> TransactionId {
        Transaction::new(steps.to_vec()).id()
    }

    #[test]
    fn neither_the_order_of_the_steps_nor_their_origin_matters() {
        let one = [install("a:amd64", "1", 1, "x"), install("b:amd64", "2", 2, "x")];
        let two = [install("b:amd64", "2", 2, "y"), install("a:amd64", "1", 1, "y")];
        assert_eq!(id(&one), id(&two));
    }

    #[test]
    fn another_version_and_other_bytes_are_another_transaction() {
        let one = install("a:amd64", "1", 1, "x");
        assert_ne!(
            id(std::slice::from_ref(&one)),
            id(&[install("a:amd64", "2", 1, "x")])
        );
        assert_ne!(id(&[one]), id(&[install("a:amd64", "1", 2, "x")]));
    }

    #[test]
    fn another_answer_is_another_transaction_and_reads_back() {
        let answer = |question: &str, mark: u8| ApprovedAnswer {
            owner: "aa".parse().unwrap(),
            question: question.parse().unwrap(),
            mark: crate::AnswerMark::from_bytes([mark; 16]),
        };
        let plain = Transaction::new(vec![install("aa:amd64", "1", 1, "x")]);
        let with = |answers: &[ApprovedAnswer]| plain.clone().answered(answers.to_vec());
        let (one, two) = (answer("aa/one", 1), answer("aa/two", 2));
        let both = with(&[two.clone(), one.clone()]);
        assert_eq!(both.id(), with(&[one.clone(), two, one.clone()]).id());
        let others = [plain.clone(), with(&[one]), with(&[answer("aa/one", 2)])];
        let ids: std::collections::BTreeSet<TransactionId> = others.iter().map(Transaction::id).collect();
        assert_eq!(ids.len(), 3);
        assert!(both.installs("aa") && !both.installs("aa:amd64"));
        let wire = serde_json::to_value(&both).unwrap();
        assert_eq!(serde_json::from_value::<Transaction>(wire.clone()).unwrap(), both);
        let mut other = wire;
        other["answers"][0]["mark"] = "03".repeat(16).into();
        assert!(serde_json::from_value::<Transaction>(other).is_err());
        // As older versions write it.
        assert!(serde_json::to_value(&plain).unwrap().get("answers").is_none());
    }

    #[test]
    fn other_contents_are_those_of_the_same_version() {
        let one = Transaction::new(vec![
            install("a:amd64", "1", 1, "x"),
            install("b:amd64", "1", 1, "x"),
            install("c:amd64", "1", 1, "x"),
        ]);
        let two = Transaction::new(vec![
            install("a:amd64", "1", 2, "y"),
            install("b:amd64", "2", 2, "x"),
            install("c:amd64", "1", 1, "x"),
        ]);
        assert_eq!(one.other_contents(&two), ["a:amd64"]);
        assert!(one.other_contents(&one).is_empty());
        // One that names no checksum is not known to be the same.
        let unknown = Transaction::new(two.steps().iter().map(Step::without_checksum).collect());
        assert_eq!(unknown.other_contents(&two).len(), 3);
        assert_eq!(two.other_contents(&unknown).len(), 3);
    }

    #[test]
    fn the_identity_is_what_sha256sum_says_of_the_sorted_lines() {
        let remove = Step::Remove {
            package: "z:i386".parse().unwrap(),
            old: "1:2".into(),
        };
        let transaction = Transaction::new(vec![remove, install("a:amd64", "1", 0xab, "x")]);
        let lines: Vec<String> = transaction.steps().iter().map(Step::to_string).collect();
        assert_eq!(
            lines,
            [
                format!("install a:amd64 - 1 {}", "ab".repeat(32)),
                "remove z:i386 1:2".to_owned()
            ]
        );
        let text = lines.join("\n") + "\n";
        assert_eq!(
            transaction.id().to_string(),
            apu_debian::hex::encode(&Sha256::digest(text))
        );
        assert_eq!(
            Transaction::default().id().to_string(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_plan_without_a_word_on_security_is_that_of_an_older_client() {
        let plan = Plan {
            transaction: Transaction::new(vec![install("a:amd64", "1", 1, "x")]),
            security: Some(vec!["a:amd64".parse().unwrap()]),
            ..Plan::default()
        };
        let mut wire = serde_json::to_value(&plan).unwrap();
        assert_eq!(serde_json::from_value::<Plan>(wire.clone()).unwrap(), plan);
        assert_eq!(
            wire.as_object_mut().unwrap().remove("security").unwrap(),
            serde_json::json!(["a:amd64"])
        );
        let older: Plan = serde_json::from_value(wire).unwrap();
        assert_eq!(
            (older.security, older.transaction.id()),
            (None, plan.transaction.id())
        );
    }

    #[test]
    fn a_transaction_is_read_back_sorted_and_only_with_its_own_identity() {
        let transaction = Transaction::new(vec![
            install("b:amd64", "2", 2, "x"),
            install("a:amd64", "1", 1, "x"),
        ]);
        let mut wire = serde_json::to_value(&transaction).unwrap();
        wire["steps"].as_array_mut().unwrap().reverse();
        assert_eq!(
            serde_json::from_value::<Transaction>(wire.clone()).unwrap(),
            transaction
        );
        wire["steps"][0]["new"] = "3".into();
        let error = serde_json::from_value::<Transaction>(wire)
            .unwrap_err()
            .to_string();
        assert!(error.contains("not those of transaction"), "{error}");
        for version in ["1 -\nremove z:amd64 2", "1 2", "-", "1\u{85}"] {
            let odd = Transaction::new(vec![install("a:amd64", version, 1, "x")]);
            let wire = serde_json::to_value(&odd).unwrap();
            assert!(
                serde_json::from_value::<Transaction>(wire).is_err(),
                "{version:?}"
            );
        }
    }
}
