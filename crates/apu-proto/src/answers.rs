//! Answers to debconf's questions that the server sends with a request: one line of JSON behind the request line, so that no log, no
//! command line and no environment has them.
//!
//! The request line has the SHA-256 of that line. The line has a salt, so that nobody who knows the rest of it can tell a password
//! by that checksum. In place of its value, what was approved has an answer's mark: a checksum by a key that only the server knows.

use std::fmt;

use apu_debian::PackageName;
use apu_debian::debconf::{QuestionKind, QuestionName, Secret, Selection, is_value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The longest line with answers in bytes, without its line end: about 300 answers.
pub const MAX_ANSWERS: usize = 64 * 1024;

/// A text that is not such a number of bytes in hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is not made of the right number of lower-case hexadecimal digits")]
pub struct DigitsError;

apu_debian::hex_value!(
    /// The SHA-256 of the line with the answers.
    AnswersSha256,
    32,
    DigitsError
);

apu_debian::hex_value!(
    /// A checksum of an answer, by a key that only the server knows: another value has another mark, and no value can be told by it.
    AnswerMark,
    16,
    DigitsError
);

apu_debian::hex_value!(
    /// Random bytes that are in the line with the answers and nowhere else.
    AnswersSalt,
    16,
    DigitsError
);

/// One answer to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebconfAnswer {
    /// The package that asks.
    pub owner: PackageName,
    /// What is asked.
    pub question: QuestionName,
    /// How it is answered.
    pub kind: QuestionKind,
    /// What stands for the value in what was approved.
    pub mark: AnswerMark,
    /// The answer; none of a password where nothing is to be done with it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Secret>,
}

impl DebconfAnswer {
    /// An answer as a file has it, with its mark.
    #[must_use]
    pub fn of(selection: Selection, mark: AnswerMark) -> Self {
        let Selection {
            owner,
            question,
            kind,
            value,
            ..
        } = selection;
        Self {
            owner,
            question,
            kind,
            mark,
            value: Some(value),
        }
    }

    /// What it is of what was approved.
    #[must_use]
    pub fn approved(&self) -> ApprovedAnswer {
        ApprovedAnswer {
            owner: self.owner.clone(),
            question: self.question.clone(),
            mark: self.mark,
        }
    }

    /// Its line for debconf-set-selections(1), with its line end; none without a value.
    #[must_use]
    pub fn selection_line(&self) -> Option<Secret> {
        let Self {
            owner,
            question,
            kind,
            value,
            ..
        } = self;
        let value = value.as_ref()?.expose();
        Some(format!("{owner} {question} {kind} {value}\n").into())
    }
}

/// An answer as a plan has it: what is answered, and a mark that tells one value from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ApprovedAnswer {
    /// The package that asks.
    pub owner: PackageName,
    /// What is asked.
    pub question: QuestionName,
    /// What stands for the value.
    pub mark: AnswerMark,
}

/// Its line in `apu-plan/1`.
impl fmt::Display for ApprovedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answer {} {} {}", self.owner, self.question, self.mark)
    }
}

/// The answers that go with a request: their line as it is sent, and what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct Answers {
    line: Secret,
    answers: Vec<DebconfAnswer>,
}

/// Without a value.
impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.answers).finish()
    }
}

/// The line's form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    salt: AnswersSalt,
    answers: Vec<DebconfAnswer>,
}

/// Why a line has no answers that can be used. No text of it has a word of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswersError {
    /// No such line came where the request announces one.
    #[error("the answers that the request announces did not come")]
    Missing,
    /// Over [`MAX_ANSWERS`].
    #[error("the answers are longer than {MAX_ANSWERS} bytes")]
    TooLong,
    /// Another line was announced.
    #[error("the answers are not those that the request announces")]
    Other,
    /// Not the form.
    #[error("the answers have not the right form")]
    Form,
    /// None, or one of them twice.
    #[error("the answers are none, or answer a question twice for one package")]
    Twice,
    /// A value that debconf would read as another one.
    #[error("an answer has a value that cannot be given to debconf")]
    Value,
}

impl Answers {
    /// These answers, at least one, with a salt that was never used before.
    ///
    /// # Errors
    /// Where they are too many, or not each once, or one of them has a value that debconf does not read as it is.
    pub fn new(salt: AnswersSalt, answers: Vec<DebconfAnswer>) -> Result<Self, AnswersError> {
        let line = serde_json::to_string(&Wire { salt, answers }).map_err(|_| AnswersError::Form)?;
        Self::read(line.into())
    }

    /// Reads the line that a request announces by its SHA-256.
    ///
    /// # Errors
    /// Where it is another one, or wrong.
    pub fn parse(line: &[u8], announced: AnswersSha256) -> Result<Self, AnswersError> {
        if line.len() > MAX_ANSWERS {
            return Err(AnswersError::TooLong);
        }
        if sha256(line) != announced {
            return Err(AnswersError::Other);
        }
        let line = std::str::from_utf8(line).map_err(|_| AnswersError::Form)?;
        Self::read(line.into())
    }

