//! Configuration files of a machine that exist in two versions, or are missing, as `conffiles` tells them.

use std::collections::BTreeSet;

use apu_debian::PackageKey;
use apu_debian::debconf::QuestionKind;
use serde::{Deserialize, Serialize};

use crate::bounded::{first, is_zero};
use crate::conffile_diff::ConffileDiff;

/// The most configuration files that an answer has.
pub const MAX_CONFFILES: usize = 1000;

/// A configuration file that an administrator may want to look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Conffile {
    /// Its path; not to be trusted.
    pub path: String,
    /// What is the matter.
    pub state: ConffileState,
    /// The suffix of the other version, which lies beside it, such as `.dpkg-dist`; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub beside: String,
    /// The beginning of the SHA-256 of the file, 8 hexadecimal digits: enough to tell whether machines have the same, and too little to
    /// guess what it is by. None where it is missing, is no regular file, or is too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The same of the other version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_sha256: Option<String>,
    /// What differs between the two; none where that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<ConffileDiff>,
}

/// The most configuration files that a plan names.
pub const MAX_CHANGED_CONFFILES: usize = 100;

/// The configuration files that were changed on the machine and in the packages of a plan, so that dpkg would ask which to take.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangedConffiles {
    /// Whether the client's policy keeps those of the machine; else the packages' replace them.
    pub keeps: bool,
    /// Their paths, not to be trusted; sorted, at most [`MAX_CHANGED_CONFFILES`].
    #[serde(deserialize_with = "first::<_, _, MAX_CHANGED_CONFFILES>")]
    pub paths: Vec<String>,
    /// How many there are beyond those that are named.
    pub more: usize,
    /// Others, which the client's policy has replaced by the packages' although it keeps the rest; sorted, at most
    /// [`MAX_CHANGED_CONFFILES`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_CHANGED_CONFFILES>"
    )]
    pub replaced: Vec<String>,
    /// How many of these there are beyond those that are named.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_replaced: usize,
}

impl ChangedConffiles {
    /// The same with these, which are replaced although the rest is kept.
    #[must_use]
    pub fn replacing(mut self, paths: BTreeSet<String>) -> Self {
        self.more_replaced = paths.len().saturating_sub(MAX_CHANGED_CONFFILES);
        self.replaced = paths.into_iter().take(MAX_CHANGED_CONFFILES).collect();
        self
    }

    /// As many of these as are named, and the number of the others.
    #[must_use]
    pub fn new(keeps: bool, paths: BTreeSet<String>) -> Self {
        let more = paths.len().saturating_sub(MAX_CHANGED_CONFFILES);
        Self {
            keeps,
            paths: paths.into_iter().take(MAX_CHANGED_CONFFILES).collect(),
            more,
            ..Self::default()
        }
    }
}

/// The most packages that are named as held back, and the most configuration files of each.
pub const MAX_HELD_BACK: usize = 100;

/// A package that stays at its version, since the client's policy holds it back for configuration files that were changed on the machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HeldBack {
    /// The package.
    pub package: PackageKey,
    /// The paths of these files, not to be trusted; at most [`MAX_HELD_BACK`].
    #[serde(default, deserialize_with = "first::<_, _, MAX_HELD_BACK>")]
    pub paths: Vec<String>,
}

/// The most questions that a plan names.
pub const MAX_NEW_QUESTIONS: usize = 100;

/// The questions of debconf that the packages of a plan bring, and that the machine does not know yet. Which of them are asked, and at which
/// priority, is up to the packages' scripts; the defaults apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct NewQuestions {
    /// Their names, such as `postfix/mailname`, not to be trusted; sorted, at most [`MAX_NEW_QUESTIONS`].
    #[serde(deserialize_with = "first::<_, _, MAX_NEW_QUESTIONS>")]
    pub names: Vec<String>,
    /// How they are answered, each of those that are named; none of an older client.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_NEW_QUESTIONS>"
    )]
    pub questions: Vec<NewQuestion>,
    /// How many there are beyond those that are named.
    pub more: usize,
}

/// A question that is new to a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NewQuestion {
    /// Its name; not to be trusted.
    pub name: String,
    /// How it is answered.
    pub kind: QuestionKind,
    /// What applies where nobody answers; not to be trusted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub default: String,
}

impl NewQuestions {
    /// As many of these as are named, and the number of the others.
    #[must_use]
    pub fn new(questions: BTreeSet<NewQuestion>) -> Self {
        let more = questions.len().saturating_sub(MAX_NEW_QUESTIONS);
        let questions: Vec<NewQuestion> = questions.into_iter().take(MAX_NEW_QUESTIONS).collect();
        Self {
            names: questions.iter().map(|question| question.name.clone()).collect(),
            questions,
            more,
        }
    }
}

/// What is the matter with a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConffileState {
    /// The machine's version was kept; the package's lies beside it.
    Kept,
    /// The package's version replaced the machine's, which lies beside it.
    Replaced,
    /// It is a package's, and is not there.
    Missing,
    /// One that a later version knows.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted_by_the_client_and_cut_by_the_server() {
        let many: BTreeSet<String> = (0..130).map(|n| format!("/etc/{n:03}")).collect();
        let changed = ChangedConffiles::new(true, many.clone());
        assert_eq!((changed.paths.len(), changed.more), (MAX_CHANGED_CONFFILES, 30));
        let text = serde_json::to_string(&changed).unwrap();
        assert_eq!(serde_json::from_str::<ChangedConffiles>(&text).unwrap(), changed);
        let question = |name: &String| NewQuestion {
            name: name.clone(),
            kind: QuestionKind::String,
            default: String::new(),
        };
        let questions = NewQuestions::new(many.iter().map(question).collect());
        assert_eq!(questions.questions.len(), MAX_NEW_QUESTIONS);
        assert_eq!((questions.names.len(), questions.more), (MAX_NEW_QUESTIONS, 30));
        let read: NewQuestions = serde_json::from_value(serde_json::json!({ "names": many })).unwrap();
        assert_eq!(read.names, questions.names);
        let hostile = serde_json::json!({ "paths": many, "later": 1 });
        let read: ChangedConffiles = serde_json::from_value(hostile).unwrap();
        assert_eq!((read.paths.len(), read.keeps), (MAX_CHANGED_CONFFILES, false));
    }
}
