//! debconf's words: answers as `debconf-set-selections` reads them, and the templates that say which answers a question takes.

mod secret;
mod selections;
mod template;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use secret::Secret;
pub use selections::{MAX_SELECTIONS, Selection, SelectionFault, SelectionsError, is_value, selections};
pub use template::{Misfit, Template, items};

/// The longest name of a question in bytes.
const MAX_QUESTION: usize = 200;

crate::text_value!(
    /// The name of a question, such as `postfix/mailname`.
    #[derive(PartialOrd, Ord)]
    QuestionName,
    is_question_name,
    str::to_owned,
    "the name of a question: letters, digits and + - . _ : with a / between them"
);

fn is_question_name(name: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._:/".contains(&byte);
    name.len() <= MAX_QUESTION
        && name.bytes().all(is_known)
        && name
            .split_once('/')
            .is_some_and(|(package, rest)| !package.is_empty() && !rest.is_empty())
}

/// The types of templates that are questions, by debconf-devel(7). The others only tell something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QuestionKind {
    /// Any text.
    String,
    /// `true` or `false`.
    Boolean,
    /// One of the choices.
    Select,
    /// Some of the choices.
    Multiselect,
    /// Any text, which nobody is to see.
    Password,
}

impl QuestionKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::String,
        Self::Boolean,
        Self::Select,
        Self::Multiselect,
        Self::Password,
    ];

    /// Its word in a template.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Select => "select",
            Self::Multiselect => "multiselect",
            Self::Password => "password",
        }
    }

    /// The type of this word; none for a template that asks nothing.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether its answers are secrets.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::Password)
    }
}

impl fmt::Display for QuestionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