    fn read(line: Secret) -> Result<Self, AnswersError> {
        if line.expose().len() > MAX_ANSWERS {
            return Err(AnswersError::TooLong);
        }
        let wire: Wire = serde_json::from_str(line.expose()).map_err(|_| AnswersError::Form)?;
        let answers = wire.answers;
        let mut keys: Vec<_> = answers
            .iter()
            .map(|answer| (answer.owner.as_str(), answer.question.as_str()))
            .collect();
        keys.sort_unstable();
        if keys.is_empty() || keys.windows(2).any(|two| two[0] == two[1]) {
            return Err(AnswersError::Twice);
        }
        let is_usable = |answer: &DebconfAnswer| match &answer.value {
            Some(value) => is_value(value.expose()),
            None => answer.kind.is_secret(),
        };
        if !answers.iter().all(is_usable) {
            return Err(AnswersError::Value);
        }
        Ok(Self { line, answers })
    }

    /// The line as it is sent, without its line end.
    #[must_use]
    pub fn line(&self) -> &str {
        self.line.expose()
    }

    /// How a request announces them.
    #[must_use]
    pub fn sha256(&self) -> AnswersSha256 {
        sha256(self.line().as_bytes())
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[DebconfAnswer] {
        &self.answers
    }

    /// The same for a plan, for which nobody needs a password.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        if self
            .answers
            .iter()
            .all(|answer| !answer.kind.is_secret() || answer.value.is_none())
        {
            return self.clone();
        }
        let mut wire = Wire {
            salt: AnswersSalt::from_bytes([0; 16]),
            answers: self.answers.clone(),
        };
        for answer in &mut wire.answers {
            if answer.kind.is_secret() {
                answer.value = None;
            }
        }
        // Without a secret it needs no salt.
        let line = serde_json::to_string(&wire).unwrap_or_default();
        Self {
            line: line.into(),
            answers: wire.answers,
        }
    }
}

fn sha256(line: &[u8]) -> AnswersSha256 {
    AnswersSha256::from_bytes(Sha256::digest(line).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn answer(owner: &str, question: &str, kind: QuestionKind, value: &str) -> DebconfAnswer {
        DebconfAnswer {
            owner: owner.parse().unwrap(),
            question: question.parse().unwrap(),
            kind,
            mark: AnswerMark::from_bytes([7; 16]),
            value: Some(value.into()),
        }
    }

    fn answers() -> Answers {
        let all = vec![
            answer(
                "postfix",
                "postfix/mailname",
                QuestionKind::String,
                "mail.example.org",
            ),
            answer(
                "mysql-server",
                "mysql-server/root",
                QuestionKind::Password,
                "hunter2",
            ),
        ];
        Answers::new(AnswersSalt::from_bytes([1; 16]), all).unwrap()
    }

    #[test]
    fn answers_read_back_by_the_checksum_that_announces_them_and_by_no_other() {
        let answers = answers();
        let line = answers.line().as_bytes();
        assert!(!answers.line().contains('\n'));
        assert_eq!(Answers::parse(line, answers.sha256()), Ok(answers.clone()));
        let other = AnswersSha256::from_bytes([0; 32]);
        assert_eq!(Answers::parse(line, other), Err(AnswersError::Other));
        let again = Answers::new(AnswersSalt::from_bytes([2; 16]), answers.all().to_vec()).unwrap();
        assert_ne!(again.sha256(), answers.sha256());
    }

    #[test]
    fn a_line_that_is_wrong_is_refused_without_a_word_of_it() {
        let parse = |line: &str| Answers::parse(line.as_bytes(), sha256(line.as_bytes()));
        let good = answers().line().to_owned();
        assert!(parse(&good).is_ok());
        for (wrong, expected) in [
            (good.replace("string", "text"), AnswersError::Form),
            (good.replace("\"salt\"", "\"pepper\""), AnswersError::Form),
            (
                good.replace("{\"owner\"", "{\"more\":1,\"owner\""),
                AnswersError::Form,
            ),
            (good.replace("mail.example.org", "a\\nb"), AnswersError::Value),
            (good.replace("mail.example.org", "a\\\\"), AnswersError::Value),
            (
                good.replace(",\"value\":\"mail.example.org\"", ""),
                AnswersError::Value,
            ),
            (
                good.replace("mysql-server", "postfix")
                    .replace("postfix/root", "postfix/mailname"),
                AnswersError::Twice,
            ),
            (
                "{\"salt\":\"00000000000000000000000000000000\",\"answers\":[]}".to_owned(),
                AnswersError::Twice,
            ),
            (" ".repeat(MAX_ANSWERS + 1), AnswersError::TooLong),
        ] {
            assert_ne!(wrong, good);
            let error = parse(&wrong).unwrap_err();
            assert_eq!(error, expected, "{wrong:.200}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_plan_has_no_password_and_the_same_marks() {
        let (answers, plan) = (answers(), answers().without_secrets());
        assert!(answers.line().contains("hunter2") && !plan.line().contains("hunter2"));
        assert!(plan.line().contains("mail.example.org"));
        assert_eq!(
            Answers::parse(plan.line().as_bytes(), plan.sha256()),
            Ok(plan.clone())
        );
        let approved = |answers: &Answers| -> Vec<ApprovedAnswer> {
            answers.all().iter().map(DebconfAnswer::approved).collect()
        };
        assert_eq!(approved(&answers), approved(&plan));
        assert_eq!(plan.all()[1].selection_line(), None);
        assert!(!format!("{answers:?}").contains("hunter2"));
        assert_eq!(
            approved(&plan)[0].to_string(),
            format!("answer postfix postfix/mailname {}", "07".repeat(16))
        );
    }
}
