//! What a plan and a result tell about debconf's questions that the server answers.

use apu_debian::debconf::{Misfit, QuestionName};
use serde::{Deserialize, Serialize};

/// The most questions of these that a client tells.
pub const MAX_TOLD_ANSWERS: usize = 1000;

/// A question that the server answers, and how it was answered before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AnsweredQuestion {
    /// The question.
    pub question: QuestionName,
    /// Another answer that somebody gave on the machine, and that is replaced; not to be trusted. None where there is none, and of
    /// a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
}

/// An answer that does not fit its question.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WrongAnswer {
    /// The question.
    pub question: QuestionName,
    /// Why not.
    pub why: Misfit,
    /// What may be chosen, where that is why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}
